//! A trait is not set without a permit to profile.

use selvedge::ids::DeviceId;
use selvedge::profile::Profile;
use selvedge::time::Timestamp;

fn main() {
    let mut profile = Profile::default();
    profile.touch_session(DeviceId([0; 16]), Timestamp(0));
}
