//! Access to the packet.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{__sk_buff, BPF_F_RECOMPUTE_CSUM};
use aya_ebpf::helpers::generated::{
    bpf_skb_change_head, bpf_skb_change_tail, bpf_skb_change_type, bpf_skb_load_bytes, bpf_skb_store_bytes,
};
use aya_ebpf::programs::TcContext;
use proxy_common::addr::Family;
use proxy_common::drop::Reason;
use proxy_common::packet::Packet;
use proxy_common::wire::{Bytes, Header, Ipv4, Ipv6};

use crate::maps::{HELD_BYTES, JUDGED_MARK};

const TRANSLATED: u32 = 0x51c3;

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: u32 = 14;
/// Offset of the `EtherType` in it.
const ETHERTYPE: u32 = 12;

/// Addresses of an Ethernet header.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Macs {
    pub(super) dst: [u8; 6],
    pub(super) src: [u8; 6],
}

// SAFETY: bytes only.
unsafe impl Header for Macs {}

/// A packet at a tc hook.
#[derive(Clone, Copy)]
pub(crate) struct Skb(pub(crate) *mut __sk_buff);

impl Skb {
    pub(crate) fn new(ctx: &TcContext) -> Self {
        Self(ctx.as_ptr().cast())
    }

    /// Length in bytes from the start of the link layer.
    #[inline(always)]
    pub(crate) fn length(self) -> u32 {
        // SAFETY: the kernel's context of this program.
        unsafe { (*self.0).len }
    }

    /// Interface the packet is on.
    #[inline(always)]
    pub(crate) fn ifindex(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).ifindex }
    }

    /// Interface it came in by; 0 when a program of this node sent it.
    #[inline(always)]
    pub(crate) fn ingress_ifindex(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).ingress_ifindex }
    }

    /// Notes that it is translated, for the hooks it meets on its way out of the node. Nothing else uses this field of
    /// a packet that a program of the node sent.
    #[inline(always)]
    pub(crate) fn set_translated(self) {
        // SAFETY: as above, and this member may be written.
        unsafe { (*self.0).tc_index = TRANSLATED };
    }

    /// See [`Self::set_translated`].
    #[inline(always)]
    pub(crate) fn is_translated(self) -> bool {
        self.has_mark(TRANSLATED)
    }

    /// Notes that it was judged where it came in, for the hooks it meets on its way out; `for_pod`: also whether it may
    /// reach the pod of this node that it is for.
    #[inline(always)]
    pub(crate) fn set_judged(self, for_pod: bool) {
        // SAFETY: as above, and this member may be written.
        unsafe { (*self.0).tc_index = judged_mark(for_pod) };
    }

    /// Whether it was judged where it came in.
    #[inline(always)]
    pub(crate) fn is_judged(self) -> bool {
        self.is_judged_for_pod() || self.has_mark(judged_mark(false))
    }

    /// Whether it was judged for a pod of this node.
    #[inline(always)]
    pub(crate) fn is_judged_for_pod(self) -> bool {
        self.has_mark(judged_mark(true))
    }

    /// Takes off what it brought along: another node's programs in the same kernel, or a pod's, may have left it.
    #[inline(always)]
    pub(crate) fn clear_mark(self) {
        // SAFETY: as above, and this member may be written.
        unsafe { (*self.0).tc_index = 0 };
    }

    /// Makes it one that came in for the host it is on, without what this node noted in it: as a packet is that crosses a
    /// pod's interface.
    #[inline(always)]
    pub(crate) fn enter_pod(self) -> Result<(), Reason> {
        const PACKET_HOST: u32 = 0;
        self.clear_mark();
        // SAFETY: as above, and this member may be written.
        unsafe { (*self.0).mark = 0 };
        // SAFETY: as above.
        if unsafe { (*self.0).pkt_type } == PACKET_HOST {
            return Ok(());
        }
        // SAFETY: the helper takes numbers only.
        done(unsafe { bpf_skb_change_type(self.0, PACKET_HOST) })
    }

    #[inline(always)]
    fn has_mark(self, mark: u32) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).tc_index == mark }
    }

    /// `EtherType`, as it lies in memory.
    #[inline(always)]
    pub(crate) fn ethertype(self) -> u16 {
        // SAFETY: as above.
        unsafe { (*self.0).protocol as u16 }
    }

    /// Its link-layer destination is another host: a card in promiscuous mode shows what isn't meant for it, and the
    /// kernel's own stack ignores it.
    #[inline(always)]
    pub(crate) fn is_for_another_host(self) -> bool {
        const PACKET_OTHERHOST: u32 = 3;
        // SAFETY: as above.
        unsafe { (*self.0).pkt_type == PACKET_OTHERHOST }
    }

    /// Its link-layer destination is a group or everybody: it reaches many nodes, and the stack neither forwards nor
    /// answers it.
    #[inline(always)]
    pub(crate) fn is_for_many_hosts(self) -> bool {
        const PACKET_BROADCAST: u32 = 1;
        const PACKET_MULTICAST: u32 = 2;
        // SAFETY: as above.
        matches!(unsafe { (*self.0).pkt_type }, PACKET_BROADCAST | PACKET_MULTICAST)
    }

    /// It carries a VLAN tag that the kernel took off, so it belongs to another interface.
    #[inline(always)]
    pub(crate) fn has_vlan(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).vlan_present != 0 }
    }

    /// It carries a tag that names no VLAN, only a priority (IEEE 802.1Q, 9.6): the kernel's own stack reads past it.
    #[inline(always)]
    pub(crate) fn has_priority_tag(self) -> bool {
        const VLAN: u32 = 0x0fff;
        // SAFETY: as above.
        self.has_vlan() && unsafe { (*self.0).vlan_tci } & VLAN == 0
    }

    /// Payload of each segment it will be cut into; 0 for a packet that is one already.
    #[inline(always)]
    pub(crate) fn segment_size(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).gso_size }
    }

    /// Where the packet ends by its IP header; a short frame is padded behind it.
    #[inline(always)]
    pub(crate) fn ip_end(self, packet: &Packet) -> Result<u32, Reason> {
        let length = match packet.family {
            Family::V4 => self.header::<Ipv4>(packet.l3).map(|ip| u32::from(u16::from_be(ip.total_length))),
            Family::V6 => {
                self.header::<Ipv6>(packet.l3).map(|ip| Ipv6::LEN + u32::from(u16::from_be(ip.payload_length)))
            }
        };
        Ok(packet.l3 + length.ok_or(Reason::Malformed)?)
    }

    /// Writes `bytes` at `offset`; checksums are the caller's.
    #[inline(always)]
    pub(crate) fn store<T: Copy>(self, offset: u32, bytes: &T) -> Result<(), Reason> {
        self.store_with(offset, bytes, 0)
    }

    /// Writes `bytes` at `offset` where no checksum in the packet makes up for the change: the sum that a network card
    /// took over the whole packet follows it.
    #[inline(always)]
    pub(crate) fn store_unsummed<T: Copy>(self, offset: u32, bytes: &T) -> Result<(), Reason> {
        self.store_with(offset, bytes, u64::from(BPF_F_RECOMPUTE_CSUM))
    }

    #[inline(always)]
    fn store_with<T: Copy>(self, offset: u32, bytes: &T, flags: u64) -> Result<(), Reason> {
        let (from, length) = (core::ptr::from_ref(bytes).cast(), size_of::<T>() as u32);
        // SAFETY: `bytes` is readable for its size; the helper checks the packet's bounds.
        done(unsafe { bpf_skb_store_bytes(self.0, offset, from, length, flags) })
    }

    /// Copies the whole packet, and returns its length.
    ///
    /// # Errors
    /// [`Reason::Malformed`] when it is longer than `bytes`.
    #[inline(always)]
    pub(crate) fn load_all(self, bytes: &mut [u8; HELD_BYTES as usize]) -> Result<u32, Reason> {
        let length = self.length();
        let bounded = bounded(length).ok_or(Reason::Malformed)?;
        // SAFETY: `bytes` is writable for that length.
        done(unsafe { bpf_skb_load_bytes(self.0.cast(), 0, bytes.as_mut_ptr().cast(), bounded) })?;
        Ok(length)
    }

    /// Turns the packet into another, the first `length` of `bytes`, whatever sum a network card took over it.
    #[inline(always)]
    pub(crate) fn replace_all(self, bytes: &[u8; HELD_BYTES as usize], length: u32) -> Result<(), Reason> {
        let length = bounded(length).ok_or(Reason::RewriteFailed)?;
        self.resize(length)?;
        let flags = u64::from(BPF_F_RECOMPUTE_CSUM);
        // SAFETY: `bytes` is readable for that length; the helper checks the packet's bounds.
        done(unsafe { bpf_skb_store_bytes(self.0, 0, bytes.as_ptr().cast(), length, flags) })
    }

    /// Cuts or lengthens the packet; it is one packet after that, whatever it would have been cut into.
    #[inline(always)]
    pub(crate) fn resize(self, length: u32) -> Result<(), Reason> {
        // SAFETY: the helper takes numbers only; no pointer into the packet is kept.
        done(unsafe { bpf_skb_change_tail(self.0, length, 0) })
    }

    /// Gives a packet that begins with `link_layer` bytes of link-layer header an Ethernet header if that is none, as at
    /// a tunnel: the kernel redirects no packet without. Offsets that were read before are void.
    #[inline(always)]
    pub(crate) fn ensure_ethernet(self, link_layer: u32) -> Result<(), Reason> {
        if link_layer != 0 {
            return Ok(());
        }
        // SAFETY: the helper takes numbers only; no pointer into the packet is kept.
        done(unsafe { bpf_skb_change_head(self.0, ETHERNET, 0) })?;
        self.store(ETHERTYPE, &self.ethertype())
    }
}

