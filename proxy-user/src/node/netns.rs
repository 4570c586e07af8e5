//! The network namespace of the agent.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;

/// The kernel's number for the calling thread's network namespace, unique until reboot: what the programs see as the
/// namespace of a socket (`SO_NETNS_COOKIE`, Linux 5.14, commit e8b9eab99232).
pub fn cookie() -> io::Result<u64> {
    // Unlike an IP socket it can be had whatever the namespace's addresses are.
    let socket = UnixDatagram::unbound()?;
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the option's value is a u64, which is where the pointer leads and what the length says.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}
