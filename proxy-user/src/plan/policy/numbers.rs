//! Numbers for what the tables call by number.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The number of a set that is nobody's and allows nothing. It has no rules, and never will have.
pub(super) const NOTHING: u32 = u32::MAX >> 1;

/// Things in use, equal ones under one number. A number that became free is the last to be used again.
#[derive(Debug)]
pub(super) struct Numbers<K> {
    by_key: HashMap<K, u32>,
    used: BTreeMap<u32, (K, usize)>,
    /// Numbers that tables found have for what may be asked for.
    found: HashMap<K, u32>,
    last: u32,
    /// What came into use since it was last asked.
    fresh: BTreeMap<u32, K>,
}

impl<K: Clone + Eq + Hash> Numbers<K> {
    /// `last`: the greatest number found in the tables.
    pub(super) fn above(last: u32) -> Self {
        Self { by_key: HashMap::new(), used: BTreeMap::new(), found: HashMap::new(), last, fresh: BTreeMap::new() }
    }

    /// The tables found have this number for `key`.
    pub(super) fn find(&mut self, key: K, number: u32) {
        self.found.insert(key, number);
    }

    /// The number that the tables found have for `key`.
    pub(super) fn found(&self, key: &K) -> Option<u32> {
        self.found.get(key).copied()
    }

    /// Forgets what the tables found have that nobody asked for.
    pub(super) fn end_finding(&mut self) {
        self.found = HashMap::new();
    }

    /// One more use of `key`.
    pub(super) fn acquire(&mut self, key: &K) -> u32 {
        if let Some(number) = self.by_key.get(key) {
            if let Some((_, uses)) = self.used.get_mut(number) {
                *uses += 1;
            }
            return *number;
        }
        let number = self.found.remove(key).unwrap_or_else(|| self.next());
        self.by_key.insert(key.clone(), number);
        self.used.insert(number, (key.clone(), 1));
        self.fresh.insert(number, key.clone());
        number
    }

    /// One use less. Returns what had the number, if that was the last.
    pub(super) fn release(&mut self, number: u32) -> Option<K> {
        let (_, uses) = self.used.get_mut(&number)?;
        *uses -= 1;
        if *uses != 0 {
            return None;
        }
        let (key, _) = self.used.remove(&number)?;
        self.by_key.remove(&key);
        self.fresh.remove(&number);
        Some(key)
    }

    fn next(&mut self) -> u32 {
        loop {
            self.last = if self.last >= NOTHING - 1 { 1 } else { self.last + 1 };
            if !self.used.contains_key(&self.last) {
                return self.last;
            }
        }
    }

    /// What has the number.
    pub(super) fn get(&self, number: u32) -> Option<&K> {
        self.used.get(&number).map(|(key, _)| key)
    }

    /// What came into use since it was last asked.
    pub(super) fn take_fresh(&mut self) -> BTreeMap<u32, K> {
        std::mem::take(&mut self.fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_things_share_a_number_which_is_the_last_to_be_used_again() {
        let mut numbers = Numbers::above(NOTHING - 3);
        assert_eq!(
            [numbers.acquire(&"a"), numbers.acquire(&"a"), numbers.acquire(&"b")],
            [NOTHING - 2, NOTHING - 2, NOTHING - 1]
        );
        assert_eq!(numbers.release(NOTHING - 2), None);
        assert_eq!(numbers.release(NOTHING - 2), Some("a"));
        assert_eq!(numbers.acquire(&"a"), 1, "the number of a set that allows nothing is nobody's");
        assert_eq!([numbers.get(NOTHING - 1), numbers.get(NOTHING - 2)], [Some(&"b"), None]);
        assert!(numbers.take_fresh().into_keys().eq([1, NOTHING - 1]));
    }

    #[test]
    fn what_the_tables_have_keeps_its_number() {
        let mut numbers = Numbers::above(7);
        numbers.find("a", 3);
        assert_eq!([numbers.acquire(&"b"), numbers.acquire(&"a")], [8, 3]);
    }
}
