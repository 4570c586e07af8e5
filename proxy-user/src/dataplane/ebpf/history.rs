//! Which tables of another version have the layout that this version gives them.
//!
//! A version knows the history of its tables ([`Table::since`]), so it can tell what an older one has in common with it. An
//! older one finds out by a note that the newer one left beside its maps.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use proxy_common::tables::{ALL, Part, Table, VERSION};

use super::error::Error;
use super::pins::{pin_error, version_of};

/// Name of the note. A BPF file system holds maps, links, directories and symbolic links only: the note is the target of one,
/// which leads nowhere. It is among the maps because every version removes all that it finds there.
const NOTE: &str = "LAYOUTS";

/// Leaves the note of this version among its maps.
pub(super) fn note(maps: &Path) -> Result<(), Error> {
    let path = maps.join(NOTE);
    let text = text();
    match fs::read_link(&path) {
        Ok(noted) if noted == Path::new(&text) => return Ok(()),
        Ok(_) => fs::remove_file(&path).map_err(pin_error("remove", &path))?,
        Err(_) => {}
    }
    symlink(text, &path).map_err(pin_error("make", &path))
}

fn text() -> String {
    ALL.map(|Table { name, since, .. }| format!("{name}={since}")).join(",")
}

/// A version whose tables were found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Its number.
    pub(super) version: u32,
    /// The note it left, if any.
    note: Option<String>,
}

impl Found {
    /// The version whose pins are in a directory; `None` when that is named after none.
    pub(super) fn in_directory(directory: &Path) -> Option<Self> {
        let version = version_of(directory)?;
        let note = fs::read_link(directory.join("maps").join(NOTE));
        Some(Self { version, note: note.ok().and_then(|note| note.into_os_string().into_string().ok()) })
    }

    /// It is the version before this one or the one after: nothing of any other is taken over.
    pub(super) const fn is_neighbour(&self) -> bool {
        self.version.abs_diff(VERSION) == 1
    }

    /// Its tables, of those that are `usable`, with which this version can go on as they are.
    pub(super) fn kept(&self, usable: impl Fn(&Table) -> bool) -> impl Iterator<Item = Table> {
        let has = move |table: &Table| self.has(table) && usable(table);
        ALL.into_iter().filter(move |table| match table.part {
            Part::Alone => has(table),
            part => ALL.iter().filter(|other| other.part == part).all(&has),
        })
    }

    /// It has a table of this layout.
    fn has(&self, table: &Table) -> bool {
        if self.version < VERSION {
            return u32::from(table.since) <= self.version;
        }
        let Some(note) = &self.note else { return false };
        let mut noted = note.split(',').filter_map(|entry| entry.split_once('='));
        noted.any(|(name, since)| name == table.name && since.parse() == Ok(table.since))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::testing::Bpffs;
    use super::*;

    fn kept(version: u32, note: Option<&str>) -> BTreeSet<&'static str> {
        Found { version, note: note.map(str::to_owned) }.kept(|_| true).map(|table| table.name).collect()
    }

    #[test]
    fn an_older_version_has_what_is_older_than_the_next() {
        let kept = kept(VERSION - 1, None);
        for table in ALL.into_iter().filter(|table| table.part == Part::Alone) {
            assert_eq!(kept.contains(table.name), u32::from(table.since) < VERSION, "{}", table.name);
        }
    }

    #[test]
    fn a_newer_version_has_what_it_says_and_without_a_word_nothing() {
        assert_eq!(kept(VERSION + 1, None), BTreeSet::new());
        assert_eq!(kept(VERSION + 1, Some("FLOWS=4,EPOCH=2")), BTreeSet::from(["EPOCH"]));
        assert_eq!(kept(VERSION + 1, Some(&text())).len(), ALL.len());
    }

    #[test]
    fn tables_that_make_sense_together_are_kept_together() {
        let changed = text().replace("BACKENDS=2", "BACKENDS=4");
        let kept = kept(VERSION + 1, Some(&changed));
        assert!(!kept.contains("SERVICES") && !kept.contains("ADDRESSES"), "{kept:?}");
        assert!(kept.contains("FLOWS") && kept.contains("SERVICE_NAMES") && kept.contains("RULES"), "{kept:?}");
    }

    #[test]
    fn the_note_is_read_as_it_was_left_and_made_anew_when_it_says_something_else() {
        let bpffs = Bpffs::new();
        let maps = bpffs.path().join("v9/maps");
        super::super::mount::make_directories(&maps).unwrap();
        assert_eq!(Found::in_directory(&bpffs.path().join("v9")).unwrap().note, None);
        symlink("FLOWS=1", maps.join(NOTE)).unwrap();
        for _ in 0..2 {
            note(&maps).unwrap();
            let found = Found::in_directory(&bpffs.path().join("v9")).unwrap();
            assert_eq!(found, Found { version: 9, note: Some(text()) });
        }
    }
}
