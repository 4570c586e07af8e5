//! Programs at the sockets of a control group, by pinned links.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{io, iter};

use aya::Ebpf;
use aya::programs::links::{CgroupAttachMode, FdLink};
use aya::programs::{CgroupSockAddr, ProgramError};

use super::error::Error;
use super::hooks::SOCKET_PROGRAMS;
use super::pinned_link;
use super::pins::pin_error;
use super::sys::{LinkTarget, link_target, link_update, object_get};

fn pin_of(program: &str, links: &Path) -> PathBuf {
    links.join(format!("cgroup-{program}"))
}

/// Has the socket programs run for all below `cgroup`, by links pinned in `links`, or taken from those of `others`.
pub(super) fn attach(ebpf: &mut Ebpf, cgroup: &Path, links: &Path, others: &[PathBuf]) -> Result<(), Error> {
    let error = |source| Error::Cgroup { path: cgroup.to_owned(), source };
    let directory = File::open(cgroup).map_err(error)?;
    // On cgroup2 a control group's number is its inode's.
    let id = directory.metadata().map_err(error)?.ino();
    for name in SOCKET_PROGRAMS {
        let program = ebpf.program_mut(name).ok_or(Error::Missing { kind: "program", name })?;
        let program: &mut CgroupSockAddr = program.try_into().map_err(|source| Error::Program { name, source })?;
        let pin = pin_of(name, links);
        if adopt_any(&pin, others, name, id, program)? {
            continue;
        }
        if pin.exists() {
            pinned_link::remove(&pin)?;
        }
        let link = new_link(program, &directory).map_err(|source| Error::Attach {
            program: name,
            target: cgroup.display().to_string(),
            source,
        })?;
        link.pin(&pin).map_err(|error| pin_error("pin a link at", &pin)(io::Error::other(error)))?;
    }
    Ok(())
}

/// Takes over the link pinned at `pin`, or the one of another version, which is pinned there from then on.
fn adopt_any(pin: &Path, others: &[PathBuf], name: &str, cgroup: u64, program: &CgroupSockAddr) -> Result<bool, Error> {
    for found in iter::once(pin.to_owned()).chain(others.iter().map(|links| pin_of(name, links))) {
        let taken = adopt(&found, cgroup, program);
        if taken.map_err(|source| Error::Link { action: "take over", path: found.clone(), source })? {
            if found != pin {
                fs::rename(&found, pin).map_err(pin_error("rename", &found))?;
            }
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives the link pinned at `pin` another program; false when there is none, or not at this control group.
fn adopt(pin: &Path, cgroup: u64, program: &CgroupSockAddr) -> io::Result<bool> {
    let link = match object_get(pin) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        link => link?,
    };
    match link_target(link.as_fd())? {
        LinkTarget::Cgroup { id, .. } if id == cgroup => {
            link_update(link.as_fd(), program.fd().map_err(io::Error::other)?.as_fd()).map(|()| true)
        }
        _ => Ok(false),
    }
}

fn new_link(program: &mut CgroupSockAddr, cgroup: &File) -> Result<FdLink, ProgramError> {
    // For links, Single means that other programs may be attached beside; the other modes' flags are refused (Linux
    // 5.7, commit af6eea57437a).
    let id = program.attach(cgroup, CgroupAttachMode::Single)?;
    let link = program.take_link(id)?;
    Ok(link.try_into().map_err(io::Error::other)?)
}

/// Takes the socket programs away; whether there were any.
pub(super) fn detach(links: &Path) -> Result<bool, Error> {
    let mut detached = false;
    for pin in SOCKET_PROGRAMS.map(|program| pin_of(program, links)) {
        if pin.exists() {
            pinned_link::remove(&pin)?;
            detached = true;
        }
    }
    Ok(detached)
}
