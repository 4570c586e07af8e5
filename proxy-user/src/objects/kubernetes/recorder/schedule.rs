//! When what is told: each thing once while it lasts, and all together rarely enough for a large cluster.

use std::collections::hash_map::Entry::Vacant;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::complaint::Complaint;

/// What every node says is said somewhere within this time, so that 5,000 don't ask at once; whoever comes after the
/// first finds it said.
const SPREAD: Duration = Duration::from_secs(15);
/// What lasts is told again before its Event expires, after an hour.
const REPEAT: Duration = Duration::from_mins(50);
/// After the API server didn't take one.
const RETRY: Duration = Duration::from_secs(30);
/// Texts for one object and reason within [`REPEAT`]: a text may have numbers in it that change.
const TEXTS: usize = 5;
/// So many at once, and one each [`INTERVAL`]: what a source has in client-go.
const BURST: u32 = 25;
const INTERVAL: Duration = Duration::from_secs(10);

/// What there is to tell, and when.
#[derive(Debug)]
pub(super) struct Schedule {
    present: HashSet<Complaint>,
    entries: HashMap<Complaint, Entry>,
    /// When as many could be told at once as ever.
    full_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Instant,
    told: bool,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Self {
        Self { present: HashSet::new(), entries: HashMap::new(), full_at: now }
    }

    /// This is wrong now. What was told isn't forgotten when it ends: it may come back.
    pub(super) fn set(&mut self, complaints: Vec<Complaint>, now: Instant) {
        self.present = complaints.into_iter().collect();
        self.entries.retain(|complaint, entry| self.present.contains(complaint) || entry.told && entry.due > now);
        let mut texts: HashMap<_, usize> = HashMap::new();
        for complaint in self.entries.keys() {
            *texts.entry((complaint.object.clone(), complaint.reason)).or_default() += 1;
        }
        for complaint in &self.present {
            let Vacant(entry) = self.entries.entry(complaint.clone()) else { continue };
            let texts = texts.entry((complaint.object.clone(), complaint.reason)).or_default();
            if *texts < TEXTS {
                *texts += 1;
                let spread = if complaint.reason.is_everywhere() { SPREAD } else { Duration::ZERO };
                entry.insert(Entry { due: now + spread.mul_f64(fastrand::f64()), told: false });
            }
        }
    }

    /// What is to be told next, and when.
    pub(super) fn next(&self) -> Option<(Instant, &Complaint)> {
        let present = self.entries.iter().filter(|(complaint, _)| self.present.contains(complaint));
        let (complaint, entry) = present.min_by_key(|(complaint, entry)| (entry.due, *complaint))?;
        // The earliest moment that leaves no more than the burst ahead of the rate. `full_at` may be before that much.
        let at = entry.due + (self.full_at.saturating_duration_since(entry.due)).saturating_sub(INTERVAL * (BURST - 1));
        Some((at, complaint))
    }

    /// It was told, or was not taken.
    pub(super) fn done(&mut self, complaint: &Complaint, taken: bool, now: Instant) {
        self.full_at = self.full_at.max(now) + INTERVAL;
        if let Some(entry) = self.entries.get_mut(complaint) {
            *entry = Entry { due: now + if taken { REPEAT } else { RETRY }, told: entry.told || taken };
        }
    }
}
