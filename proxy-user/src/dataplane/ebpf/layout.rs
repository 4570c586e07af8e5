//! Compares pinned maps with the kernel object's definitions.
//!
//! aya 0.14 takes whatever is pinned under a map's name. A value larger than the program's would then be copied over
//! memory that isn't the value's, in the agent and unnoticed, so this runs before any map is used.

use std::io;
use std::path::Path;

use aya::maps::{MapError, MapInfo};
use aya_obj::{Map, Object};
use proxy_common::tables;

use super::error::Error;

/// Checks each table's pin in `directory`, where there is one.
pub(super) fn check(object: &Object, directory: &Path) -> Result<(), Error> {
    for table in tables::ALL {
        let name = table.name;
        let definition = object.maps.get(name).ok_or(Error::Missing { kind: "map", name })?;
        let path = directory.join(name);
        if let Some(pinned) = pinned(&path, name)? {
            compare(&pinned, definition, &path)?;
        }
    }
    Ok(())
}

/// What is pinned at `path`; `None` if nothing is.
pub(super) fn pinned(path: &Path, name: &'static str) -> Result<Option<MapInfo>, Error> {
    match MapInfo::from_pin(path) {
        Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(None),
        pinned => pinned.map(Some).map_err(|source| Error::Map { name, source }),
    }
}

/// Whether a pinned map is as defined; an error names the first difference.
pub(super) fn compare(pinned: &MapInfo, definition: &Map, path: &Path) -> Result<(), Error> {
    let pinned_type = pinned.map_type().map_or(u32::MAX, |map_type| map_type as u32);
    let properties = [
        ("type", pinned_type, definition.map_type()),
        ("key size", pinned.key_size(), definition.key_size()),
        ("value size", pinned.value_size(), definition.value_size()),
        ("max_entries", pinned.max_entries(), definition.max_entries()),
        ("flags", pinned.map_flags(), definition.map_flags()),
    ];
    for (property, got, want) in properties {
        if got != want {
            return Err(Error::MapLayout { path: path.to_owned(), property, got, want });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aya::maps::HashMap;
    use aya_obj::generated::{BPF_F_NO_PREALLOC, bpf_map_type::BPF_MAP_TYPE_HASH, bpf_map_type::BPF_MAP_TYPE_LRU_HASH};

    use super::super::testing::Bpffs;
    use super::*;

    /// What comparing a pinned hash of 4-byte keys, 64-byte values and 16 entries with a definition says.
    fn compared(map_type: u32, key: u32, value: u32, max_entries: u32, flags: u32) -> Result<(), Error> {
        let bpffs = Bpffs::new();
        let path = bpffs.path().join("MAP");
        HashMap::<_, u32, [u8; 64]>::create(16, BPF_F_NO_PREALLOC).unwrap().pin(&path).unwrap();
        let definition = Map::new_from_params(map_type, key, value, max_entries, flags);
        compare(&MapInfo::from_pin(&path).unwrap(), &definition, &path)
    }

    #[test]
    fn the_same_layout_is_taken() {
        compared(BPF_MAP_TYPE_HASH as u32, 4, 64, 16, BPF_F_NO_PREALLOC).unwrap();
    }

    #[test]
    fn any_difference_is_named_with_both_values() {
        let hash = BPF_MAP_TYPE_HASH as u32;
        let cases = [
            (compared(BPF_MAP_TYPE_LRU_HASH as u32, 4, 64, 16, BPF_F_NO_PREALLOC), "type is 1, this agent needs 9"),
            (compared(hash, 8, 64, 16, BPF_F_NO_PREALLOC), "key size is 4, this agent needs 8"),
            (compared(hash, 4, 4, 16, BPF_F_NO_PREALLOC), "value size is 64, this agent needs 4"),
            (compared(hash, 4, 64, 32, BPF_F_NO_PREALLOC), "max_entries is 16, this agent needs 32"),
            (compared(hash, 4, 64, 16, 0), "flags is 1, this agent needs 0"),
        ];
        for (result, says) in cases {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("/MAP"), "{error}");
        }
    }
}
