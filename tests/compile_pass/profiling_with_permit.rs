//! The control: the same call with its permit builds.

use selvedge::consent::{Effective, Profiling};
use selvedge::ids::DeviceId;
use selvedge::profile::Profile;
use selvedge::time::Timestamp;

fn main() {
    let mut profile = Profile::default();
    let effective = Effective::nothing();
    if let Some(permit) = effective.permit::<Profiling>() {
        profile.touch_session(permit, DeviceId([0; 16]), Timestamp(0));
    }
}
