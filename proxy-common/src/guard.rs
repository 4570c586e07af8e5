//! What a pod may send under which address, and what its policies can't be asked about.
//!
//! Policies know pods by their addresses. A pod whose address is known sends under no other; what isn't IP has none, so
//! it passes neither from a pod whose egress is isolated nor to one whose ingress is.

use crate::addr::{Addr, Family, Port, protocol};
use crate::drop::Reason;
use crate::neighbour::Claim;
use crate::packet::{Kind, Packet};
use crate::policy::PolicyTables;
use crate::tables::{Device, FlowKey, Identity, Policing, device_flags};

/// What is known of interfaces, beside what policies are asked with.
pub trait GuardTables: PolicyTables {
    /// Entry of `DEVICES`.
    fn device(&self, ifindex: u32) -> Option<Device>;
}

/// Direction of a pod's packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The pod sent it.
    Egress,
    /// The pod is to get it.
    Ingress,
}

/// Checks under which address a packet comes from the pod behind an interface. Neighbours' talk is [`check_claim`]'s.
///
/// # Errors
/// [`Reason::SpoofedSource`].
#[inline(always)]
pub fn check_source(tables: &impl GuardTables, ifindex: u32, packet: &Packet) -> Result<(), Reason> {
    if is_own(tables, ifindex, &packet.from) || asks_for_address(packet) { Ok(()) } else { Err(Reason::SpoofedSource) }
}

/// UDP ports that the kernel's overlay devices take packets out of others at: VXLAN as assigned (RFC 7348) and as Linux had
/// it before, which flannel and Cilium use; Geneve (RFC 8926).
const OVERLAY_PORTS: [u16; 3] = [4789, 8472, 6081];
/// Of packets that are the payload of others: IPv4 (RFC 2003), IPv6 (RFC 2473), GRE (RFC 2784).
const OVERLAY_PROTOCOLS: [u8; 3] = [4, 41, 47];
/// Entry of `DEVICES` that stands for the node.
const NODE: u32 = 0;

/// Checks that a pod doesn't hand a packet to an overlay between the nodes, of this node or another: what is inside would
/// come out as if a node had sent it, under any source. Only the nodes of a cluster that has one are asked.
///
/// # Errors
/// [`Reason::Encapsulated`].
#[inline(always)]
pub fn check_encapsulation(tables: &impl GuardTables, packet: &Packet) -> Result<(), Reason> {
    let protocol = packet.key.protocol as u8;
    let is_encapsulated = match packet.kind {
        Kind::Transport => protocol == protocol::UDP && OVERLAY_PORTS.contains(&packet.key.dst_port.number()),
        _ => OVERLAY_PROTOCOLS.contains(&protocol),
    };
    if is_encapsulated && tables.device(NODE).is_some_and(|node| node.flags & device_flags::OVERLAY != 0) {
        return Err(Reason::Encapsulated);
    }
    Ok(())
}

/// Takes a pod's ICMP error for a message of its own, under its own addresses, where it quotes what was sent to somebody
/// else: that flow, and what that one may send, would cover it.
#[inline(always)]
pub fn disown_quote(packet: &mut Packet) {
    if !matches!(packet.kind, Kind::IcmpError) || packet.key.src == packet.from {
        return;
    }
    let number = match packet.family {
        Family::V4 => protocol::ICMP,
        Family::V6 => protocol::ICMPV6,
    };
    // An error goes to the source of what it quotes, so that destination is its own.
    packet.key = FlowKey { src: packet.from, dst: packet.key.dst, protocol: u32::from(number), ..FlowKey::default() };
    packet.inner_l4 = 0;
}

/// A DHCP client that has no address yet (RFC 2131, 4.1): it asks everybody, from port 68 to port 67.
#[inline(always)]
fn asks_for_address(packet: &Packet) -> bool {
    let key = &packet.key;
    packet.from == Family::V4.any()
        && key.dst == Addr::EVERYBODY
        && key.protocol == u32::from(protocol::UDP)
        && (key.src_port, key.dst_port) == (Port::new(68), Port::new(67))
}

