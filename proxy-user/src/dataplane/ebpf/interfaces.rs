//! The interfaces of this network namespace, by index.

use std::ffi::CStr;
use std::io;
use std::os::unix::net::UnixDatagram;

use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;

use super::error::Error;

/// Index and name of each.
pub(super) fn list() -> Result<Vec<(u32, String)>, Error> {
    // SAFETY: takes nothing; the array it returns is ours until it is freed below.
    let array = unsafe { libc::if_nameindex() };
    if array.is_null() {
        return Err(Error::Interfaces(io::Error::last_os_error()));
    }
    let mut interfaces = Vec::new();
    let mut entry = array;
    loop {
        // SAFETY: `entry` is in the array, whose last element has index 0; we stop there.
        let interface = unsafe { &*entry };
        if interface.if_index == 0 {
            break;
        }
        // SAFETY: every other element's name is a string that lives until the array is freed.
        let name = unsafe { CStr::from_ptr(interface.if_name) };
        interfaces.push((interface.if_index, name.to_string_lossy().into_owned()));
        // SAFETY: this element wasn't the last.
        entry = unsafe { entry.add(1) };
    }
    // SAFETY: from if_nameindex, and not used any more.
    unsafe { libc::if_freenameindex(array) };
    Ok(interfaces)
}

/// Name of an interface; `None` when it is gone.
pub(super) fn name(ifindex: u32) -> Result<Option<String>, Error> {
    // Any socket will do to ask on.
    let socket = UnixDatagram::unbound().map_err(Error::Interfaces)?;
    match index_to_name(&socket, ifindex) {
        Err(Errno::NODEV) => Ok(None),
        name => name.map(Some).map_err(|errno| Error::Interfaces(errno.into())),
    }
}
