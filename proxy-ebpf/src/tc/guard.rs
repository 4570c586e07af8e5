//! Before anything is decided about a packet at a pod's interface: whether the pod may send it under that address, and
//! what becomes of a frame that nothing can be decided about.

use proxy_common::addr::{Family, protocol};
use proxy_common::drop::{Reason, Stop};
use proxy_common::guard::{self, Direction, GuardTables, check_claim, check_encapsulation, check_source, disown_quote};
use proxy_common::nat::Hook;
use proxy_common::neighbour;
use proxy_common::packet::{ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Packet};
use proxy_common::tables::{Device, FlowKey};

use super::route::device;
use super::skb::Skb;
use crate::tables::Maps;

impl GuardTables for Maps {
    #[inline(always)]
    fn device(&self, ifindex: u32) -> Option<Device> {
        device(ifindex).copied()
    }
}

/// Passes a frame on that is to be read.
///
/// # Errors
/// [`Stop::NotOurs`] for one that isn't and may pass: under a VLAN tag it belongs to another interface, and what is neither
/// IP nor ARP is of no protocol of ours. [`Reason::Unjudgeable`] where it would pass by a pod's policies, or by the check of
/// its source.
#[inline(always)]
pub(super) fn admit_frame(skb: Skb, hook: Hook) -> Result<(), Stop> {
    if !skb.has_vlan() && matches!(skb.ethertype(), ETH_P_IP | ETH_P_IPV6 | ETH_P_ARP) {
        return Ok(());
    }
    match hook {
        // What the kernel makes of it would be another's packet for all who meet it next.
        Hook::FromPod if skb.has_priority_tag() => return Err(Stop::Drop(Reason::Unjudgeable)),
        Hook::FromPod => check_unread(skb, Direction::Egress)?,
        Hook::ToPod => check_unread(skb, Direction::Ingress)?,
        _ => {}
    }
    Err(Stop::NotOurs)
}

#[inline(never)]
fn check_unread(skb: Skb, direction: Direction) -> Result<(), Stop> {
    Ok(guard::check_unread(&Maps, skb.ifindex(), direction)?)
}

/// Lets a pod's packet pass that comes from an address of its own, as what such a packet can be.
///
/// # Errors
/// [`Reason::SpoofedSource`], [`Reason::Encapsulated`].
#[inline(never)]
pub(super) fn admit_source(skb: Skb, packet: &mut Packet) -> Result<(), Stop> {
    check_source(&Maps, skb.ifindex(), packet)?;
    check_encapsulation(&Maps, packet)?;
    disown_quote(packet);
    Ok(())
}

/// Lets what a pod tells its neighbours pass if it speaks for itself; [`Stop::NotOurs`] is what passes. Leaves what it says
/// in `key`, for those who ask what was dropped.
#[inline(never)]
pub(super) fn admit_neighbour(skb: Skb, link_layer: u32, key: &mut FlowKey) -> Stop {
    let claim = match neighbour::parse(&skb, skb.ethertype(), link_layer) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Stop::NotOurs,
        Err(reason) => return Stop::Drop(reason),
    };
    let protocol = if claim.addr.family() == Family::V6 { u32::from(protocol::ICMPV6) } else { 0 };
    *key = FlowKey { src: claim.addr, dst: claim.to, protocol, ..FlowKey::default() };
    match check_claim(&Maps, skb.ifindex(), &claim) {
        Ok(()) => Stop::NotOurs,
        Err(reason) => Stop::Drop(reason),
    }
}
