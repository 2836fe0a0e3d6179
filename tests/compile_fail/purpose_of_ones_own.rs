//! Nobody adds a purpose that consent does not know.

use selvedge::consent::{Purpose, Use};

struct Mine;

impl Use for Mine {
    const PURPOSE: Purpose = Purpose::Store;
}

fn main() {}
