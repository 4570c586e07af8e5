//! The layouts that were given out under each version: changing one takes a new version, or an upgrade would read one as
//! another.

use aya_obj::Object;
use proxy_common::tables::{ALL, Table, VERSION};

use crate::support::object;

/// As committed: `NAME since N: type T, key K, value V, N entries, flags F`, a line a table.
const COMMITTED: &str = include_str!("layouts.txt");

#[test]
fn a_layout_changes_with_the_version_only() {
    let bytes = object();
    let object = Object::parse(&bytes).unwrap();
    let line = |Table { name, since, .. }: Table| {
        let map = &object.maps[name];
        let (map_type, key, value) = (map.map_type(), map.key_size(), map.value_size());
        let (entries, flags) = (map.max_entries(), map.map_flags());
        format!("{name} since {since}: type {map_type}, key {key}, value {value}, {entries} entries, flags {flags}\n")
    };
    let built: String = ALL.into_iter().map(line).collect();
    assert!(ALL.iter().all(|table| u32::from(table.since) <= VERSION));
    assert_eq!(
        built, COMMITTED,
        "a table's layout is not the committed one (what is committed is on the right): give VERSION and the table's \
         `since` the next number, keep in tables/previous.rs what programs write, and commit the left side as layouts.txt"
    );
}
