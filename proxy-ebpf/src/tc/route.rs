//! Where packets go: the node's routes and interfaces.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{
    __sk_buff, bpf_fib_lookup as FibLookup, bpf_sock_tuple as SockTuple,
    bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 as SockTupleV4,
    bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 as SockTupleV6,
};
use aya_ebpf::helpers::generated::{
    bpf_fib_lookup, bpf_redirect, bpf_redirect_neigh, bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp,
};
use proxy_common::addr::{Addr, Family, Port, protocol};
use proxy_common::drop::Reason;
use proxy_common::nat::{Routes, Sockets, TcpEnd};
use proxy_common::packet::Packet;
use proxy_common::tables::{Device, FlowKey, device_flags};
use proxy_common::wire::{Bytes as _, Ipv4, Tcp};

use super::skb::Skb;
use crate::maps::DEVICES;
use crate::zero::clear;

/// The loopback interface has this index in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;
/// Entry of `DEVICES` with the node's own addresses, for interfaces that have none.
const NODE: u32 = 0;

#[expect(clippy::cast_possible_wrap, reason = "64 bytes")]
const FIB_LOOKUP_SIZE: i32 = size_of::<FibLookup>() as i32;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const BPF_FIB_LKUP_RET_SUCCESS: i64 = 0;
const BPF_FIB_LKUP_RET_NO_NEIGH: i64 = 7;
const BPF_FIB_LKUP_RET_FRAG_NEEDED: i64 = 8;
const BPF_F_CURRENT_NETNS: u64 = u64::MAX;

/// The interface by which a packet leaves, and how.
#[derive(Default)]
pub(crate) struct Route {
    ifindex: u32,
    /// Most bytes of IP that the way takes, where the packet has more.
    pub(crate) mtu: u16,
    /// Destination and source at the link layer, if there is one and the neighbour is known.
    macs: Option<[[u8; 6]; 2]>,
}

/// Asks the node's routes about a packet with these addresses and ports, `length` bytes of IP long (0: not checked),
/// and writes what they say to `route`.
///
/// # Errors
/// [`Reason::TooBig`] when it is larger than [`Route::mtu`], [`Reason::NoRoute`].
#[inline(never)]
pub(crate) fn look_up(skb: Skb, key: &FlowKey, length: u32, route: &mut Route) -> Result<(), Reason> {
    let mut fib = MaybeUninit::<FibLookup>::uninit();
    // SAFETY: writable, and integers only, in whole words: all zero is a value.
    let fib = unsafe {
        clear(fib.as_mut_ptr());
        fib.assume_init_mut()
    };
    fib.l4_protocol = key.protocol as u8;
    fib.sport = key.src_port.wire();
    fib.dport = key.dst_port.wire();
    fib.ifindex = skb.ifindex();
    fib.__bindgen_anon_1.tot_len = length as u16;
    // The kernel forwards nothing from `::1`: this is about the packet with the source that it is going to get.
    let src = if key.src.is_loopback() { Addr::UNSPECIFIED } else { key.src };
    match key.dst.family() {
        Family::V4 => {
            fib.family = AF_INET;
            fib.__bindgen_anon_3.ipv4_src = src.v4_word();
            fib.__bindgen_anon_4.ipv4_dst = key.dst.v4_word();
        }
        Family::V6 => {
            fib.family = AF_INET6;
            fib.__bindgen_anon_3.ipv6_src = src.words();
            fib.__bindgen_anon_4.ipv6_dst = key.dst.words();
        }
    }
    // SAFETY: `fib` is writable for its size.
    let code = unsafe { bpf_fib_lookup(skb.0.cast(), fib, FIB_LOOKUP_SIZE, 0) };
    route.ifindex = fib.ifindex;
    route.macs = (code == BPF_FIB_LKUP_RET_SUCCESS && !has_no_mac(fib.ifindex)).then_some([fib.dmac, fib.smac]);
    match code {
        BPF_FIB_LKUP_RET_SUCCESS | BPF_FIB_LKUP_RET_NO_NEIGH => Ok(()),
        BPF_FIB_LKUP_RET_FRAG_NEEDED => {
            // SAFETY: the kernel has written this member of the union.
            route.mtu = unsafe { fib.__bindgen_anon_1.mtu_result };
            Err(Reason::TooBig)
        }
        _ => Err(Reason::NoRoute),
    }
}