/// Checks what a pod says to its neighbours: that it has no address but its own, and that it is no router.
///
/// # Errors
/// [`Reason::SpoofedSource`]; [`Reason::Unjudgeable`] where an isolated pod sends it to somebody who isn't on its link.
#[inline(always)]
pub fn check_claim(tables: &impl GuardTables, ifindex: u32, claim: &Claim) -> Result<(), Reason> {
    if claim.router && is_bound(tables, ifindex) {
        return Err(Reason::SpoofedSource);
    }
    if !may_claim(tables, ifindex, &claim.from) || !may_claim(tables, ifindex, &claim.addr) {
        return Err(Reason::SpoofedSource);
    }
    if is_beyond_link(tables, &claim.to) { check_unread(tables, ifindex, Direction::Egress) } else { Ok(()) }
}

#[inline(never)]
fn may_claim(tables: &impl GuardTables, ifindex: u32, addr: &Addr) -> bool {
    // Nobody's own, while it looks for one; of the link, which tells nothing of whose it is.
    if !addr.is_specified() || (addr.is_link_local() && !tables.is_node(addr)) {
        return true;
    }
    is_own(tables, ifindex, addr)
}

/// Who isn't a neighbour of this node's pods: neighbours' messages that go there are no neighbours'.
#[inline(always)]
fn is_beyond_link(tables: &impl GuardTables, to: &Addr) -> bool {
    let on_link = !to.is_specified() || to.is_group() || to.is_link_local();
    !on_link && !tables.in_pod_network(to) && !tables.is_node(to)
}

/// Checks a frame that is nothing we can read, at the interface of a pod.
///
/// # Errors
/// [`Reason::Unjudgeable`] where the pod's policies would have to be asked about it.
#[inline(always)]
pub fn check_unread(tables: &impl GuardTables, ifindex: u32, direction: Direction) -> Result<(), Reason> {
    let Some(device) = tables.device(ifindex) else { return Ok(()) };
    if isolates(tables, &device.pod_ipv4, direction) || isolates(tables, &device.pod_ipv6, direction) {
        return Err(Reason::Unjudgeable);
    }
    Ok(())
}

/// Whether policies isolate a pod in a direction, and more than in an audit.
#[inline(never)]
fn isolates(tables: &impl GuardTables, pod: &Addr, direction: Direction) -> bool {
    let Some(identity) = tables.identity(pod) else { return false };
    let policing = identity.at(tables.generation());
    let set = match direction {
        Direction::Egress => policing.egress,
        Direction::Ingress => policing.ingress,
    };
    set != 0 && set & Policing::AUDIT == 0
}

/// Whether the pod behind an interface has an address. Behind one whose pod isn't known yet, anybody may be but the
/// others.
#[inline(never)]
fn is_own(tables: &impl GuardTables, ifindex: u32, addr: &Addr) -> bool {
    let Some(device) = tables.device(ifindex) else { return true };
    if device.pod_ipv4 == *addr || device.pod_ipv6 == *addr {
        return addr.is_specified();
    }
    match tables.identity(addr) {
        Some(Identity { ifindex: bound, .. }) if bound == ifindex => true,
        Some(Identity { ifindex: bound, .. }) if bound != 0 => false,
        _ => !has_pod(&device),
    }
}

/// Whether the pod behind an interface is known.
#[inline(always)]
fn is_bound(tables: &impl GuardTables, ifindex: u32) -> bool {
    tables.device(ifindex).is_some_and(|device| has_pod(&device))
}

#[inline(always)]
fn has_pod(device: &Device) -> bool {
    device.pod_ipv4.is_specified() || device.pod_ipv6.is_specified()
}

#[cfg(test)]
mod tests;
