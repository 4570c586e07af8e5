//! Walks through a hash or a trie, many entries a system call.
//!
//! Unlike a walk from key to key, one through a hash doesn't begin anew when an entry is deleted under it.

use std::io;
use std::mem::zeroed;
use std::os::fd::BorrowedFd;

use aya::Pod;
use aya::maps::lpm_trie::Key;

use super::sys::lookup_batch;

/// Entries asked for at first; more when a bucket holds more.
const ENTRIES: usize = 4096;

/// A walk through a hash of `K` and `V`, whose sizes the caller has checked; through a trie, where a position in it (`P`) is
/// one of its keys.
pub(super) struct Batches<'map, K, V, P = u32> {
    map: BorrowedFd<'map>,
    keys: Vec<K>,
    values: Vec<V>,
    /// Values of a key: one, or one of each CPU.
    of_key: usize,
    /// Where to go on; `None` at the beginning.
    position: Option<P>,
    finished: bool,
}

impl<'map, K: Pod, V: Pod, P: Pod> Batches<'map, K, V, P> {
    pub(super) fn new(map: BorrowedFd<'map>) -> Self {
        Self::with_values(map, 1)
    }

    /// A walk through a hash that has so many values of each key.
    pub(super) fn with_values(map: BorrowedFd<'map>, of_key: usize) -> Self {
        let mut batches = Self { map, keys: Vec::new(), values: Vec::new(), of_key, position: None, finished: false };
        batches.resize(ENTRIES);
        batches
    }

    fn resize(&mut self, entries: usize) {
        // SAFETY: a Pod holds integers only, for which zero is a value.
        self.keys.resize(entries, unsafe { zeroed() });
        // SAFETY: as above.
        self.values.resize(entries * self.of_key, unsafe { zeroed() });
    }

    /// The next entries; `None` after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<(&[K], &[V])>> {
        if self.finished {
            return Ok(None);
        }
        let batch = loop {
            match lookup_batch(self.map, self.position, &mut self.keys, &mut self.values) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => self.resize(self.keys.len() * 2),
                batch => break batch?,
            }
        };
        self.position = batch.next;
        self.finished = batch.next.is_none();
        Ok(Some((&self.keys[..batch.count], &self.values[..batch.count * self.of_key])))
    }
}

/// Every entry of a hash of `K` and `V`, whose sizes the caller has checked.
pub(super) fn entries<K: Pod, V: Pod>(map: BorrowedFd<'_>) -> io::Result<Vec<(K, V)>> {
    some(map, usize::MAX)
}

/// The same, so many entries at most.
pub(super) fn some<K: Pod, V: Pod>(map: BorrowedFd<'_>, limit: usize) -> io::Result<Vec<(K, V)>> {
    let mut batches = Batches::<K, V>::new(map);
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some((keys, values)) = batches.next()?
    {
        entries.extend(keys.iter().copied().zip(values.iter().copied()));
    }
    entries.truncate(limit);
    Ok(entries)
}

/// Every prefix of a trie of `K` and `V`, whose sizes the caller has checked.
pub(super) fn prefixes<K: Pod, V: Pod>(map: BorrowedFd<'_>) -> io::Result<Vec<(Key<K>, V)>> {
    let mut batches = Batches::<Key<K>, V, Key<K>>::new(map);
    let mut entries = Vec::new();
    while let Some((keys, values)) = batches.next()? {
        entries.extend(keys.iter().copied().zip(values.iter().copied()));
    }
    Ok(entries)
}