/// An interface without link-layer header. A packet goes there with a route of the kernel's (`bpf_redirect_neigh`): IPIP to
/// many nodes at once, as Calico has it, sends a packet to the node that its route names, and drops one that has none.
#[inline(always)]
fn has_no_mac(ifindex: u32) -> bool {
    device(ifindex).is_some_and(|device| device.flags & device_flags::NO_MAC != 0)
}

/// Bytes of IP that the packet takes on the link: of one segment, when it will be cut. 0 when that is not known.
#[inline(always)]
pub(crate) fn length_on_link(skb: Skb, packet: &Packet) -> u32 {
    let payload = skb.segment_size();
    if payload == 0 {
        return skb.length().saturating_sub(packet.l3);
    }
    let header = match packet.key.protocol as u8 {
        protocol::TCP => skb.header::<Tcp>(packet.l4).map_or(Tcp::LEN, |tcp| u32::from(tcp.offset >> 4) * 4),
        // SCTP's segments are packets of their own, made to fit the way; their size is not to be had.
        protocol::SCTP => return 0,
        _ => 8,
    };
    packet.l4.saturating_sub(packet.l3) + header + payload
}

/// Whether a router may cut the packet into fragments where it is too large (RFC 791, 2.3; none may in IPv6).
#[inline(always)]
pub(crate) fn may_be_cut(skb: Skb, packet: &Packet) -> bool {
    matches!(packet.family, Family::V4)
        && skb.segment_size() == 0
        && skb.header::<Ipv4>(packet.l3).is_some_and(|ip| !ip.dont_fragment())
}

/// Sends the packet, which begins with `link_layer` bytes of link-layer header, out by a route, past the node's own
/// stack.
#[inline(always)]
pub(crate) fn send(skb: Skb, link_layer: u32, route: &Route) -> Result<(), Reason> {
    skb.ensure_ethernet(link_layer)?;
    match &route.macs {
        Some(macs) => {
            skb.store(0, macs)?;
            redirect(route.ifindex, 0);
        }
        None => {
            // SAFETY: no parameters: the kernel looks the next hop up.
            unsafe { bpf_redirect_neigh(route.ifindex, core::ptr::null_mut(), 0, 0) };
        }
    }
    Ok(())
}

/// Hands the packet, which begins with `link_layer` bytes of link-layer header, to the node itself as if it came by the loopback interface, where a source that is the node's own
/// is no lie.
#[inline(always)]
pub(crate) fn deliver_to_node(skb: Skb, link_layer: u32) -> Result<(), Reason> {
    const BPF_F_INGRESS: u64 = 1;
    skb.ensure_ethernet(link_layer)?;
    // The loopback interface's own address at the link layer is all zero.
    skb.store(0, &[0_u8; 12])?;
    redirect(LOOPBACK, BPF_F_INGRESS);
    Ok(())
}

/// Out of an interface, or into it, once the program returns `TC_ACT_REDIRECT`. Flags that the kernel doesn't know are
/// all that could fail.
#[inline(always)]
pub(crate) fn redirect(ifindex: u32, flags: u64) {
    // SAFETY: the helper takes numbers only.
    unsafe { bpf_redirect(ifindex, flags) };
}

impl Routes for Skb {
    #[inline(never)]
    fn source_towards(&self, packet: &FlowKey) -> Option<Addr> {
        let family = packet.dst.family();
        let source = |ifindex: u32| {
            let device = device(ifindex)?;
            let addr = match family {
                Family::V4 => device.ipv4,
                Family::V6 => device.ipv6,
            };
            addr.is_specified().then_some(addr)
        };
        let mut route = Route::default();
        // Too big to leave, it still has a way out: what it is told, it is told as its flow's packet.
        if matches!(look_up(*self, packet, 0, &mut route), Err(Reason::NoRoute)) {
            return None;
        }
        source(route.ifindex).or_else(|| source(NODE))
    }

