//! Segments in place of texts: a host that remembers in which segment a text lies need not bring
//! the text again. It must never be asked of a slot whose text anything reads itself.

use super::facts::{Facts, LIST};
use super::image::Column;
use super::{Rules, Slot};
use crate::pack::Reader;

impl Rules {
    /// The segment of a slot that a text lies in.
    pub fn segment_of(&self, slot: Slot, text: &str) -> u32 {
        self.segment(slot.0, self.symbol(text).into())
    }

    /// The last segment of a slot; the first that a value may lie in is 1.
    fn last_segment(&self, slot: u16) -> u32 {
        let cuts = self.image.range(Column::CutStarts, slot.into()).unwrap_or(0..0);
        u32::try_from(cuts.len()).unwrap_or(0).saturating_add(1)
    }
}

impl Facts {
    /// Takes the segment of a text, or those of a list's texts. The value itself stays what it was,
    /// since nothing reads it.
    #[inline(never)]
    pub(super) fn read_segments(
        &mut self,
        rules: &Rules,
        Slot(slot): Slot,
        is_list: bool,
        from: &mut Reader<'_>,
    ) {
        let last = rules.last_segment(slot);
        let next = |from: &mut Reader<'_>| {
            let segment = from.number_u32();
            if !(1..=last).contains(&segment) {
                from.fail();
            }
            segment
        };
        let list = self.lists.get_mut(usize::from(slot)).and_then(Option::as_mut);
        match (is_list, list) {
            (false, None) => {
                let segment = next(from);
                self.set_segment(slot, segment);
            }
            (true, Some(segments)) => {
                segments.clear();
                for _ in 0..from.len() {
                    let segment = next(from);
                    if !segments.contains(&segment) {
                        segments.push(segment);
                    }
                }
                self.set_segment(slot, LIST);
            }
            _ => from.fail(),
        }
    }
}

#[cfg(all(test, feature = "compile"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::pack::{LIST_TAG, SEGMENT_TAG, SEGMENTS_TAG};
    use crate::workspace::Workspace;

    const SHOP: &str = r#"{"format": 1, "languages": ["en"],
        "traits": {"city": {"type": "string"}, "name": {"type": "string"},
            "app": {"type": "string"}, "tags": {"type": "strings"}, "age": {"type": "int"}},
        "placements": {"tip": {"where": "page"}},
        "offers": {"new": {"placements": ["tip"],
            "when": "profile.city in ['Köln', 'Rom'] && 'vip' in profile.tags",
            "content": {"en": {"headline": "new"}}}, "old": {"placements": ["tip"],
            "when": "profile.name.contains('a') && semver(profile.app) >= semver('2.9.1')",
            "content": {"en": {"headline": "new"}}}}}"#;

    fn workspace() -> Workspace {
        crate::compile::workspace(SHOP).unwrap()
    }

    fn slot(rules: &Rules, name: &str) -> Slot {
        rules.slot(&format!("profile.{name}")).unwrap()
    }

    #[test]
    fn texts_that_are_read_or_seen_as_versions_are_brought() {
        let rules = workspace().rules;
        let brief = rules.brief_slots();
        let is_brief = |name| brief.contains(&slot(&rules, name));
        assert!(is_brief("city") && is_brief("tags"));
        assert!(!is_brief("name") && !is_brief("app") && !is_brief("age"));
    }

    #[test]
    fn a_segment_is_what_its_text_would_give() {
        let rules = workspace().rules;
        let (city, tags) = (slot(&rules, "city"), slot(&rules, "tags"));
        for text in ["Köln", "Rom", "Bonn", "", "vip"] {
            let mut by_text = Facts::new(&rules);
            by_text.set_text(&rules, city, text);
            let mut by_segment = Facts::new(&rules);
            let segment = u8::try_from(rules.segment_of(city, text)).unwrap();
            let bytes = [SEGMENT_TAG, segment];
            let mut from = Reader::new(&bytes);
            by_segment.read(&rules, city, &mut from);
            assert!(from.finish(()).is_some());
            assert_eq!(by_segment.segment(city.0), by_text.segment(city.0), "{text}");

            let entry = [vec![4, u8::try_from(text.len()).unwrap()], text.into()].concat();
            let list = [vec![LIST_TAG, 2], entry.clone(), entry].concat();
            by_text.read(&rules, tags, &mut Reader::new(&list));
            let segment = u8::try_from(rules.segment_of(tags, text)).unwrap();
            by_segment.read(&rules, tags, &mut Reader::new(&[SEGMENTS_TAG, 2, segment, segment]));
            assert_eq!(by_segment.entries(tags.0), by_text.entries(tags.0), "{text}");
            assert_eq!(by_segment.segment(tags.0), by_text.segment(tags.0), "{text}");
        }
    }

    #[test]
    fn what_is_no_segment_of_the_slot_is_refused() {
        let rules = workspace().rules;
        let (city, tags) = (slot(&rules, "city"), slot(&rules, "tags"));
        let last = u8::try_from(rules.last_segment(city.0)).unwrap();
        for (slot, bytes) in [
            (city, vec![SEGMENT_TAG, 0]),
            (city, vec![SEGMENT_TAG, last + 1]),
            (city, vec![SEGMENT_TAG]),
            (city, vec![SEGMENTS_TAG, 1, 1]),
            (tags, vec![SEGMENT_TAG, 1]),
            (tags, vec![SEGMENTS_TAG, 1, 0]),
            (tags, vec![SEGMENTS_TAG, 2, 1]),
            (Slot(u16::MAX), vec![SEGMENT_TAG, 2]),
            (Slot(u16::MAX), vec![SEGMENTS_TAG, 1, 2]),
        ] {
            let mut from = Reader::new(&bytes);
            Facts::new(&rules).read(&rules, slot, &mut from);
            assert!(from.finish(()).is_none(), "{bytes:?}");
        }
    }
}
