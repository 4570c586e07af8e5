//! What part an interface plays in a node's traffic, decided from a few facts about it.

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
    /// Is a port of a bridge, bond or team, which has the addresses and sees the packets in its stead.
    pub(super) is_port: bool,
    /// Is a bridge with a port that isn't a pod's.
    pub(super) has_outside_port: bool,
    /// Whether the operator's list of uplinks has it; `None` without such a list.
    pub(super) listed: Option<bool>,
}

impl Facts {
    /// The host's end of a pod's interface: a pair whose other end is in another network namespace, and that doesn't
    /// serve as this node's own way out.
    pub(super) fn is_pod(&self) -> bool {
        self.kind == (Kind::Pair { peer: None }) && !self.has_subnet && !self.has_default_route
    }
}

/// The role of an interface. An operator's list decides between [`Role::Uplink`] and [`Role::Other`] alone: pods and
/// the loopback keep theirs, so that a wide pattern can't open a pod.
pub(super) fn role(facts: &Facts) -> Role {
    if facts.kind == Kind::Loopback {
        return Role::Loopback;
    }
    if facts.is_pod() {
        return Role::Pod;
    }
    if facts.listed.unwrap_or_else(|| leads_out(facts)) { Role::Uplink } else { Role::Other }
}

/// Whether an interface that isn't a pod's carries IP traffic beyond this node.
fn leads_out(facts: &Facts) -> bool {
    if facts.is_port {
        return false;
    }
    match facts.kind {
        Kind::Loopback | Kind::Internal | Kind::Pair { peer: Some(_) } => false,
        Kind::Bridge => facts.has_outside_port || facts.has_default_route,
        Kind::Pair { peer: None } | Kind::Outward => true,
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
            is_port: false,
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
        ];
        for (story, facts, want) in rows {
            assert_eq!(role(&facts), want, "{story}");
        }
    }

    #[test]
    fn a_list_of_uplinks_decides_for_all_but_pods_and_loopback() {
        let listed = |kind, listed| role(&Facts { listed: Some(listed), ..plain(kind) });
        assert_eq!(listed(Kind::Outward, true), Role::Uplink);
        assert_eq!(listed(Kind::Outward, false), Role::Other);
        assert_eq!(listed(Kind::Internal, true), Role::Uplink);
        assert_eq!(listed(Kind::Bridge, true), Role::Uplink);
        assert_eq!(listed(LOCAL_PAIR, true), Role::Uplink);
        assert_eq!(listed(POD_PAIR, true), Role::Pod);
        assert_eq!(listed(Kind::Loopback, true), Role::Loopback);
    }
}
