//! Programs at interfaces by tcx links (Linux 6.6, commit e420bed02507), pinned.
//!
//! A link that an earlier agent pinned is taken from its pin and given the new program in one step, so no packet meets a
//! hook without one. New links go before other programs at the hook: those may consume packets, while we hand on what
//! isn't ours (`TCX_NEXT`). Other programs' links are never touched.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, LinkOrder};
use aya::programs::tc::TcAttachOptions;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};

use super::error::Error;
use super::hooks::Direction;
use super::pinned_link;
use super::pins::{encoded, entries, pin_error};
use super::sys::{LinkTarget, link_update, object_get};

/// One direction of an interface, by index.
pub(super) type Hook = (u32, Direction);

/// The pinned links.
#[derive(Debug)]
pub(super) struct TcxLinks {
    directory: PathBuf,
    pins: BTreeMap<Hook, PathBuf>,
}

/// The kernel has tcx.
pub(super) fn is_supported() -> bool {
    SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok()
}

impl TcxLinks {
    /// Finds the links that earlier agents pinned in `directory`, or as other versions in `others`, by the hook each is
    /// attached to; removes those whose interface is gone.
    pub(super) fn open(directory: PathBuf, others: &[PathBuf]) -> Result<Self, Error> {
        let mut paths = Vec::new();
        for directory in others.iter().chain([&directory]) {
            paths.extend(entries(directory)?);
        }
        let mut links = Self { directory, pins: BTreeMap::new() };
        for path in paths {
            match pinned_link::target(&path)? {
                LinkTarget::Tcx { ifindex: 0, .. } => pinned_link::remove(&path)?,
                LinkTarget::Tcx { ifindex, attach_type } => {
                    if let Some(direction) = Direction::of_tcx(attach_type)
                        && let Some(twin) = links.pins.insert((ifindex, direction), path)
                    {
                        pinned_link::remove(&twin)?;
                    }
                }
                LinkTarget::Cgroup { .. } | LinkTarget::Other => {}
            }
        }
        Ok(links)
    }

    /// Has `program` run at a hook, by the pinned link or a new one.
    pub(super) fn attach(
        &mut self,
        program: &mut SchedClassifier,
        ifname: &str,
        (ifindex, direction): Hook,
    ) -> Result<(), AttachError> {
        let path = self.directory.join(format!("{}-{ifindex}-{}", encoded(ifname), direction.name()));
        let hook = (ifindex, direction);
        if let Some(pin) = self.pins.get(&hook) {
            if adopt(pin, program)? {
                return self.rename(hook, path);
            }
            self.detach(hook)?;
        }
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = program.attach_with_options(ifname, direction.attach_type(), options)?;
        let link: FdLink = program.take_link(id)?.try_into().expect("a tcx attachment is a link with a descriptor");
        link.pin(&path).map_err(|error| pin_error("pin a link at", &path)(io::Error::other(error)))?;
        // The name may have come to mean another interface since it was read with the index.
        if !matches!(pinned_link::target(&path)?, LinkTarget::Tcx { ifindex: attached, .. } if attached == ifindex) {
            pinned_link::remove(&path)?;
            return Err(io::Error::from_raw_os_error(libc::ENODEV).into());
        }
        self.pins.insert(hook, path);
        Ok(())
    }

    /// The interface may have another name than when its link was pinned, and the agent another version.
    fn rename(&mut self, hook: Hook, path: PathBuf) -> Result<(), AttachError> {
        if let Some(pin) = self.pins.get_mut(&hook)
            && *pin != path
        {
            fs::rename(&*pin, &path).map_err(pin_error("rename", pin))?;
            *pin = path;
        }
        Ok(())
    }

    /// Takes our program from a hook; whether there was one.
    pub(super) fn detach(&mut self, hook: Hook) -> Result<bool, Error> {
        self.pins.remove(&hook).map_or(Ok(false), |pin| pinned_link::remove(&pin).map(|()| true))
    }

    /// Every hook with a link of ours.
    pub(super) fn hooks(&self) -> Vec<Hook> {
        self.pins.keys().copied().collect()
    }
}

/// Why a program isn't attached.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<io::Error> for AttachError {
    fn from(error: io::Error) -> Self {
        Self::Program(error.into())
    }
}

/// Gives the link pinned at `pin` another program; false when its interface is gone.
fn adopt(pin: &Path, program: &SchedClassifier) -> Result<bool, AttachError> {
    let error = |source| Error::Link { action: "replace the program of", path: pin.to_owned(), source };
    let link = object_get(pin).map_err(error)?;
    match link_update(link.as_fd(), program.fd()?.as_fd()) {
        Err(failed) if failed.raw_os_error() == Some(libc::ENOLINK) => Ok(false),
        updated => Ok(updated.map(|()| true).map_err(error)?),
    }
}
