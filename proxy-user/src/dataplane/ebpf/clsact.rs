//! Programs at interfaces by filters of the clsact queueing discipline, for kernels without tcx.
//!
//! A filter stays when its agent ends. It has no pin: ours are known by a priority and a handle of our own, by which the
//! next agent replaces the program in one step. Priority 1 goes before other programs, which see what we hand on.

use std::io;
use std::mem::forget;

use aya::programs::links::Link;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact};
use aya::programs::{ProgramError, SchedClassifier, TcError};

use super::errno;
use super::hooks::Direction;

const PRIORITY: u16 = 1;
/// Identifies our filter among others of the same priority.
const HANDLE: TcHandle = TcHandle::new(0x51, 0x1ce);

/// Has `program` run at a hook, in the place of ours if there is one.
pub(super) fn attach(program: &mut SchedClassifier, ifname: &str, direction: Direction) -> Result<(), ProgramError> {
    match qdisc_add_clsact(ifname) {
        Ok(()) | Err(TcError::AlreadyAttached) => {}
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let id = match program.attach_to_link(ours(ifname, direction)?) {
        Err(error) if errno(&error) == Some(libc::ENOENT) => {
            let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
            program.attach_with_options(ifname, direction.attach_type(), TcAttachOptions::Netlink(options))?
        }
        attached => attached?,
    };
    // Dropping it would detach the program, which is to outlive this agent; it holds no resource of this process.
    forget(program.take_link(id)?);
    Ok(())
}

/// Takes our program from a hook; whether there was one. The queueing discipline stays: others may use it.
pub(super) fn detach(ifname: &str, direction: Direction) -> Result<bool, ProgramError> {
    match ours(ifname, direction).map_err(ProgramError::from).and_then(Link::detach) {
        // No such filter, no clsact at all, or the interface is gone.
        Err(error) if matches!(errno(&error), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => Ok(false),
        detached => detached.map(|()| true),
    }
}

fn ours(ifname: &str, direction: Direction) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(ifname, direction.attach_type(), PRIORITY, HANDLE, None)
}
