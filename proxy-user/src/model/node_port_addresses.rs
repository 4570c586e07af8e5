//! On which of the node's addresses node ports are served.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network};
use proxy_common::addr::Family;

use super::service::family;

/// What the operator asks for (2.11 of kube-proxy's rules).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum NodePortAddresses {
    /// All addresses of the node.
    #[default]
    All,
    /// The first `InternalIP` of each family that this node's Node object has.
    Primary,
    /// The addresses of the node within these; all those of a family that has no range here.
    Ranges(Vec<IpNetwork>),
}

/// A list that [`NodePortAddresses`] can't be read from.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotNodePortAddresses {
    /// Not a range.
    #[error("\"{0}\" is not a range of addresses such as 192.0.2.0/24, nor the word primary")]
    NotARange(String),
    /// The word beside ranges.
    #[error("primary stands alone, not beside ranges")]
    Mixed,
}

/// The addresses of one family that are served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Eligible {
    /// Whichever the node has, now or later.
    All,
    /// Those within these; none where the list is empty.
    Within(Vec<IpNetwork>),
    /// None, as the address of this family isn't known: the Node object has none of type `InternalIP`.
    Unknown,
}

impl NodePortAddresses {
    /// Reads a list of ranges, or the word `primary`, or nothing (all).
    ///
    /// # Errors
    /// What stands there that can't.
    pub fn parse(texts: &[String]) -> Result<Self, NotNodePortAddresses> {
        let texts: Vec<&str> = texts.iter().map(|text| text.trim()).collect();
        match texts.as_slice() {
            [] => return Ok(Self::All),
            ["primary"] => return Ok(Self::Primary),
            _ if texts.contains(&"primary") => return Err(NotNodePortAddresses::Mixed),
            _ => {}
        }
        let range = |text: &&str| {
            let range = Some(text).filter(|text| text.contains('/')).and_then(|text| text.parse::<IpNetwork>().ok());
            range.map(network).ok_or_else(|| NotNodePortAddresses::NotARange((*text).to_owned()))
        };
        texts.iter().map(range).collect::<Result<_, _>>().map(Self::Ranges)
    }

    /// The list it was read from.
    #[must_use]
    pub fn to_list(&self) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Primary => vec!["primary".to_owned()],
            Self::Ranges(ranges) => ranges.iter().map(ToString::to_string).collect(),
        }
    }

    /// What is served in the family `of` of a node with these addresses of type `InternalIP`.
    #[must_use]
    pub fn eligible(&self, of: Family, internal_ips: &[IpAddr]) -> Eligible {
        match self {
            Self::All => Eligible::All,
            Self::Primary => {
                let ip = internal_ips.iter().find(|ip| family(**ip) == of);
                ip.map_or(Eligible::Unknown, |ip| Eligible::Within(vec![(*ip).into()]))
            }
            Self::Ranges(ranges) => {
                let ranges: Vec<_> = ranges.iter().copied().filter(|range| family(range.ip()) == of).collect();
                let all = ranges.is_empty() || ranges.iter().any(|range| range.prefix() == 0);
                if all { Eligible::All } else { Eligible::Within(ranges) }
            }
        }
    }
}

impl Eligible {
    /// Whether `addr`, an address of the node that isn't loopback, is served.
    #[must_use]
    pub fn holds(&self, addr: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Within(ranges) => ranges.iter().any(|range| range.contains(addr)),
            Self::Unknown => false,
        }
    }

    /// Whether the loopback address of the family `of` is served: it is where some of its loopback addresses are (2.18 of
    /// kube-proxy's rules, which has no `::1`).
    #[must_use]
    pub fn holds_loopback(&self, of: Family) -> bool {
        match (self, of) {
            (Self::All, _) => true,
            (Self::Unknown, _) => false,
            (Self::Within(ranges), Family::V4) => ranges.iter().any(|range| match range {
                IpNetwork::V4(range) => range.overlaps(LOOPBACK),
                IpNetwork::V6(_) => false,
            }),
            (Self::Within(_), Family::V6) => self.holds(Ipv6Addr::LOCALHOST.into()),
        }
    }
}

/// 127.0.0.0/8.
const LOOPBACK: Ipv4Network = Ipv4Network::new_checked(Ipv4Addr::new(127, 0, 0, 0), 8).unwrap();

/// The range without the bits beyond its prefix.
fn network(range: IpNetwork) -> IpNetwork {
    IpNetwork::new(range.network(), range.prefix()).unwrap_or(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::ip;

    fn parse(texts: &[&str]) -> Result<NodePortAddresses, NotNodePortAddresses> {
        NodePortAddresses::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    fn holds(texts: &[&str], addr: &str) -> bool {
        let addr = ip(addr);
        let eligible = parse(texts).unwrap().eligible(family(addr), &[ip("192.0.2.1"), ip("192.0.2.2")]);
        if addr.is_loopback() { eligible.holds_loopback(family(addr)) } else { eligible.holds(addr) }
    }

    #[test]
    fn s2_11_a_list_holds_ranges_or_the_word_primary() {
        assert_eq!(parse(&[]).unwrap(), NodePortAddresses::All);
        assert_eq!(parse(&[" primary "]).unwrap(), NodePortAddresses::Primary);
        assert_eq!(parse(&["192.0.2.1/24", "fd00::/64"]).unwrap().to_list(), ["192.0.2.0/24", "fd00::/64"]);
        assert_eq!(parse(&["primary", "192.0.2.0/24"]).unwrap_err(), NotNodePortAddresses::Mixed);
        for text in ["192.0.2.1", "192.0.2.0/33", "", "eth0"] {
            assert_eq!(parse(&[text]).unwrap_err(), NotNodePortAddresses::NotARange(text.to_owned()));
        }
    }

    #[test]
    fn s2_12_a_family_without_a_range_has_all_of_its_addresses() {
        assert!(holds(&["192.0.2.0/24"], "2001:db8::1") && holds(&["fd00::/64"], "198.51.100.1"));
        assert!(holds(&["192.0.2.0/24"], "::1"));
    }

    #[test]
    fn s2_13_a_range_of_all_addresses_supersedes_the_others() {
        assert!(holds(&["192.0.2.0/24", "0.0.0.0/0"], "198.51.100.1"));
    }

    #[test]
    fn s2_15_otherwise_the_addresses_within_a_range_are_served() {
        assert!(holds(&["192.0.2.0/24", "198.51.100.0/24"], "198.51.100.1"));
        assert!(!holds(&["192.0.2.0/24"], "198.51.100.1"));
    }

    #[test]
    fn s2_16_primary_is_the_first_internal_ip_and_where_there_is_none_nothing() {
        assert!(holds(&["primary"], "192.0.2.1"));
        assert!(!holds(&["primary"], "192.0.2.2") && !holds(&["primary"], "2001:db8::1"));
        assert_eq!(NodePortAddresses::Primary.eligible(Family::V6, &[ip("192.0.2.1")]), Eligible::Unknown);
        assert!(!holds(&["primary"], "127.0.0.1") && !holds(&["primary"], "::1"));
    }

    #[test]
    fn s2_18_loopback_is_served_where_all_addresses_or_some_of_its_own_are() {
        assert!(holds(&[], "127.0.0.1") && holds(&[], "::1"));
        assert!(holds(&["127.0.0.0/8"], "127.0.0.1") && holds(&["127.1.0.0/16"], "127.0.0.1"));
        assert!(holds(&["::1/128"], "::1") && !holds(&["fd00::/64"], "::1"));
        assert!(!holds(&["192.0.2.0/24"], "127.0.0.1"));
    }
}
