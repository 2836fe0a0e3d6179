//! A small memory of what was used lately, bounded in number. It must never be the only place that
//! knows something.

use std::collections::BTreeMap;

/// Two halves: when the young one is full it becomes the old one, and what was old is forgotten.
pub struct Recent<V> {
    most: usize,
    young: BTreeMap<String, V>,
    old: BTreeMap<String, V>,
}

impl<V> Recent<V> {
    /// A memory of at most `2 * most` values.
    pub const fn new(most: usize) -> Self {
        Self { most, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// A value, which counts as used by that.
    pub fn get(&mut self, key: &str) -> Option<&mut V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.put(key, value);
        }
        self.young.get_mut(key)
    }

    /// Changes every value.
    pub fn each(&mut self, change: impl FnMut(&mut V)) {
        self.young.values_mut().chain(self.old.values_mut()).for_each(change);
    }

    /// Remembers a value.
    pub fn put(&mut self, key: String, value: V) {
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = core::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let mut recent = Recent::new(2);
        for at in 0..100 {
            recent.put(at.to_string(), at);
            assert_eq!(recent.get("0").copied(), Some(0), "used each time");
            assert!(recent.young.len() <= 2 && recent.old.len() <= 2);
        }
        assert_eq!(recent.get("99").copied(), Some(99));
        assert_eq!(recent.get("3"), None);
    }

    #[test]
    fn the_latest_value_of_a_key_is_told() {
        let mut recent = Recent::new(1);
        recent.put("a".into(), 1);
        recent.put("b".into(), 2);
        recent.put("a".into(), 3);
        assert_eq!(recent.get("a").copied(), Some(3));
        recent.put("c".into(), 4);
        assert_eq!(recent.get("a").copied(), Some(3));
    }
}
