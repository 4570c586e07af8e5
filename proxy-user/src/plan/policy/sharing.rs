//! Which sets ask for what, and which classes have it.

use std::collections::{BTreeSet, HashMap};

use super::set::Mention;

/// Numbers by what is mentioned of each.
#[derive(Default, Debug)]
pub(super) struct Sharing {
    by_mention: HashMap<Mention, BTreeSet<u32>>,
}

impl Sharing {
    pub(super) fn insert(&mut self, number: u32, mentions: impl Iterator<Item = Mention>) {
        for mention in mentions {
            self.by_mention.entry(mention).or_default().insert(number);
        }
    }

    pub(super) fn remove(&mut self, number: u32, mentions: impl Iterator<Item = Mention>) {
        for mention in mentions {
            let Some(numbers) = self.by_mention.get_mut(&mention) else { continue };
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_mention.remove(&mention);
            }
        }
    }

    /// Those of which one of these is mentioned too.
    pub(super) fn sharing(&self, mentions: impl Iterator<Item = Mention>) -> BTreeSet<u32> {
        mentions.filter_map(|mention| self.by_mention.get(&mention)).flatten().copied().collect()
    }
}
