//! Nobody but the consent module makes a permit.

use std::marker::PhantomData;

use selvedge::consent::{Permit, Profiling};

fn main() {
    let _: Permit<'static, Profiling> = Permit { effective: PhantomData, purpose: PhantomData };
}
