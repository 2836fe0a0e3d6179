//! The tag's table of Google's keys is the core's: a page must tell Google's tags nothing else.

use selvedge::consent::Purpose;
use selvedge::consent::mapping::{GoogleKey, spoken_of_by};

#[test]
fn the_tag_tells_google_what_the_core_maps() {
    let source = include_str!("../js/src/google.ts");
    for key in GoogleKey::ALL {
        let needed = spoken_of_by(key);
        let words: Vec<String> = Purpose::ALL
            .into_iter()
            .filter(|purpose| needed.has(*purpose))
            .map(|purpose| format!("\"{}\"", purpose.word()))
            .collect();
        let line = format!("\n  {}: [{}],\n", key.word(), words.join(", "));
        assert!(source.contains(&line), "js/src/google.ts has no line `{}`", line.trim());
    }
    assert_eq!(source.matches("_storage: [").count(), 5, "and no key more");
}
