//! Addresses, ports and protocols as the tables hold them: one form for both families.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address, 16 bytes in network order; IPv4 in its mapped form `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
///
/// The mapped form never appears on the wire of a packet we accept, so the two families cannot meet in one table, and
/// an `AF_INET6` socket that asks for a mapped address finds the IPv4 Service without a case of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(C)]
pub struct Addr {
    /// The bytes of the address in the order of the wire, four at a time: what `bpf_sock_addr` and packets hold.
    words: [u32; 4],
}

/// IP version of an address or packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);

impl Addr {
    /// `::`, which stands for "none" and, for IPv6, for "any".
    pub const UNSPECIFIED: Self = Self { words: [0; 4] };

    /// `255.255.255.255`: every host of the link.
    pub const EVERYBODY: Self = Self::from_v4_word(u32::MAX);

    /// From the four bytes of an IPv4 address as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4_word(word: u32) -> Self {
        Self { words: [0, 0, MAPPED, word] }
    }

    /// From the sixteen bytes of an IPv6 address as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(words: [u32; 4]) -> Self {
        Self { words }
    }

    /// The address as it lies in memory.
    #[inline(always)]
    #[must_use]
    pub const fn words(&self) -> [u32; 4] {
        self.words
    }

    /// The four bytes of an IPv4 address (the last four of an IPv6 one) as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn v4_word(&self) -> u32 {
        self.words[3]
    }

    /// IPv4 in mapped form, or IPv6.
    #[inline(always)]
    #[must_use]
    pub const fn family(&self) -> Family {
        if self.words[0] == 0 && self.words[1] == 0 && self.words[2] == MAPPED { Family::V4 } else { Family::V6 }
    }

    /// Neither `0.0.0.0` nor `::`.
    #[inline(always)]
    #[must_use]
    pub fn is_specified(&self) -> bool {
        self.words[3] != 0
            || (self.words[2] != 0 && self.words[2] != MAPPED)
            || self.words[1] != 0
            || self.words[0] != 0
    }

    /// May be a single host's: neither unspecified nor a group's, nor everybody's. Nothing is answered to a source that
    /// may not (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)).
    #[inline(always)]
    #[must_use]
    pub fn is_single_host(&self) -> bool {
        self.is_specified() && !self.is_group() && *self != Self::EVERYBODY
    }

    /// A group's (multicast).
    #[inline(always)]
    #[must_use]
    pub const fn is_group(&self) -> bool {
        match self.family() {
            Family::V4 => self.words[3].to_ne_bytes()[0] & 0xf0 == 224,
            Family::V6 => self.words[0].to_ne_bytes()[0] == 0xff,
        }
    }

    /// IPv6's for the link alone: in `fe80::/10`.
    #[inline(always)]
    #[must_use]
    pub const fn is_link_local(&self) -> bool {
        let [first, second, ..] = self.words[0].to_ne_bytes();
        first == 0xfe && second & 0xc0 == 0x80
    }

    /// In 127.0.0.0/8, or `::1`.
    #[inline(always)]
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.family() {
            Family::V4 => self.words[3].to_ne_bytes()[0] == 127,
            Family::V6 => self.words == [0, 0, 0, u32::from_ne_bytes([0, 0, 0, 1])],
        }
    }
}

impl Family {
    /// The key under which a node port of this family stands in `SERVICES`: any address of the node.
    #[inline(always)]
    #[must_use]
    pub const fn any(self) -> Addr {
        match self {
            Self::V4 => Addr::from_v4_word(0),
            Self::V6 => Addr::UNSPECIFIED,
        }
    }

