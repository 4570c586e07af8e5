//! What a host tells the neighbours on its link: ARP (RFC 826), neighbour discovery (RFC 4861), listener reports (RFC 3810).

use crate::addr::{Addr, protocol};
use crate::drop::Reason;
use crate::packet::{ETH_P_ARP, ETH_P_IP, ETH_P_IPV6};
use crate::wire::{Arp, Bytes, Icmp, Ipv6, NeighbourMessage};

/// What a message says of the host that sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The address it comes from; in ARP the one it claims.
    pub from: Addr,
    /// The address that it says it has: neighbours will send there what is for that.
    pub addr: Addr,
    /// Whom it tells; unspecified in ARP, which never leaves the link.
    pub to: Addr,
    /// It says that it is a router, or where another is.
    pub router: bool,
}

const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// Reads a message that begins at `l3`; `None` for what is neither ARP nor ICMPv6.
///
/// # Errors
/// [`Reason::Malformed`] when it is cut short, or ARP of another link or protocol.
#[inline(always)]
pub fn parse(bytes: &(impl Bytes + ?Sized), ethertype: u16, l3: u32) -> Result<Option<Claim>, Reason> {
    match ethertype {
        ETH_P_ARP => arp(bytes, l3).map(Some),
        ETH_P_IPV6 => icmpv6(bytes, l3),
        _ => Ok(None),
    }
}

#[inline(always)]
fn arp(bytes: &(impl Bytes + ?Sized), l3: u32) -> Result<Claim, Reason> {
    const ETHERNET: u16 = 1_u16.to_be();
    let arp: Arp = bytes.header(l3).ok_or(Reason::Malformed)?;
    if (arp.hardware, arp.protocol, arp.hardware_length, arp.protocol_length) != (ETHERNET, ETH_P_IP, 6, 4) {
        return Err(Reason::Malformed);
    }
    let addr = Addr::from_v4_word(u32::from_ne_bytes(arp.sender));
    Ok(Claim { from: addr, addr, to: Addr::UNSPECIFIED, router: false })
}

#[inline(always)]
fn icmpv6(bytes: &(impl Bytes + ?Sized), l3: u32) -> Result<Option<Claim>, Reason> {
    let ip: Ipv6 = bytes.header(l3).ok_or(Reason::Malformed)?;
    let from = Addr::from_words(ip.src);
    let mut claim = Claim { from, addr: from, to: Addr::from_words(ip.dst), router: false };
    // What has extension headers is none of a neighbour's, but for a listener's report, which claims nothing.
    match ip.next_header {
        0 => return Ok(Some(claim)),
        protocol::ICMPV6 => {}
        _ => return Ok(None),
    }
    let icmp: Icmp = bytes.header(l3 + Ipv6::LEN).ok_or(Reason::Malformed)?;
    match icmp.kind {
        NEIGHBOUR_ADVERTISEMENT => {
            let message: NeighbourMessage = bytes.header(l3 + Ipv6::LEN).ok_or(Reason::Malformed)?;
            claim.addr = Addr::from_words(message.target);
        }
        ROUTER_ADVERTISEMENT | REDIRECT => claim.router = true,
        _ => {}
    }
    Ok(Some(claim))
}
