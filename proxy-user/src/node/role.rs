//! What part an interface plays in a node's traffic, decided from a few facts about it.

use std::fmt;

/// What part an interface plays, and so which kernel programs it gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The loopback interface.
    Loopback,
    /// The host's end of a pod's interface.
    Pod,
    /// Carries IP traffic to and from beyond this node: a NIC, a bond, a VLAN, a tunnel, a bridge with a NIC in it.
    Uplink,
    /// Carries nothing that another interface of ours doesn't show as well, or nothing that leaves the node.
    Other,
}

/// What a role was decided by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// It is the loopback interface.
    Loopback,
    /// A pair whose other end is in another network namespace, without subnet or default route.
    Pod,
    /// On the operator's list of uplinks.
    Listed,
    /// Not on the operator's list of uplinks.
    Unlisted,
    /// A bridge of other software by its name, or a port of one.
    Foreign,
    /// A port of a bridge, bond or team.
    Port,
    /// Takes no traffic beyond the node.
    Internal,
    /// A pair with both ends on the node.
    BothEndsHere,
    /// A bridge with nothing but pods behind it.
    PodBridge,
    /// A bridge that something else than pods is behind, or a default route leads over.
    OutwardBridge,
    /// A tun, tap or WireGuard device that no route leads over.
    Unrouted,
    /// A tun, tap or WireGuard device that routes lead over.
    Routed,
    /// A pair that has a subnet or a default route.
    PairAsNic,
    /// Nothing speaks against its leading out of the node.
    Outward,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Loopback => "what the node sends to itself passes it",
            Self::Pod => "its other end is in another network namespace, and it has no subnet and no default route",
            Self::Listed => "--device names it",
            Self::Unlisted => "--device names others",
            Self::Foreign => {
                "a bridge that other software names so for its own containers or machines, or a port of it"
            }
            Self::Port => "a port: its bridge, bond or team has the addresses and sees the packets",
            Self::Internal => "no traffic beyond the node passes it",
            Self::BothEndsHere => "both its ends are on the node",
            Self::PodBridge => "a bridge with nothing but pods behind it, whose own interfaces see the packets",
            Self::OutwardBridge => "a bridge that leads out: a port is no pod's, or it has a default route",
            Self::Unrouted => "a tun, tap or WireGuard device that no route leads over",
            Self::Routed => "routes lead over it",
            Self::PairAsNic => "a veth with a subnet or a default route, as a node's own interface has",
            Self::Outward => "a network card, tunnel or other device that can lead out of the node",
        })
    }
}

/// What sort of device an interface is, as far as its role depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `lo`.
    Loopback,
    /// One end of a pair (veth, netkit) with the index of the other; `None` when that is in another network namespace.
    Pair {
        /// `IFLA_LINK`, where `IFLA_LINK_NETNSID` is absent.
        peer: Option<u32>,
    },
    /// A bridge.
    Bridge,
    /// Takes no traffic beyond the node, or only what its members show already: dummy, ifb, VRF and monitors.
    Internal,
    /// A tun, tap or WireGuard device: somebody's own, unless the node routes by it.
    Private,
    /// Any other: physical NICs, bonds, VLANs, macvlan and ipvlan, tunnels.
    Outward,
}

/// All that a role is decided by.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of a machine")]
pub(super) struct Facts {
    /// Sort of device.
    pub(super) kind: Kind,
    /// Has an address, other than a link-local one, with a prefix that reaches beyond that one address. The host's end
    /// of a pod's interface has at most a /32 or /128, a veth that serves as a node's NIC has its subnet.
    pub(super) has_subnet: bool,
    /// A default route, in any table, leaves by it.
    pub(super) has_default_route: bool,
    /// Of a [`Kind::Private`] device: a route that somebody has set leaves by it.
    pub(super) has_routes: bool,
    /// Is a port of a bridge, bond or team, which has the addresses and sees the packets in its stead.
    pub(super) is_port: bool,
    /// Is a bridge of other software, or a port of one.
    pub(super) is_foreign: bool,
    /// Is a bridge with a port that isn't a pod's.
    pub(super) has_outside_port: bool,
    /// Whether the operator's list of uplinks has it; `None` without such a list.
    pub(super) listed: Option<bool>,
}

impl Facts {
    /// The host's end of a pod's interface: a pair whose other end is in another network namespace, and that doesn't
    /// serve as this node's own way out.
    pub(super) fn is_pod(&self) -> bool {
        let is_others = self.is_foreign && self.is_port;
        self.kind == (Kind::Pair { peer: None }) && !self.has_subnet && !self.has_default_route && !is_others
    }
}

/// The role of an interface, and why it is that. An operator's list decides between [`Role::Uplink`] and [`Role::Other`]
/// alone: pods and the loopback keep theirs, so that a wide pattern can't open a pod.
pub(super) fn role(facts: &Facts) -> (Role, Why) {
    if facts.kind == Kind::Loopback {
        return (Role::Loopback, Why::Loopback);
    }
    if facts.is_pod() {
        return (Role::Pod, Why::Pod);
    }
    match facts.listed {
        Some(true) => (Role::Uplink, Why::Listed),
        Some(false) => (Role::Other, Why::Unlisted),
        None => detected(facts),
    }
}