impl Bytes for Skb {
    #[inline(always)]
    fn header<H: Header>(&self, offset: u32) -> Option<H> {
        let mut header = core::mem::MaybeUninit::<H>::uninit();
        // The helper also reads what lies outside the packet's first fragment of memory.
        // SAFETY: `header` is writable for its size; the helper checks the packet's bounds.
        let code =
            unsafe { bpf_skb_load_bytes(self.0.cast(), offset, header.as_mut_ptr().cast(), size_of::<H>() as u32) };
        // SAFETY: on success the helper has written all of it, and any bytes make up a header.
        (code == 0).then(|| unsafe { header.assume_init() })
    }
}

#[inline(always)]
fn judged_mark(for_pod: bool) -> u32 {
    u32::from(JUDGED_MARK.load()) ^ u32::from(!for_pod)
}

/// A packet's length, at most [`HELD_BYTES`], such that the verifier sees that it isn't 0. Before Linux 6.8 (commit
/// d028f87517d6) a comparison with 0 teaches it nothing, hence the least that a packet can have: a helper refuses to read
/// that much of one that is shorter still.
#[inline(always)]
fn bounded(length: u32) -> Option<u32> {
    if length > HELD_BYTES { None } else { Some(length.max(Ipv4::LEN)) }
}

/// A helper's code as a result.
#[inline(always)]
pub(crate) fn done(code: i64) -> Result<(), Reason> {
    if code < 0 { Err(Reason::RewriteFailed) } else { Ok(()) }
}
