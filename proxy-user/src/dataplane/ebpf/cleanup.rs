//! Removes everything that agents ever attached, pinned or changed.

use std::path::Path;

use super::error::Error;
use super::pins::{Pins, remove_directory, remove_version};
use super::{mount, sysctl, unhook};
use crate::mounts::is_bpffs;

/// Detaches all programs (pinned links, and filters at the interfaces of this network namespace), undoes changed kernel
/// settings, removes the maps and directories below `bpffs`, and unmounts it if an agent mounted it there. Returns what
/// it removed; a second run finds nothing. An error when an agent is running on `bpffs`.
pub fn cleanup(bpffs: &Path) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let pins = Pins::existing(bpffs)?;
    if let Some(pins) = &pins {
        for version in pins.versions()? {
            removed.extend(remove_version(&version)?.iter().map(|pin| pin.display().to_string()));
        }
        removed.extend(sysctl::restore(&pins.sysctls())?);
    }
    removed.extend(unhook::filters()?);
    if let Some(pins) = pins {
        remove_directory(&pins.rules())?;
        // A mount whose directory we hold, locked, is busy.
        drop(pins);
        removed.extend(remove_root(bpffs)?);
    }
    Ok(removed)
}

/// Removes the mount on the directory, or the directory itself where it is one of a BPF file system.
fn remove_root(bpffs: &Path) -> Result<Option<String>, Error> {
    if mount::unmount_ours(bpffs)? {
        return Ok(Some(format!("BPF file system at {}", bpffs.display())));
    }
    // A mount point stays, and a directory in which someone else has pinned something.
    let gone = is_bpffs(bpffs) && remove_directory(bpffs).is_ok_and(|done| done);
    Ok(gone.then(|| bpffs.display().to_string()))
}
