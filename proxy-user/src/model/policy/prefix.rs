//! Networks in the order of their addresses, IPv4 in its mapped form.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

/// What stands before an IPv4 address: `::ffff:0:0/96` (RFC 4291, 2.5.5.2).
const MAPPED: Prefix = Prefix { addr: 0xffff_0000_0000, len: 96 };

/// The addresses that begin with the first `len` bits of `addr`, the rest of which is zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Prefix {
    addr: u128,
    len: u8,
}

impl Prefix {
    fn new(addr: u128, len: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
        Self { addr: addr & mask, len }
    }

    /// The whole of IPv4.
    pub(crate) const fn all_ipv4() -> Self {
        MAPPED
    }

    /// The network of its first `len` bits.
    pub(crate) fn truncated(self, len: u8) -> Self {
        Self::new(self.addr, len)
    }

    /// First address, as the tables have it, and length in bits of it.
    pub(crate) const fn parts(self) -> (u128, u8) {
        (self.addr, self.len)
    }

    /// Every address of `other` is one of these, whatever its family.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.len <= other.len && Self::new(other.addr, self.len) == self
    }

    /// Holds IPv6 addresses, and IPv4's mapped form among them: in a trie that knows no families it is IPv4's parent.
    pub(crate) fn is_above_ipv4(self) -> bool {
        self != MAPPED && self.contains(MAPPED)
    }

    pub(crate) fn is_ipv4(self) -> bool {
        MAPPED.contains(self)
    }

    /// The longest that holds both.
    fn common(self, other: Self) -> Self {
        let same = (self.addr ^ other.addr).leading_zeros() as u8;
        Self::new(self.addr, same.min(self.len).min(other.len))
    }

    fn parent(self) -> Option<Self> {
        self.len.checked_sub(1).map(|len| Self::new(self.addr, len))
    }

    /// The longest of the keys of `map` that holds this, itself included.
    pub(crate) fn longest<V>(self, map: &BTreeMap<Self, V>) -> Option<(Self, &V)> {
        let mut probe = self;
        loop {
            let (found, value) = map.range(..=probe).next_back()?;
            if found.contains(self) {
                return Some((*found, value));
            }
            // A holder comes before what was found, so it holds that too.
            probe = found.common(self);
        }
    }

    /// All keys of `map` that hold this, the longest first, itself included.
    pub(crate) fn holders<V>(self, map: &BTreeMap<Self, V>) -> impl Iterator<Item = (Self, &V)> {
        let mut probe = Some(self);
        std::iter::from_fn(move || {
            let (found, value) = probe?.longest(map)?;
            probe = found.parent();
            Some((found, value))
        })
    }

    /// All keys of `map` that this holds, itself included.
    pub(crate) fn held<V>(self, map: &BTreeMap<Self, V>) -> impl Iterator<Item = Self> {
        map.range(self..).map(|(prefix, _)| *prefix).take_while(move |prefix| self.contains(*prefix))
    }
}

impl From<IpAddr> for Prefix {
    fn from(ip: IpAddr) -> Self {
        let addr = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        Self { addr, len: 128 }
    }
}

impl From<IpNetwork> for Prefix {
    fn from(network: IpNetwork) -> Self {
        let before = if network.is_ipv4() { MAPPED.len } else { 0 };
        Self::new(Self::from(network.ip()).addr, before + network.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse::<IpNetwork>().unwrap().into()
    }

    fn map(networks: &[&str]) -> BTreeMap<Prefix, usize> {
        networks.iter().zip(0..).map(|(text, at)| (prefix(text), at)).collect()
    }

    #[test]
    fn holders_are_found_past_neighbours() {
        let map = map(&["10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "::/0"]);
        let holders: Vec<_> = prefix("10.1.2.4/32").holders(&map).map(|(prefix, _)| prefix).collect();
        assert_eq!(holders, ["10.1.2.0/24", "10.1.0.0/16", "10.0.0.0/8", "::/0"].map(prefix));
        assert_eq!(prefix("2001:db8::/64").longest(&map), Some((prefix("::/0"), &5)));
        assert_eq!(prefix("10.1.0.0/16").held(&map).count(), 3);
    }

    #[test]
    fn host_bits_are_left_out() {
        assert_eq!(prefix("192.0.2.9/24"), prefix("192.0.2.0/24"));
        assert!(prefix("::/0").is_above_ipv4() && !prefix("0.0.0.0/0").is_above_ipv4());
        assert!(prefix("0.0.0.0/0").is_ipv4() && !prefix("::/0").is_ipv4());
    }
}
