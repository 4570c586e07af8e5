//! Headers as they lie in a packet (RFC 791, 8200, 9293, 768, 9260, 792, 4443), every field in network order.

/// A header that any bytes of its length make up.
///
/// # Safety
/// The type is `repr(C)`, has no padding and holds integers only.
pub unsafe trait Header: Copy {}

/// Something headers are read from: a packet in the kernel, or bytes in a test.
pub trait Bytes {
    /// The header at `offset` bytes from the start of the link layer, if the packet reaches that far.
    fn header<H: Header>(&self, offset: u32) -> Option<H>;
}

/// IPv4 header without options.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ipv4 {
    /// Version (upper half) and header length in words of four bytes.
    pub version_length: u8,
    /// Differentiated services.
    pub tos: u8,
    /// Length of header and payload.
    pub total_length: u16,
    /// Identification, for fragments.
    pub id: u16,
    /// Flags and fragment offset.
    pub fragment: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Checksum of the header.
    pub checksum: u16,
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
}

impl Ipv4 {
    /// Offset of `checksum`.
    pub const CHECKSUM: u32 = 10;
    /// Offset of `src`; `dst` follows.
    pub const SRC: u32 = 12;
    /// Offset of `dst`.
    pub const DST: u32 = 16;
    /// Offset of `ttl`.
    pub const TTL: u32 = 8;
    /// Length without options.
    pub const LEN: u32 = 20;

    /// Length with options, in bytes.
    #[inline(always)]
    #[must_use]
    pub const fn length(&self) -> u32 {
        (self.version_length as u32 & 0xf) * 4
    }

    /// Offset of this fragment in units of eight bytes; 0 in a first fragment and in a whole packet.
    #[inline(always)]
    #[must_use]
    pub const fn fragment_offset(&self) -> u16 {
        u16::from_be(self.fragment) & 0x1fff
    }

    /// It is a fragment, and not the last.
    #[inline(always)]
    #[must_use]
    pub const fn more_fragments(&self) -> bool {
        u16::from_be(self.fragment) & 0x2000 != 0
    }

    /// No router may cut it.
    #[inline(always)]
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        u16::from_be(self.fragment) & 0x4000 != 0
    }
}

/// IPv6 header without extensions.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ipv6 {
    /// Version, traffic class and flow label.
    pub version_class_label: u32,
    /// Length after this header.
    pub payload_length: u16,
    /// Protocol number of the next header.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub src: [u32; 4],
    /// Destination address.
    pub dst: [u32; 4],
}

impl Ipv6 {
    /// Offset of `src`.
    pub const SRC: u32 = 8;
    /// Offset of `dst`.
    pub const DST: u32 = 24;
    /// Offset of `hop_limit`.
    pub const HOP_LIMIT: u32 = 7;
    /// Length.
    pub const LEN: u32 = 40;
}

/// Start of an IPv6 extension header: hop-by-hop, routing, destination options; also of a fragment header.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ipv6Extension {
    /// Protocol number of the next header.
    pub next_header: u8,
    /// Length beyond the first eight bytes, in units of eight bytes (of four, plus one, in an authentication header).
    pub length: u8,
}

/// IPv6 fragment header.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ipv6Fragment {
    /// Protocol number of the next header.
    pub next_header: u8,
    /// Nothing.
    pub reserved: u8,
    /// Offset in units of eight bytes (upper 13 bits) and flags.
    pub fragment: u16,
    /// Identification.
    pub id: u32,
}

impl Ipv6Fragment {
    /// Length.
    pub const LEN: u32 = 8;

    /// Offset of this fragment in units of eight bytes; 0 in a first fragment.
    #[inline(always)]
    #[must_use]
    pub const fn offset(&self) -> u16 {
        u16::from_be(self.fragment) >> 3
    }

    /// It is not the last.
    #[inline(always)]
    #[must_use]
    pub const fn more(&self) -> bool {
        u16::from_be(self.fragment) & 1 != 0
    }
}

/// TCP header without options.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Tcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Header length in words of four bytes (upper half).
    pub offset: u8,
    /// Flags.
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Checksum.
    pub checksum: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

impl Tcp {
    /// Offset of `checksum`.
    pub const CHECKSUM: u32 = 16;
    /// Length without options.
    pub const LEN: u32 = 20;
    /// Flag: no more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Flag: opens a connection.
    pub const SYN: u8 = 0x02;
    /// Flag: ends a connection at once.
    pub const RST: u8 = 0x04;
    /// Flag: the acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// UDP header.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Udp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Length of header and payload.
    pub length: u16,
    /// Checksum; 0 in IPv4 means none.
    pub checksum: u16,
}

impl Udp {
    /// Offset of `checksum`.
    pub const CHECKSUM: u32 = 6;
    /// Length.
    pub const LEN: u32 = 8;
}

/// SCTP common header.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Sctp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag: the receiver's, 0 in an INIT.
    pub tag: u32,
    /// CRC32C over header and chunks, this field as 0; not over addresses.
    pub checksum: u32,
}

