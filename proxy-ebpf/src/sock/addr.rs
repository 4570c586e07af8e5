//! The address that a socket call names.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie};
use aya_ebpf::programs::SockAddrContext;
use proxy_common::addr::{Addr, Family, Port};
use proxy_common::service::Client;

use crate::maps::{HOST_NETNS_COOKIE, SOCKET_LB_HOST_ONLY};

/// A call of the socket API that names a peer.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    context: *mut bpf_sock_addr,
    family: Family,
}

impl Call {
    /// `family` is that of the hook, and so of the address; an IPv6 socket may name an IPv4 peer by its mapped address.
    #[inline(always)]
    pub(crate) fn new(ctx: &SockAddrContext, family: Family) -> Self {
        Self { context: ctx.as_ptr().cast(), family }
    }

    /// The peer's address.
    #[inline(always)]
    pub(crate) fn addr(self) -> Addr {
        // SAFETY: the kernel's context of this program; each word is read whole.
        unsafe {
            match self.family {
                Family::V4 => Addr::from_v4_word(core::ptr::read_volatile(&raw const (*self.context).user_ip4)),
                Family::V6 => {
                    let word =
                        |i: usize| core::ptr::read_volatile((&raw const (*self.context).user_ip6).cast::<u32>().add(i));
                    Addr::from_words([word(0), word(1), word(2), word(3)])
                }
            }
        }
    }

    /// The peer's port.
    #[inline(always)]
    pub(crate) fn port(self) -> Port {
        // SAFETY: as above.
        Port::from_wire(unsafe { core::ptr::read_volatile(&raw const (*self.context).user_port) } as u16)
    }

    /// Puts another peer in its place.
    #[inline(always)]
    pub(crate) fn set(self, addr: Addr, port: Port) {
        // SAFETY: the kernel's context of this program; each word is written whole.
        unsafe {
            match self.family {
                Family::V4 => core::ptr::write_volatile(&raw mut (*self.context).user_ip4, addr.v4_word()),
                Family::V6 => {
                    let words = addr.words();
                    let mut i = 0;
                    while i < 4 {
                        core::ptr::write_volatile((&raw mut (*self.context).user_ip6).cast::<u32>().add(i), words[i]);
                        i += 1;
                    }
                }
            }
            core::ptr::write_volatile(&raw mut (*self.context).user_port, u32::from(port.wire()));
        }
    }

    /// The socket is bound to a loopback address.
    #[inline(always)]
    pub(crate) fn is_from_loopback(self) -> bool {
        // SAFETY: the kernel's context of this program, and its socket; each word is read whole.
        let source = unsafe {
            let sk = (*self.context).__bindgen_anon_1.sk;
            match self.family {
                Family::V4 => Addr::from_v4_word(core::ptr::read_volatile(&raw const (*sk).src_ip4)),
                Family::V6 => {
                    let word = |i: usize| core::ptr::read_volatile((&raw const (*sk).src_ip6).cast::<u32>().add(i));
                    Addr::from_words([word(0), word(1), word(2), word(3)])
                }
            }
        };
        source.is_loopback()
    }

    /// The socket has a peer, from which alone it takes datagrams.
    #[inline(always)]
    pub(crate) fn is_connected(self) -> bool {
        // SAFETY: the kernel's context of this program, and its socket.
        unsafe { core::ptr::read_volatile(&raw const (*(*self.context).__bindgen_anon_1.sk).dst_port) != 0 }
    }

    /// IP protocol number of the socket.
    #[inline(always)]
    pub(crate) fn protocol(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.context).protocol }
    }

    /// The kernel's cookie of the socket.
    #[inline(always)]
    pub(crate) fn cookie(self) -> u64 {
        // SAFETY: the helper takes the kernel's own context.
        unsafe { bpf_get_socket_cookie(self.context.cast()) }
    }

    /// Whose socket it is; `None` when its kind is not to be translated.
    #[inline(always)]
    pub(crate) fn client(self) -> Option<Client> {
        // SAFETY: the helper takes the kernel's own context.
        let netns = unsafe { bpf_get_netns_cookie(self.context.cast()) };
        if netns == HOST_NETNS_COOKIE.load() {
            Some(Client::Node)
        } else if SOCKET_LB_HOST_ONLY.load() != 0 {
            None
        } else {
            Some(Client::Pod)
        }
    }
}