    /// The loopback address that stands for all of its family.
    #[inline(always)]
    #[must_use]
    pub const fn loopback(self) -> Addr {
        match self {
            Self::V4 => Addr::from_v4_word(u32::from_ne_bytes([127, 0, 0, 1])),
            Self::V6 => Addr::from_words([0, 0, 0, u32::from_ne_bytes([0, 0, 0, 1])]),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        let octets = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let word = |i: usize| u32::from_ne_bytes([octets[i], octets[i + 1], octets[i + 2], octets[i + 3]]);
        Self { words: [word(0), word(4), word(8), word(12)] }
    }
}

impl From<Addr> for IpAddr {
    fn from(addr: Addr) -> Self {
        match addr.family() {
            Family::V4 => Ipv4Addr::from(addr.words[3].to_ne_bytes()).into(),
            Family::V6 => {
                let mut octets = [0; 16];
                for (chunk, word) in octets.chunks_exact_mut(4).zip(addr.words) {
                    chunk.copy_from_slice(&word.to_ne_bytes());
                }
                Ipv6Addr::from(octets).into()
            }
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A port in network order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Port(u16);

impl Port {
    /// From a number in the machine's order.
    #[inline(always)]
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number.to_be())
    }

    /// From two bytes of the wire as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn from_wire(word: u16) -> Self {
        Self(word)
    }

    /// The two bytes as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn wire(self) -> u16 {
        self.0
    }

    /// The number in the machine's order.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u16 {
        u16::from_be(self.0)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// IP protocol numbers (IANA "Protocol Numbers") that we act on.
pub mod protocol {
    /// Internet Control Message Protocol.
    pub const ICMP: u8 = 1;
    /// Transmission Control Protocol.
    pub const TCP: u8 = 6;
    /// User Datagram Protocol.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// Stream Control Transmission Protocol.
    pub const SCTP: u8 = 132;

    /// The name Kubernetes gives a protocol, or its number's place-holder.
    #[must_use]
    pub const fn name(number: u8) -> &'static str {
        match number {
            TCP => "TCP",
            UDP => "UDP",
            SCTP => "SCTP",
            ICMP => "ICMP",
            ICMPV6 => "ICMPv6",
            _ => "?",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_is_held_in_mapped_form_and_comes_back() {
        let ip: IpAddr = "10.96.0.1".parse().unwrap();
        let addr = Addr::from(ip);
        assert_eq!(addr.family(), Family::V4);
        assert_eq!(IpAddr::from(addr), ip);
        assert_eq!(addr, Addr::from_v4_word(u32::from_ne_bytes([10, 96, 0, 1])));
    }

    #[test]
    fn ipv6_comes_back() {
        let ip: IpAddr = "fd00:96::1".parse().unwrap();
        assert_eq!(Addr::from(ip).family(), Family::V6);
        assert_eq!(IpAddr::from(Addr::from(ip)), ip);
    }

    #[test]
    fn only_127_and_the_loopback_address_are_loopback() {
        let loopback = |s: &str| Addr::from(s.parse::<IpAddr>().unwrap()).is_loopback();
        assert!(loopback("127.0.0.1") && loopback("127.9.8.7") && loopback("::1"));
        assert!(!loopback("128.0.0.1") && !loopback("::2") && !loopback("::"));
    }

    #[test]
    fn groups_and_everybody_and_nobody_are_no_single_host() {
        let single = |s: &str| Addr::from(s.parse::<IpAddr>().unwrap()).is_single_host();
        assert!(single("10.0.0.1") && single("223.255.255.255") && single("fe80::1"));
        assert!(["224.0.0.1", "239.1.2.3", "255.255.255.255", "0.0.0.0", "ff02::1", "::"].iter().all(|s| !single(s)));
    }

    #[test]
    fn unspecified_is_told_in_both_families() {
        assert!(!Family::V4.any().is_specified() && !Family::V6.any().is_specified());
        assert!(Addr::from("0.0.0.1".parse::<IpAddr>().unwrap()).is_specified());
        assert!(Addr::from("::1".parse::<IpAddr>().unwrap()).is_specified());
    }

    #[test]
    fn a_port_is_in_network_order() {
        assert_eq!(Port::new(80).wire().to_ne_bytes(), [0, 80]);
        assert_eq!(Port::from_wire(u16::from_ne_bytes([1, 2])).number(), 0x0102);
    }
}