    #[inline(never)]
    fn has_socket(&self, packet: &FlowKey, sockets: Sockets) -> bool {
        let netns = match sockets {
            Sockets::Nobodys => return false,
            Sockets::Nodes => BPF_F_CURRENT_NETNS,
            Sockets::Pods => match pod_netns(self.ifindex()) {
                Some(netns) => netns,
                None => return false,
            },
        };
        look_up_socket(self.0, packet, netns) != NO_SOCKET
    }

    #[inline(never)]
    fn tcp_end(&self, ifindex: u32, segment: &FlowKey) -> TcpEnd {
        let Some(netns) = pod_netns(ifindex) else { return TcpEnd::None };
        if matches!(look_up_socket(self.0, segment, netns), NO_SOCKET | LISTENING) {
            return TcpEnd::None;
        }
        // No connection has the port 0 at its other end: what is found for it listens.
        let mut first = *segment;
        first.src_port = Port::default();
        if look_up_socket(self.0, &first, netns) == LISTENING { TcpEnd::Server } else { TcpEnd::Client }
    }
}

/// Address of the pod behind an interface; `None` while it isn't known.
#[inline(always)]
pub(crate) fn pod_behind(ifindex: u32, family: Family) -> Option<Addr> {
    let device = device(ifindex)?;
    let addr = match family {
        Family::V4 => device.pod_ipv4,
        Family::V6 => device.pod_ipv6,
    };
    addr.is_specified().then_some(addr)
}

/// Network namespace of the pod behind an interface.
#[inline(always)]
fn pod_netns(ifindex: u32) -> Option<u64> {
    let pod = device(ifindex)?;
    (pod.flags & device_flags::POD_NETNS != 0).then_some(u64::from(pod.netns))
}

/// What is known of an interface.
#[inline(always)]
pub(super) fn device(ifindex: u32) -> Option<&'static Device> {
    // SAFETY: the kernel keeps the element's memory readable until the program ends, and it is copied at once.
    unsafe { DEVICES.get(ifindex) }
}

/// No socket: no state has this number.
const NO_SOCKET: u32 = 0;
/// `TCP_LISTEN`.
const LISTENING: u32 = 10;
/// `TCP_ESTABLISHED`, which stands for all that UDP's sockets are.
const OPEN: u32 = 1;

/// State of the socket that gets packets with these addresses and ports.
#[inline(never)]
fn look_up_socket(skb: *mut __sk_buff, packet: &FlowKey, netns: u64) -> u32 {
    // Only what the kernel reads is written: zeroes first would be a call too deep.
    let mut tuple = MaybeUninit::<SockTuple>::uninit();
    let tuple = tuple.as_mut_ptr();
    // SAFETY: `tuple` is writable, and integers need no value to be written over.
    let size = unsafe {
        match packet.dst.family() {
            Family::V4 => {
                (*tuple).__bindgen_anon_1.ipv4 = SockTupleV4 {
                    saddr: packet.src.v4_word(),
                    daddr: packet.dst.v4_word(),
                    sport: packet.src_port.wire(),
                    dport: packet.dst_port.wire(),
                };
                12
            }
            Family::V6 => {
                (*tuple).__bindgen_anon_1.ipv6 = SockTupleV6 {
                    saddr: packet.src.words(),
                    daddr: packet.dst.words(),
                    sport: packet.src_port.wire(),
                    dport: packet.dst_port.wire(),
                };
                36
            }
        }
    };
    match packet.protocol as u8 {
        // SAFETY: `tuple` is readable for `size` bytes; the look-up lends us the socket, and it is given back once.
        protocol::TCP => unsafe {
            let socket = bpf_skc_lookup_tcp(skb.cast(), tuple, size, netns, 0);
            if socket.is_null() {
                return NO_SOCKET;
            }
            let state = (*socket).state;
            bpf_sk_release(socket.cast());
            state
        },
        // SAFETY: as above.
        protocol::UDP => unsafe {
            let socket = bpf_sk_lookup_udp(skb.cast(), tuple, size, netns, 0);
            if socket.is_null() {
                return NO_SOCKET;
            }
            bpf_sk_release(socket.cast());
            OPEN
        },
        // The kernel finds no others.
        _ => NO_SOCKET,
    }
}
