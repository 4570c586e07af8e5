//! The IP header, and what is between it and the transport's.

use core::mem::MaybeUninit;

use super::{ETH_P_IP, ETH_P_IPV6, Part};
use crate::addr::{Addr, Family};
use crate::drop::Reason;
use crate::wire::{Bytes, Ipv4, Ipv6, Ipv6Extension, Ipv6Fragment};

/// Most IPv6 extension headers we look behind. RFC 8200, 4.1 lists seven at the most; more is no honest packet, and is of
/// the protocol of the header that we stop at: its receiver may see a transport behind, we don't.
const MAX_EXTENSIONS: u32 = 7;

/// An IP header, up to where the transport's begins.
#[repr(C)]
pub struct Network {
    pub(super) family: Family,
    pub(super) src: Addr,
    pub(super) dst: Addr,
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    pub(super) checksum: u16,
    /// Length with options or extension headers.
    pub(super) length: u32,
    /// Bytes from the header's start to the packet's end by its own account; 0 where that is more than the field can say,
    /// as before its segmentation by the network card.
    pub(super) total: u32,
    pub(super) part: Part,
    /// Offset of a later fragment in units of eight bytes.
    pub(super) offset: u16,
    pub(super) fragment_id: u32,
    pub(super) fragment_protocol: u32,
}

impl Network {
    /// Whether so many bytes of the transport's header are the packet's own: behind its end the receiver finds nothing, or
    /// the next fragment's bytes (RFC 1858, 3.1; RFC 7112).
    ///
    /// # Errors
    /// [`Reason::Malformed`] when they are not.
    #[inline(always)]
    pub(super) fn holds(&self, header: u32) -> Result<(), Reason> {
        if self.total != 0 && self.length + header > self.total { Err(Reason::Malformed) } else { Ok(()) }
    }
}

/// Reads an IP header at `l3` into `to`; `None` for what isn't IP.
///
/// # Errors
/// [`Reason::Malformed`], [`Reason::MappedAddress`].
#[inline(always)]
pub fn network<'a>(
    bytes: &(impl Bytes + ?Sized),
    ethertype: u16,
    l3: u32,
    to: &'a mut MaybeUninit<Network>,
) -> Result<Option<&'a Network>, Reason> {
    match ethertype {
        ETH_P_IP => ipv4(bytes, l3, to).map(Some),
        ETH_P_IPV6 => ipv6(bytes, l3, to).map(Some),
        _ => Ok(None),
    }
}

#[inline(always)]
const fn part(offset: u16, more: bool) -> Part {
    match (offset, more) {
        (0, false) => Part::Whole,
        (0, true) => Part::First,
        _ => Part::Later,
    }
}

#[inline(always)]
fn ipv4<'a>(bytes: &(impl Bytes + ?Sized), l3: u32, to: &'a mut MaybeUninit<Network>) -> Result<&'a Network, Reason> {
    let header: Ipv4 = bytes.header(l3).ok_or(Reason::Malformed)?;
    if header.length() < Ipv4::LEN {
        return Err(Reason::Malformed);
    }
    Ok(to.write(Network {
        family: Family::V4,
        src: Addr::from_v4_word(header.src),
        dst: Addr::from_v4_word(header.dst),
        protocol: header.protocol,
        ttl: header.ttl,
        checksum: header.checksum,
        length: header.length(),
        total: u32::from(u16::from_be(header.total_length)),
        part: part(header.fragment_offset(), header.more_fragments()),
        offset: header.fragment_offset(),
        fragment_id: u32::from(header.id),
        fragment_protocol: u32::from(header.protocol),
    }))
}

#[inline(always)]
fn ipv6<'a>(bytes: &(impl Bytes + ?Sized), l3: u32, to: &'a mut MaybeUninit<Network>) -> Result<&'a Network, Reason> {
    let header: Ipv6 = bytes.header(l3).ok_or(Reason::Malformed)?;
    let (src, dst) = (Addr::from_words(header.src), Addr::from_words(header.dst));
    if src.family() == Family::V4 || dst.family() == Family::V4 {
        return Err(Reason::MappedAddress);
    }
    let payload = u32::from(u16::from_be(header.payload_length));
    let network = to.write(Network {
        family: Family::V6,
        src,
        dst,
        protocol: header.next_header,
        ttl: header.hop_limit,
        checksum: 0,
        length: Ipv6::LEN,
        total: if payload == 0 { 0 } else { Ipv6::LEN + payload },
        part: Part::Whole,
        offset: 0,
        fragment_id: 0,
        fragment_protocol: 0,
    });
    read_extensions(bytes, l3, network)?;
    Ok(network)
}

/// Finds the transport's header, and what an extension header says of a fragment.
#[inline(always)]
fn read_extensions(bytes: &(impl Bytes + ?Sized), l3: u32, network: &mut Network) -> Result<(), Reason> {
    let mut next = network.protocol;
    let mut length = Ipv6::LEN;
    let mut is_fragment = false;
    let mut i = 0;
    while i < MAX_EXTENSIONS {
        i += 1;
        // Hop-by-hop options come first or not at all (RFC 8200, 4.1), and a fragment isn't cut again.
        if (next == 0 && length != Ipv6::LEN) || (next == 44 && is_fragment) {
            return Err(Reason::Malformed);
        }
        let in_eights = match next {
            // Hop-by-hop, routing, destination options (RFC 8200, 4.3, 4.4, 4.6).
            0 | 43 | 60 => true,
            // Fragment (RFC 8200, 4.5), authentication (RFC 4302, 2.2).
            44 | 51 => false,
            _ => break,
        };
        let extension: Ipv6Extension = bytes.header(l3 + length).ok_or(Reason::Malformed)?;
        length += match (in_eights, next) {
            (true, _) => (u32::from(extension.length) + 1) * 8,
            (false, 44) => 8,
            (false, _) => (u32::from(extension.length) + 2) * 4,
        };
        if next == 44 {
            let fragment: Ipv6Fragment = bytes.header(l3 + length - Ipv6Fragment::LEN).ok_or(Reason::Malformed)?;
            is_fragment = true;
            network.part = part(fragment.offset(), fragment.more());
            network.offset = fragment.offset();
            network.fragment_id = fragment.id;
            // What a later fragment says of its payload counts for nothing (RFC 8200, 4.5).
            if fragment.offset() != 0 {
                break;
            }
        }
        next = extension.next_header;
    }
    network.protocol = next;
    network.length = length;
    Ok(())
}
