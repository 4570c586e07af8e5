//! Hands a packet to a pod of this node past the node's stack and past the hook at the pod's interface, where the operator
//! lets us (`LOCAL_REDIRECT`). What that hook would do is done here, or the packet goes the stack's way.

use aya_ebpf::helpers::generated::bpf_redirect_peer;
use proxy_common::addr::Addr;
use proxy_common::drop::Stop;
use proxy_common::nat::{self, Followed, Hook};
use proxy_common::packet::{Kind, Packet, Part};
use proxy_common::policy::PolicyTables as _;
use proxy_common::service::ServiceTables as _;
use proxy_common::tables::{FlowKey, FlowRecord, Identity};
use proxy_common::wire::Bytes as _;

use super::rewrite;
use super::route::{self, Route};
use super::skb::{Macs, Skb};
use crate::clock;
use crate::maps::{LOCAL_REDIRECT, Scratch};
use crate::tables::Maps;

/// Sends a packet on that needs no translation here. `restore`: it answers a client that is a pod of this node, and
/// its source is the Service's to that one.
///
/// # Errors
/// [`Stop::NotOurs`] when it goes the stack's way.
#[inline(always)]
pub(super) fn pass_as_is(skb: Skb, hook: Hook, restore: bool, scratch: &mut Scratch) -> Result<(), Stop> {
    if LOCAL_REDIRECT.load() == 0 || !matches!(hook, Hook::FromPod) {
        return Err(Stop::NotOurs);
    }
    hand_over_as_is(skb, restore, scratch)
}

#[inline(never)]
fn hand_over_as_is(skb: Skb, restore: bool, scratch: &mut Scratch) -> Result<(), Stop> {
    scratch.way.to = scratch.packet.key;
    find(skb, &scratch.packet, &mut scratch.way)?;
    if restore {
        self::restore(skb, scratch)?;
    }
    send(skb, &scratch.packet, &scratch.way)
}

/// Sends a packet on that was translated by the record.
///
/// # Errors
/// [`Stop::NotOurs`] when it goes the stack's way.
#[inline(always)]
pub(super) fn pass_translated(skb: Skb, hook: Hook, scratch: &mut Scratch) -> Result<(), Stop> {
    if LOCAL_REDIRECT.load() == 0 || !matches!(hook, Hook::FromPod) {
        return Err(Stop::NotOurs);
    }
    hand_over_translated(skb, scratch)
}

#[inline(never)]
fn hand_over_translated(skb: Skb, scratch: &mut Scratch) -> Result<(), Stop> {
    scratch.way.to = nat::translated(&scratch.packet.key, &scratch.record);
    find(skb, &scratch.packet, &mut scratch.way)?;
    send(skb, &scratch.packet, &scratch.way)
}

/// Whether the route of a packet translated by `record` ends at the interface of a pod of this node that may be handed it:
/// what came in for the pod was judged, where it is. Not so on its way out of the node's own programs: the kernel hands
/// over only what comes in.
#[inline(always)]
pub(super) fn is_behind(hook: Hook, route: &Route, record: &FlowRecord) -> bool {
    LOCAL_REDIRECT.load() != 0
        && matches!(hook, Hook::FromPod | Hook::FromUplink)
        && nat::ends_at_pod(record)
        && route.macs.is_some()
        && interface_of(&record.dst) == route.ifindex
}

/// Hands a packet to the pod behind an interface, under the addresses of its route.
#[inline(always)]
pub(super) fn send_routed(skb: Skb, ifindex: u32, route: &Route) -> Result<(), Stop> {
    let Some(macs) = route.macs else { return Err(Stop::NotOurs) };
    skb.store(0, &macs)?;
    hand_over(skb, ifindex)
}

/// The way to a pod of this node.
pub(crate) struct Way {
    /// The packet as the pod gets it, but for a source that is restored.
    to: FlowKey,
    /// The host's end of its interface.
    ifindex: u32,
    /// The frame is addressed to the node, which routes it. Else it is addressed to the pod: both are ports of a bridge.
    routed: bool,
    route: Route,
}

/// Looks for the pod that a packet with these addresses is for, and for the node's route to it.
#[inline(never)]
fn find(skb: Skb, packet: &Packet, way: &mut Way) -> Result<(), Stop> {
    let is_plain = matches!((packet.kind, packet.part), (Kind::Transport, Part::Whole));
    let ifindex = interface_of(&way.to.dst);
    if !is_plain || packet.ttl <= 1 || ifindex == 0 || ifindex == skb.ifindex() || !may_pass_stack_by(skb, packet) {
        return Err(Stop::NotOurs);
    }
    way.ifindex = ifindex;
    route::look_up(skb, &way.to, route::length_on_link(skb, packet), &mut way.route).map_err(|_| Stop::NotOurs)?;
    let (Some([pod, node]), Some(frame)) = (way.route.macs, skb.header::<Macs>(0)) else { return Err(Stop::NotOurs) };
    way.routed = frame.dst != pod;
    // On a bridge it may be for a third pod, which passes it on.
    if way.routed && frame.dst != node && skb.is_for_another_host() { Err(Stop::NotOurs) } else { Ok(()) }
}

/// Whether the stack has nothing to find in a packet but its way: the source is the pod's own, which the stack need not
/// check, and conntrack has nothing to translate, as in what answers connections of another proxy's.
#[inline(always)]
fn may_pass_stack_by(skb: Skb, packet: &Packet) -> bool {
    route::pod_behind(skb.ifindex(), packet.family).is_some_and(|pod| pod == packet.key.src) && !Maps.is_taking_over()
}

#[inline(never)]
fn interface_of(addr: &Addr) -> u32 {
    Maps.identity(addr).filter(Identity::is_local).map_or(0, |pod| pod.ifindex)
}

/// Does what the hook at the client's interface would do.
#[inline(never)]
fn restore(skb: Skb, scratch: &mut Scratch) -> Result<(), Stop> {
    match nat::follow(&Maps, &scratch.packet, Hook::JudgedToPod, clock::seconds(), &mut scratch.record)? {
        Followed::Translate => Ok(rewrite::translate(skb, &scratch.packet, &scratch.record, scratch.packet.ttl)?),
        Followed::Leave | Followed::Known | Followed::Unknown => Err(Stop::NotOurs),
    }
}

/// As a router would send it, or as a bridge would.
#[inline(never)]
fn send(skb: Skb, packet: &Packet, way: &Way) -> Result<(), Stop> {
    if way.routed {
        rewrite::decrement_ttl(skb, packet)?;
        return send_routed(skb, way.ifindex, &way.route);
    }
    hand_over(skb, way.ifindex)
}

/// Has the packet come in at the pod's own end of an interface.
#[inline(always)]
fn hand_over(skb: Skb, ifindex: u32) -> Result<(), Stop> {
    skb.enter_pod()?;
    // SAFETY: the helper takes numbers only.
    unsafe { bpf_redirect_peer(ifindex, 0) };
    Ok(())
}
