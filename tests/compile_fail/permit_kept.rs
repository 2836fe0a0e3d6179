//! A permit does not outlive the effective consent that it was read from.

use selvedge::consent::{Effective, Permit, Profiling};

fn later() -> Option<Permit<'static, Profiling>> {
    let effective = Effective::nothing();
    effective.permit::<Profiling>()
}

fn main() {
    let _ = later();
}
