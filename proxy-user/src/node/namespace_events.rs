//! In which network namespace an address changed, of all those that have a number in this one.
//!
//! The kernel says so beside each notification, in a control message (`NETLINK_LISTEN_ALL_NSID` of `netlink(7)`), which
//! rtnetlink's connections don't pass on. What the notification itself says isn't needed.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd as _;

use rtnetlink::MulticastGroup;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::unix::AsyncFd;

/// What a notification told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// Addresses changed in the namespace with this number.
    In(i32),
    /// Addresses changed in this namespace itself.
    Here,
    /// Notifications were lost: it may have been anywhere.
    Anywhere,
}

/// A socket that hears of every namespace's addresses.
pub(super) struct NamespaceEvents {
    socket: AsyncFd<Socket>,
}

/// Room for one control message with a namespace's number; aligned as the kernel's header of it is.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    number: libc::c_int,
    padding: libc::c_int,
}

impl NamespaceEvents {
    /// # Errors
    /// `EPERM` where this process may not listen to other namespaces (`CAP_NET_BROADCAST`).
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_listen_all_namespaces(true)?;
        for group in [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr] {
            socket.add_membership(group as u32)?;
        }
        // SAFETY: the socket owns its descriptor, and nobody replaces or closes it while it is in there.
        let socket = unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)?;
        Ok(Self { socket })
    }

    /// Waits for the next notification.
    ///
    /// # Errors
    /// The socket's, which ends it.
    pub(super) async fn next(&self) -> io::Result<Told> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(told) = ready.try_io(|socket| receive(socket.get_ref())) {
                return told;
            }
        }
    }

    /// The next notification if there is one already.
    pub(super) fn next_now(&self) -> Option<Told> {
        receive(self.socket.get_ref()).ok()
    }
}

fn receive(socket: &Socket) -> io::Result<Told> {
    // SAFETY: integers and pointers only: all zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut control: Control = unsafe { std::mem::zeroed() };
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: the message has no buffer for data, and the one for control messages is writable for the length it says.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    if length < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOBUFS) { Ok(Told::Anywhere) } else { Err(error) };
    }
    let is_number = message.msg_controllen >= size_of::<libc::cmsghdr>() + size_of::<libc::c_int>()
        && control.header.cmsg_level == libc::SOL_NETLINK
        && control.header.cmsg_type == libc::NETLINK_LISTEN_ALL_NSID;
    Ok(if is_number { Told::In(control.number) } else { Told::Here })
}
