//! Where maps and links are pinned: `<bpffs>/v<VERSION>/maps/NAME` and `<bpffs>/v<VERSION>/links/NAME`.
//!
//! A pin outlives the agent, and so does what it pins. The layout's version is part of the path, so that an agent never
//! meets maps of another layout unprepared; see [`super::upgrade`] for those.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use proxy_common::tables::VERSION;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::Error;
use super::mount::{ensure_bpffs, make_directories};
use super::pinned_link;

/// The directory of the pins, ours alone until this is dropped.
#[derive(Debug)]
pub(super) struct Pins {
    bpffs: PathBuf,
    /// Holds the lock: a BPF file system takes no files, so the lock is on the directory itself.
    _lock: File,
}

impl Pins {
    /// Makes the directories of this version, on a BPF file system, and locks them.
    pub(super) fn create(bpffs: &Path) -> Result<Self, Error> {
        ensure_bpffs(bpffs)?;
        let pins = Self::lock(bpffs)?;
        for directory in [pins.maps(), pins.links()] {
            make_directories(&directory).map_err(pin_error("make", &directory))?;
        }
        Ok(pins)
    }

    /// Locks pins as they are; `None` when there is no such directory.
    pub(super) fn existing(bpffs: &Path) -> Result<Option<Self>, Error> {
        if bpffs.is_dir() { Self::lock(bpffs).map(Some) } else { Ok(None) }
    }

    fn lock(bpffs: &Path) -> Result<Self, Error> {
        let directory = File::open(bpffs).map_err(pin_error("open", bpffs))?;
        flock(&directory, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            Errno::WOULDBLOCK => Error::Locked { path: bpffs.to_owned() },
            other => pin_error("lock", bpffs)(other.into()),
        })?;
        Ok(Self { bpffs: bpffs.to_owned(), _lock: directory })
    }

    /// Where this version's maps are.
    pub(super) fn maps(&self) -> PathBuf {
        maps_directory(&self.bpffs)
    }

    /// Where this version's links are.
    pub(super) fn links(&self) -> PathBuf {
        links_directory(&self.bpffs)
    }

    /// Where the links of other versions are, whose programs run until ours take their place.
    pub(super) fn other_links(&self) -> Result<Vec<PathBuf>, Error> {
        Ok(self.other_versions()?.into_iter().map(|version| version.join("links")).collect())
    }

    /// Where changed kernel settings are recorded.
    pub(super) fn sysctls(&self) -> PathBuf {
        self.bpffs.join("sysctls")
    }

    /// A directory that notes that there are rules of an agent.
    pub(super) fn rules(&self) -> PathBuf {
        rules_note(&self.bpffs)
    }

    /// Directories of every version that has pins.
    pub(super) fn versions(&self) -> Result<Vec<PathBuf>, Error> {
        versions(&self.bpffs)
    }

    /// Those of them that are not ours: left from an agent with another layout.
    pub(super) fn other_versions(&self) -> Result<Vec<PathBuf>, Error> {
        let mut versions = self.versions()?;
        versions.retain(|version| *version != version_directory(&self.bpffs));
        Ok(versions)
    }
}

/// What this version pins below `bpffs`.
fn version_directory(bpffs: &Path) -> PathBuf {
    bpffs.join(format!("v{VERSION}"))
}

/// Where this version's maps are below `bpffs`.
pub(super) fn maps_directory(bpffs: &Path) -> PathBuf {
    version_directory(bpffs).join("maps")
}

/// Where this version's links are below `bpffs`.
pub(super) fn links_directory(bpffs: &Path) -> PathBuf {
    version_directory(bpffs).join("links")
}

/// What notes that there are rules of an agent that pins below `bpffs`.
pub(super) fn rules_note(bpffs: &Path) -> PathBuf {
    bpffs.join("rules")
}

/// Directories below `bpffs` of every version that has pins.
pub(super) fn versions(bpffs: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(entries(bpffs)?.into_iter().filter(|path| version_of(path).is_some()).collect())
}

/// The version whose pins are in a directory; `None` if it is named after none.
pub(super) fn version_of(directory: &Path) -> Option<u32> {
    directory.file_name()?.to_str()?.strip_prefix('v')?.parse().ok()
}

/// Removes a version's links first, which detaches its programs, then its maps. Returns what was removed.
pub(super) fn remove_version(version: &Path) -> Result<Vec<PathBuf>, Error> {
    let (links, maps) = (version.join("links"), version.join("maps"));
    let mut removed = entries(&links)?;
    for link in &removed {
        pinned_link::remove(link)?;
    }
    for map in entries(&maps)? {
        fs::remove_file(&map).map_err(pin_error("remove", &map))?;
        removed.push(map);
    }
    for directory in [links.as_path(), &maps, version] {
        remove_directory(directory)?;
    }
    Ok(removed)
}

/// Removes an empty directory; whether there was one.
pub(super) fn remove_directory(path: &Path) -> Result<bool, Error> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        done => done.map(|()| true).map_err(pin_error("remove", path)),
    }
}

/// What is in a directory, by name; nothing if there is no directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let listing = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(pin_error("list", directory))?,
    };
    let mut paths = listing
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(pin_error("list", directory))?;
    paths.sort();
    Ok(paths)
}

/// A name as part of a pin's: a BPF file system takes no dots, which VLAN interfaces have.
pub(super) fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02x}").expect("writing to a String never fails"),
        }
        encoded
    })
}

/// Undoes [`encoded`]; `None` for what that never makes.
pub(super) fn decoded(encoded: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Makes the error of a failed file operation.
pub(super) fn pin_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Pin { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bpffs;
    use super::*;

    #[test]
    fn two_agents_cannot_use_one_directory() {
        let bpffs = Bpffs::new();
        let _first = Pins::create(bpffs.path()).unwrap();
        let error = Pins::create(bpffs.path()).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
    }

    #[test]
    fn other_versions_are_found_and_nothing_else() {
        let bpffs = Bpffs::new();
        let pins = Pins::create(bpffs.path()).unwrap();
        for name in ["v0", "vnext", "other", "v00017"] {
            make_directories(&bpffs.path().join(name)).unwrap();
        }
        assert_eq!(pins.other_versions().unwrap(), [bpffs.path().join("v0"), bpffs.path().join("v00017")]);
    }

    #[test]
    fn names_of_interfaces_survive_a_pin() {
        for name in ["eth0", "eth0.100", "br-lan", "a%b@c:1", "ü"] {
            assert!(!encoded(name).contains(['.', '/']), "{name}");
            assert_eq!(decoded(&encoded(name)).as_deref(), Some(name));
        }
        assert_eq!(encoded("eth0.100"), "eth0%2e100");
    }
}
