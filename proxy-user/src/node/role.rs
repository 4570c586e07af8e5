//! What an interface is to us, from what the kernel says about it and those it is tied to.

/// What an interface is to the dataplane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// `lo`.
    Loopback,
    /// The host's end of a pod's interface.
    Pod,
    /// A way out of the node: what carries IP beyond it.
    Uplink,
    /// None of these: no program of ours is needed there.
    Other,
}

/// Kind of an interface (`IFLA_INFO_KIND`), as far as roles depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One end of a pair: veth, netkit.
    Pair,
    Bridge,
    Vrf,
    /// Leads nowhere outside the node: dummy, ifb, nlmon and the like.
    Inside,
    /// Hardware, and whatever rides on hardware or IP: bonds, VLANs, tunnels.
    Outside,
}

/// What a role depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, of which most combinations occur")]
pub(super) struct Facts {
    pub(super) loopback: bool,
    pub(super) kind: Kind,
    /// The other end, or what it rides on, is in another network namespace.
    pub(super) peer_elsewhere: bool,
    /// Kind of the interface that it is a port of.
    pub(super) controller: Option<Kind>,
    /// Has an address that stands for more than itself: not link-local, prefix shorter than a single address's.
    pub(super) subnet: bool,
    /// A default route leads through it.
    pub(super) default_route: bool,
    /// A bridge one of whose ports is no pod's.
    pub(super) outside_port: bool,
}

/// The role of an interface.
pub(super) fn role(facts: Facts) -> Role {
    if facts.loopback {
        return Role::Loopback;
    }
    if facts.kind == Kind::Pair && facts.peer_elsewhere && !facts.subnet && !facts.default_route {
        return Role::Pod;
    }
    // What a bridge or bond takes in or sends out passes the bridge or bond itself. A VRF's ports stay the way out.
    if facts.controller.is_some_and(|controller| controller != Kind::Vrf) {
        return Role::Other;
    }
    let leads_out = match facts.kind {
        Kind::Outside => true,
        // With both ends here, a pair leads nowhere.
        Kind::Pair => facts.peer_elsewhere,
        Kind::Bridge => facts.outside_port || facts.default_route,
        Kind::Vrf | Kind::Inside => false,
    };
    if leads_out { Role::Uplink } else { Role::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIC: Facts = Facts {
        loopback: false,
        kind: Kind::Outside,
        peer_elsewhere: false,
        controller: None,
        subnet: false,
        default_route: false,
        outside_port: false,
    };
    const POD: Facts = Facts { kind: Kind::Pair, peer_elsewhere: true, ..NIC };
    const BRIDGE: Facts = Facts { kind: Kind::Bridge, subnet: true, ..NIC };

    #[test]
    fn a_pair_that_leads_to_another_namespace_is_a_pods() {
        assert_eq!(role(POD), Role::Pod);
    }

    #[test]
    fn as_a_port_of_a_bridge_too() {
        assert_eq!(role(Facts { controller: Some(Kind::Bridge), ..POD }), Role::Pod);
    }

    #[test]
    fn a_pair_with_a_subnet_or_the_default_route_is_an_uplink() {
        assert_eq!(role(Facts { subnet: true, ..POD }), Role::Uplink);
        assert_eq!(role(Facts { default_route: true, ..POD }), Role::Uplink);
    }

    #[test]
    fn a_pair_with_both_ends_here_is_nothing() {
        assert_eq!(role(Facts { peer_elsewhere: false, ..POD }), Role::Other);
        assert_eq!(role(Facts { peer_elsewhere: false, subnet: true, ..POD }), Role::Other);
    }

    #[test]
    fn hardware_and_tunnels_are_uplinks() {
        assert_eq!(role(NIC), Role::Uplink);
        assert_eq!(role(Facts { peer_elsewhere: true, ..NIC }), Role::Uplink);
    }

    #[test]
    fn ports_of_a_bond_or_bridge_leave_the_role_to_it() {
        assert_eq!(role(Facts { controller: Some(Kind::Outside), ..NIC }), Role::Other);
        assert_eq!(role(Facts { controller: Some(Kind::Bridge), ..NIC }), Role::Other);
    }

    #[test]
    fn ports_of_a_vrf_keep_it() {
        assert_eq!(role(Facts { controller: Some(Kind::Vrf), ..NIC }), Role::Uplink);
        assert_eq!(role(Facts { kind: Kind::Vrf, ..NIC }), Role::Other);
    }

    #[test]
    fn a_bridge_is_an_uplink_only_if_it_leads_beyond_pods() {
        assert_eq!(role(BRIDGE), Role::Other);
        assert_eq!(role(Facts { outside_port: true, ..BRIDGE }), Role::Uplink);
        assert_eq!(role(Facts { default_route: true, ..BRIDGE }), Role::Uplink);
    }

    #[test]
    fn dummies_are_nothing_and_the_loopback_interface_is_itself() {
        assert_eq!(role(Facts { kind: Kind::Inside, subnet: true, ..NIC }), Role::Other);
        assert_eq!(role(Facts { loopback: true, subnet: true, ..NIC }), Role::Loopback);
    }
}
