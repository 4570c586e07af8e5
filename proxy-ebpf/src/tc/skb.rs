//! Access to the packet.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_skb_store_bytes};
use aya_ebpf::programs::TcContext;
use proxy_common::drop::Reason;
use proxy_common::wire::{Bytes, Header};

const TRANSLATED: u32 = 0x51c3;

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
        // SAFETY: as above.
        unsafe { (*self.0).tc_index == TRANSLATED }
    }

    /// `EtherType`, as it lies in memory.
    #[inline(always)]
    pub(crate) fn ethertype(self) -> u16 {
        // SAFETY: as above.
        unsafe { (*self.0).protocol as u16 }
    }

    /// It carries a VLAN tag that the kernel took off, so it belongs to another interface.
    #[inline(always)]
    pub(crate) fn has_vlan(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).vlan_present != 0 }
    }

    /// Payload of each segment it will be cut into; 0 for a packet that is one already.
    #[inline(always)]
    pub(crate) fn segment_size(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).gso_size }
    }

    /// Writes `bytes` at `offset`; checksums are the caller's.
    #[inline(always)]
    pub(crate) fn store<T: Copy>(self, offset: u32, bytes: &T) -> Result<(), Reason> {
        // SAFETY: `bytes` is readable for its size; the helper checks the packet's bounds.
        let code =
            unsafe { bpf_skb_store_bytes(self.0, offset, core::ptr::from_ref(bytes).cast(), size_of::<T>() as u32, 0) };
        done(code)
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

/// A helper's code as a result.
#[inline(always)]
pub(crate) fn done(code: i64) -> Result<(), Reason> {
    if code < 0 { Err(Reason::RewriteFailed) } else { Ok(()) }
}
