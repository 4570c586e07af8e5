//! The sets of addresses that rules of policies ask.

use std::collections::BTreeMap;
use std::fmt;

use ipnetwork::IpNetwork;
use proxy_common::addr::Family;

use super::NAMES;

/// A set of addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Set {
    /// The peers of a class.
    Class(Family, u32),
    /// The addresses of this node's pod ranges that some pod is known to have.
    Known(Family),
}

/// Networks of a set, each in it or, inside of another that is, not in it (`nomatch`). The longest counts.
pub type Members = BTreeMap<IpNetwork, bool>;

impl Set {
    pub(super) const fn family(self) -> Family {
        match self {
            Self::Class(family, _) | Self::Known(family) => family,
        }
    }
}

/// Its name: 31 characters at most (`IPSET_MAXNAMELEN` of `linux/netfilter/ipset/ip_set.h`).
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = version(self.family());
        match self {
            Self::Class(_, class) => write!(f, "{NAMES}-CLASS{version}-{class}"),
            Self::Known(_) => write!(f, "{NAMES}-KNOWN{version}"),
        }
    }
}

const fn version(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}