/// Whether an interface that isn't a pod's carries IP traffic beyond this node.
fn detected(facts: &Facts) -> (Role, Why) {
    let uplink_if =
        |leads_out, then, otherwise| if leads_out { (Role::Uplink, then) } else { (Role::Other, otherwise) };
    if facts.is_foreign {
        return (Role::Other, Why::Foreign);
    }
    if facts.is_port {
        return (Role::Other, Why::Port);
    }
    match facts.kind {
        Kind::Loopback | Kind::Internal => (Role::Other, Why::Internal),
        Kind::Pair { peer: Some(_) } => (Role::Other, Why::BothEndsHere),
        Kind::Bridge => {
            uplink_if(facts.has_outside_port || facts.has_default_route, Why::OutwardBridge, Why::PodBridge)
        }
        Kind::Private => uplink_if(facts.has_routes || facts.has_default_route, Why::Routed, Why::Unrouted),
        Kind::Pair { peer: None } => (Role::Uplink, Why::PairAsNic),
        Kind::Outward => (Role::Uplink, Why::Outward),
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Kind, Role, role};

    const POD_PAIR: Kind = Kind::Pair { peer: None };
    const LOCAL_PAIR: Kind = Kind::Pair { peer: Some(7) };

    fn plain(kind: Kind) -> Facts {
        Facts {
            kind,
            has_subnet: false,
            has_default_route: false,
            has_routes: false,
            is_port: false,
            is_foreign: false,
            has_outside_port: false,
            listed: None,
        }
    }

    #[test]
    fn roles_follow_from_the_kind_and_what_it_carries() {
        let rows = [
            ("loopback", plain(Kind::Loopback), Role::Loopback),
            ("NIC", plain(Kind::Outward), Role::Uplink),
            ("NIC in a bond or bridge", Facts { is_port: true, ..plain(Kind::Outward) }, Role::Other),
            ("dummy", plain(Kind::Internal), Role::Other),
            ("dummy with a subnet", Facts { has_subnet: true, ..plain(Kind::Internal) }, Role::Other),
            ("routed pod", plain(POD_PAIR), Role::Pod),
            ("bridged pod", Facts { is_port: true, ..plain(POD_PAIR) }, Role::Pod),
            ("veth as NIC, by its subnet", Facts { has_subnet: true, ..plain(POD_PAIR) }, Role::Uplink),
            ("veth as NIC, by its route", Facts { has_default_route: true, ..plain(POD_PAIR) }, Role::Uplink),
            ("veth with both ends here", Facts { has_subnet: true, ..plain(LOCAL_PAIR) }, Role::Other),
            ("bridge of pods", Facts { has_subnet: true, ..plain(Kind::Bridge) }, Role::Other),
            ("bridge with a NIC", Facts { has_outside_port: true, ..plain(Kind::Bridge) }, Role::Uplink),
            ("bridge that leads out", Facts { has_default_route: true, ..plain(Kind::Bridge) }, Role::Uplink),
            ("Docker's bridge", Facts { is_foreign: true, has_subnet: true, ..plain(Kind::Bridge) }, Role::Other),
            ("libvirt's", Facts { is_foreign: true, has_outside_port: true, ..plain(Kind::Bridge) }, Role::Other),
            ("a container of Docker", Facts { is_foreign: true, is_port: true, ..plain(POD_PAIR) }, Role::Other),
            ("somebody's VPN", Facts { has_subnet: true, ..plain(Kind::Private) }, Role::Other),
            ("a mesh of nodes", Facts { has_routes: true, ..plain(Kind::Private) }, Role::Uplink),
            ("a VPN for everything", Facts { has_default_route: true, ..plain(Kind::Private) }, Role::Uplink),
        ];
        for (story, facts, want) in rows {
            assert_eq!(role(&facts).0, want, "{story}");
        }
    }

    #[test]
    fn a_list_of_uplinks_decides_for_all_but_pods_and_loopback() {
        let listed = |kind, listed| role(&Facts { listed: Some(listed), ..plain(kind) }).0;
        assert_eq!(listed(Kind::Outward, true), Role::Uplink);
        assert_eq!(listed(Kind::Outward, false), Role::Other);
        assert_eq!(listed(Kind::Internal, true), Role::Uplink);
        assert_eq!(listed(Kind::Bridge, true), Role::Uplink);
        assert_eq!(listed(LOCAL_PAIR, true), Role::Uplink);
        assert_eq!(listed(Kind::Private, true), Role::Uplink);
        assert_eq!(listed(POD_PAIR, true), Role::Pod);
        assert_eq!(listed(Kind::Loopback, true), Role::Loopback);
    }
}