/// Number of entries of a hash of `K` and `V`, whose sizes the caller has checked.
pub(super) fn count<K: Pod, V: Pod>(map: BorrowedFd<'_>) -> io::Result<u64> {
    let mut batches = Batches::<K, V>::new(map);
    let mut count = 0;
    while let Some((keys, _)) = batches.next()? {
        count += keys.len() as u64;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::fd::AsFd as _;

    use aya::maps::{HashMap, LpmTrie, MapData};
    use aya_obj::generated::BPF_F_NO_PREALLOC;

    use super::*;
    use crate::dataplane::ebpf::sys::{object_get, update_batch};
    use crate::dataplane::ebpf::testing::Bpffs;

    #[test]
    fn every_entry_is_seen_once() {
        let bpffs = Bpffs::new();
        let path = bpffs.path().join("MAP");
        let mut map = HashMap::<MapData, u32, u64>::create(20_000, 0).unwrap();
        let expected: BTreeMap<u32, u64> = (0..20_000).map(|key| (key, u64::from(key) << 20)).collect();
        for (key, value) in &expected {
            map.insert(key, value, 0).unwrap();
        }
        map.pin(&path).unwrap();
        let map = object_get(&path).unwrap();
        let seen = entries::<u32, u64>(map.as_fd()).unwrap();
        assert_eq!(seen.len(), expected.len());
        assert_eq!(count::<u32, u64>(map.as_fd()).unwrap(), 20_000);
        assert_eq!(seen.into_iter().collect::<BTreeMap<_, _>>(), expected);
        assert_eq!(some::<u32, u64>(map.as_fd(), 5000).unwrap().len(), 5000);
    }

    #[test]
    fn entries_put_at_once_are_put_in_their_order_up_to_the_one_that_has_no_room() {
        let bpffs = Bpffs::new();
        let path = bpffs.path().join("MAP");
        HashMap::<MapData, u32, u64>::create(4, 0).unwrap().pin(&path).unwrap();
        let map = object_get(&path).unwrap();
        update_batch(map.as_fd(), &[1_u32, 2, 1], &[10_u64, 20, 11]).unwrap();
        let (done, error) = update_batch(map.as_fd(), &[2_u32, 3, 4, 5, 6], &[21_u64, 30, 40, 50, 60]).unwrap_err();
        assert_eq!((done, error.raw_os_error()), (3, Some(libc::E2BIG)));
        let held: BTreeMap<u32, u64> = entries(map.as_fd()).unwrap().into_iter().collect();
        assert_eq!(held, BTreeMap::from([(1, 11), (2, 21), (3, 30), (4, 40)]));
    }

    #[test]
    fn every_prefix_is_seen_once() {
        let bpffs = Bpffs::new();
        let path = bpffs.path().join("MAP");
        let mut map = LpmTrie::<MapData, u32, u64>::create(10_000, BPF_F_NO_PREALLOC).unwrap();
        let keys = (0..9_000_u32).map(|key| (24 + key % 9, (key << 8).to_be()));
        let expected: BTreeMap<(u32, u32), u64> = keys.zip(0..).collect();
        for ((bits, key), value) in &expected {
            map.insert(&Key::new(*bits, *key), value, 0).unwrap();
        }
        map.pin(&path).unwrap();
        let seen = prefixes::<u32, u64>(object_get(&path).unwrap().as_fd()).unwrap();
        assert_eq!(seen.len(), expected.len());
        let seen = seen.into_iter().map(|(key, value)| ((key.prefix_len(), key.data()), value));
        assert_eq!(seen.collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn a_trie_without_prefixes_has_none() {
        let bpffs = Bpffs::new();
        let path = bpffs.path().join("MAP");
        LpmTrie::<MapData, u32, u64>::create(16, BPF_F_NO_PREALLOC).unwrap().pin(&path).unwrap();
        assert!(prefixes::<u32, u64>(object_get(&path).unwrap().as_fd()).unwrap().is_empty());
    }

    #[test]
    fn an_empty_table_has_no_entries() {
        let bpffs = Bpffs::new();
        let path = bpffs.path().join("MAP");
        HashMap::<MapData, u32, u64>::create(16, 0).unwrap().pin(&path).unwrap();
        let map = object_get(&path).unwrap();
        assert_eq!(entries::<u32, u64>(map.as_fd()).unwrap(), []);
    }
}
