//! The pinned links: which program is attached where.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use aya::programs::links::{FdLink, LinkError, PinnedLink as Pin};
use aya::programs::loaded_programs;

use super::{ReadError, version_directory};

/// A pinned link. While its pin exists its program is attached, with or without an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinnedLink {
    /// Name of the pin: the hook.
    pub name: String,
    /// The kernel's number of the link.
    pub id: u32,
    /// The kernel's number of the program.
    pub program_id: u32,
    /// Name of the program, empty where the kernel doesn't tell.
    pub program: String,
}

/// The links pinned below `bpffs`, by name; none where no agent has started.
pub fn links(bpffs: &Path) -> Result<Vec<PinnedLink>, ReadError> {
    let directory = version_directory(bpffs).join("links");
    let failed = |source| ReadError::Directory { path: directory.clone(), source };
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let programs = program_names();
    let mut links = Vec::new();
    for entry in entries {
        links.extend(link(&entry.map_err(failed)?.path(), &programs)?);
    }
    links.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(links)
}

/// `None` when the agent has removed it since it was listed, as it does when an interface goes.
fn link(path: &Path, programs: &HashMap<u32, String>) -> Result<Option<PinnedLink>, ReadError> {
    let failed = |source| ReadError::Link { path: path.into(), source };
    let pin = match Pin::from_pin(path) {
        Err(LinkError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => return Ok(None),
        pin => pin.map_err(failed)?,
    };
    let info = FdLink::from(pin).info().map_err(failed)?;
    Ok(Some(PinnedLink {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        id: info.id(),
        program_id: info.program_id(),
        program: programs.get(&info.program_id()).cloned().unwrap_or_default(),
    }))
}

/// Names by the kernel's numbers. A program may go while the list is read, which is no error.
fn program_names() -> HashMap<u32, String> {
    loaded_programs()
        .flatten()
        .map(|program| (program.id(), program.name_as_str().unwrap_or_default().into()))
        .collect()
}