impl Sctp {
    /// Offset of `checksum`.
    pub const CHECKSUM: u32 = 8;
    /// Length; chunks follow.
    pub const LEN: u32 = 12;
}

/// Header of an SCTP chunk.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SctpChunk {
    /// Type.
    pub kind: u8,
    /// Meaning depends on the type.
    pub flags: u8,
    /// Length with this header.
    pub length: u16,
}

impl SctpChunk {
    /// Length.
    pub const LEN: u32 = 4;
}

/// Start of a TCP, UDP or SCTP header: what an ICMP error surely quotes of one.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ports {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
}

impl Ports {
    /// The four bytes as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        let ([a, b], [c, d]) = (self.src.to_ne_bytes(), self.dst.to_ne_bytes());
        u32::from_ne_bytes([a, b, c, d])
    }
}

/// ICMP or ICMPv6 header of an error message.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum.
    pub checksum: u16,
    /// Meaning depends on the type; the next link's MTU in "fragmentation needed" and "packet too big".
    pub rest: u32,
}

impl Icmp {
    /// Offset of `checksum`.
    pub const CHECKSUM: u32 = 2;
    /// Length; the packet an error is about follows.
    pub const LEN: u32 = 8;
}

/// ARP for IPv4 on Ethernet (RFC 826).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Arp {
    /// Of the link: 1, Ethernet.
    pub hardware: u16,
    /// Of the addresses, as an `EtherType`.
    pub protocol: u16,
    /// Bytes of a link-layer address.
    pub hardware_length: u8,
    /// Bytes of an address.
    pub protocol_length: u8,
    /// Request or reply.
    pub operation: u16,
    /// The sender's link-layer address.
    pub sender_mac: [u8; 6],
    /// The address that the sender says it has.
    pub sender: [u8; 4],
    /// The receiver's link-layer address.
    pub target_mac: [u8; 6],
    /// The address that is asked for, or told.
    pub target: [u8; 4],
}

/// Start of a neighbour or router message (RFC 4861, 4).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NeighbourMessage {
    /// ICMPv6 type and the rest of its header.
    pub icmp: Icmp,
    /// The address that is asked for, or told.
    pub target: [u32; 4],
}

// SAFETY: integers only, repr(C), no padding: 2 + 2 + 1 + 1 + 2 + 6 + 4 + 6 + 4.
unsafe impl Header for Arp {}
// SAFETY: integers only, repr(C), no padding: 8 + 16.
unsafe impl Header for NeighbourMessage {}
// SAFETY: integers only, repr(C), no padding: 1 + 1 + 2 + 2 + 2 + 1 + 1 + 2 + 4 + 4.
unsafe impl Header for Ipv4 {}
// SAFETY: integers only, repr(C), no padding: 4 + 2 + 1 + 1 + 16 + 16.
unsafe impl Header for Ipv6 {}
// SAFETY: integers only, repr(C), no padding: 1 + 1.
unsafe impl Header for Ipv6Extension {}
// SAFETY: integers only, repr(C), no padding: 1 + 1 + 2 + 4.
unsafe impl Header for Ipv6Fragment {}
// SAFETY: integers only, repr(C), no padding: 2 + 2 + 4 + 4 + 1 + 1 + 2 + 2 + 2.
unsafe impl Header for Tcp {}
// SAFETY: integers only, repr(C), no padding: four of 2.
unsafe impl Header for Udp {}
// SAFETY: integers only, repr(C), no padding: 2 + 2 + 4 + 4.
unsafe impl Header for Sctp {}
// SAFETY: integers only, repr(C), no padding: 1 + 1 + 2.
unsafe impl Header for SctpChunk {}
// SAFETY: integers only, repr(C), no padding: two of 2.
unsafe impl Header for Ports {}
// SAFETY: integers only, repr(C), no padding: 1 + 1 + 2 + 4.
unsafe impl Header for Icmp {}

const _: () = assert!(size_of::<Ipv4>() == Ipv4::LEN as usize);
const _: () = assert!(size_of::<Ipv6>() == Ipv6::LEN as usize);
const _: () = assert!(size_of::<Tcp>() == Tcp::LEN as usize);
const _: () = assert!(size_of::<Sctp>() == Sctp::LEN as usize);
const _: () = assert!(size_of::<SctpChunk>() == SctpChunk::LEN as usize);
const _: () = assert!(size_of::<Arp>() == 28);
const _: () = assert!(size_of::<Icmp>() == Icmp::LEN as usize);

impl Bytes for [u8] {
    fn header<H: Header>(&self, offset: u32) -> Option<H> {
        let start = offset as usize;
        let bytes = self.get(start..start.checked_add(size_of::<H>())?)?;
        // SAFETY: `bytes` is as long as `H`, any bytes make up a header, and the read doesn't ask for alignment.
        Some(unsafe { core::ptr::read_unaligned(bytes.as_ptr().cast()) })
    }
}
