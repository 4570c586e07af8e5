//! A link that is pinned: a program attached for longer than an agent runs.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;

use super::error::Error;
use super::pins::pin_error;
use super::sys::{LinkTarget, link_detach, link_program, link_target, object_get};

/// Where the link pinned at `pin` is attached now.
pub(super) fn target(pin: &Path) -> Result<LinkTarget, Error> {
    let error = |source| Error::Link { action: "read", path: pin.to_owned(), source };
    link_target(object_get(pin).map_err(error)?.as_fd()).map_err(error)
}

/// The kernel's number of the program that the link pinned at `pin` attaches.
pub(super) fn program(pin: &Path) -> Result<u32, Error> {
    let error = |source| Error::Link { action: "read", path: pin.to_owned(), source };
    link_program(object_get(pin).map_err(error)?.as_fd()).map_err(error)
}

/// Detaches the link pinned at `pin`, and removes the pin. The kernel detaches a link by itself once nothing holds it, but
/// some time after the removal of its pin.
pub(super) fn remove(pin: &Path) -> Result<(), Error> {
    let error = |source| Error::Link { action: "detach", path: pin.to_owned(), source };
    link_detach(object_get(pin).map_err(error)?.as_fd()).map_err(error)?;
    fs::remove_file(pin).map_err(pin_error("remove", pin))
}
