//! Hands a packet to a pod of this node past the node's stack and past the hook at the pod's interface, where the operator
//! lets us (`LOCAL_REDIRECT`). What that hook would do is done here, or the packet goes the stack's way.

use aya_ebpf::helpers::generated::bpf_redirect_peer;
use proxy_common::addr::Addr;
use proxy_common::drop::Stop;
use proxy_common::nat::{self, Followed, Hook};
use proxy_common::packet::{Kind, Packet, Part};
use proxy_common::policy::PolicyTables as _;
use proxy_common::service::ServiceTables as _;
use proxy_common::tables::{FlowKey, Identity};
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
    let mut way = Way::default();
    let key = scratch.packet.key;
    find(skb, &scratch.packet, &key, &mut way)?;
    if restore {
        self::restore(skb, scratch)?;
    }
    send(skb, &scratch.packet, &way)
}

/// Sends a packet on that was translated to `key`.
///
/// # Errors
/// [`Stop::NotOurs`] when it goes the stack's way.
#[inline(always)]
pub(super) fn pass_translated(skb: Skb, hook: Hook, packet: &Packet, key: &FlowKey) -> Result<(), Stop> {
    if LOCAL_REDIRECT.load() == 0 || !matches!(hook, Hook::FromPod) {
        return Err(Stop::NotOurs);
    }
    let mut way = Way::default();
    find(skb, packet, key, &mut way)?;
    send(skb, packet, &way)
}

/// The way to a pod of this node.
#[derive(Default)]
struct Way {
    /// The host's end of its interface.
    ifindex: u32,
    route: Route,
}

/// Looks for the pod that a packet with these addresses is for, and for the node's route to it.
#[inline(never)]
fn find(skb: Skb, packet: &Packet, key: &FlowKey, way: &mut Way) -> Result<(), Stop> {
    let is_plain = matches!((packet.kind, packet.part), (Kind::Transport, Part::Whole));
    let ifindex = interface_of(&key.dst);
    // Conntrack has yet to translate what answers a connection of another proxy's.
    if !is_plain || packet.ttl <= 1 || ifindex == 0 || ifindex == skb.ifindex() || Maps.is_taking_over() {
        return Err(Stop::NotOurs);
    }
    way.ifindex = ifindex;
    route::look_up(skb, key, route::length_on_link(skb, packet), &mut way.route).map_err(|_| Stop::NotOurs)
}

#[inline(always)]
fn interface_of(addr: &Addr) -> u32 {
    Maps.identity(addr).filter(Identity::is_local).map_or(0, |pod| pod.ifindex)
}

/// Does what the hook at the client's interface would do.
#[inline(never)]
fn restore(skb: Skb, scratch: &mut Scratch) -> Result<(), Stop> {
    match nat::follow(&Maps, &scratch.packet, Hook::JudgedToPod, clock::seconds(), &mut scratch.record)? {
        Followed::Translate => Ok(rewrite::translate(skb, &scratch.packet, &scratch.record)?),
        Followed::Leave | Followed::Known | Followed::Unknown => Err(Stop::NotOurs),
    }
}

/// As a router would send it, if the frame isn't addressed to the pod already: on a bridge it is.
#[inline(always)]
fn send(skb: Skb, packet: &Packet, way: &Way) -> Result<(), Stop> {
    let Some(macs) = way.route.macs else { return Err(Stop::NotOurs) };
    let Some(frame) = skb.header::<Macs>(0) else { return Err(Stop::NotOurs) };
    if frame.dst != macs[0] {
        rewrite::decrement_ttl(skb, packet)?;
        skb.store(0, &macs)?;
    }
    skb.enter_pod()?;
    // SAFETY: the helper takes numbers only.
    unsafe { bpf_redirect_peer(way.ifindex, 0) };
    Ok(())
}
