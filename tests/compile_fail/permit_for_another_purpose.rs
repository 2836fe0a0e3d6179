//! A permit for one purpose is none for another.

use selvedge::consent::{Effective, Store};
use selvedge::ids::DeviceId;
use selvedge::profile::Profile;
use selvedge::time::Timestamp;

fn main() {
    let mut profile = Profile::default();
    if let Some(permit) = Effective::nothing().permit::<Store>() {
        profile.touch_session(permit, DeviceId([0; 16]), Timestamp(0));
    }
}
