//! The way of a packet through a hook: parse, decide, rewrite, send on.

use aya_ebpf::bindings::{TC_ACT_REDIRECT, TC_ACT_SHOT, TC_ACT_UNSPEC};
use proxy_common::drop::{Reason, Stop};
use proxy_common::flow::is_reply;
use proxy_common::nat::{self, Followed, Hook, translated};
use proxy_common::packet::{Kind, Packet, Part};
use proxy_common::policy::{PolicyTables as _, ruling_flags};
use proxy_common::tables::{FlowRecord, flow_flags};

use super::answer::{Answer, answer};
use super::read::read;
use super::route::{self, LOOPBACK, Route};
use super::skb::Skb;
use super::{event, fragment, guard, log, rewrite};
use crate::clock;
use crate::maps::{POLICY_REJECT, Scratch, count_drop, scratch};
use crate::tables::Maps;
use crate::zero::clear;

/// Not ours, or done with: the next program on the hook, then the kernel's own stack.
const NEXT: i32 = TC_ACT_UNSPEC;

/// Runs a packet through a hook whose packets begin with `link_layer` bytes of link-layer header. Returns the
/// program's verdict.
#[inline(always)]
pub(crate) fn run(skb: Skb, hook: Hook, link_layer: u32) -> i32 {
    let Some(scratch) = scratch() else { return NEXT };
    // SAFETY: no other program of this CPU uses this element before this one returns.
    let scratch = unsafe { &mut *scratch };
    match decide(skb, hook, link_layer, scratch) {
        Ok(()) => TC_ACT_REDIRECT,
        Err(Stop::NotOurs | Stop::LeftToConntrack) => NEXT,
        Err(Stop::Held) => TC_ACT_SHOT,
        Err(Stop::Drop(reason)) => {
            count_drop(reason);
            event::drop(skb, reason, scratch);
            let told = match reason {
                denial if is_answered(denial, hook) => Answer::PROHIBITED,
                refusal if refusal.is_refusal() => Answer::REFUSED,
                Reason::TtlExceeded => Answer::TTL_EXCEEDED,
                Reason::TooBig => Answer::too_big(scratch.mtu),
                _ => return TC_ACT_SHOT,
            };
            answer(skb, &scratch.packet, hook, told, link_layer)
        }
    }
}

/// Whether what policies deny is answered: where the sender's packet is as it sent it, and to it alone.
#[inline(always)]
fn is_answered(denial: Reason, hook: Hook) -> bool {
    POLICY_REJECT.load() != 0
        && matches!(denial, Reason::PolicyEgress | Reason::PolicyIngress)
        && matches!(hook, Hook::FromPod | Hook::FromUplink)
}

/// `Ok` when the packet was sent on.
#[inline(always)]
fn decide(skb: Skb, hook: Hook, link_layer: u32, scratch: &mut Scratch) -> Result<(), Stop> {
    // A tunnel has nobody else. A bridge's pods address the bridge, so what comes from them is for another interface.
    let for_others =
        link_layer != 0 && (skb.is_for_many_hosts() || (matches!(hook, Hook::FromUplink) && skb.is_for_another_host()));
    let only_judged = for_others && matches!(hook, Hook::FromPod | Hook::ToPod) && nat::judges(&Maps, hook);
    // Until the packet is read, that is of another.
    // SAFETY: this CPU's, and made of integers in whole words.
    unsafe { clear(&raw mut scratch.packet.key) };
    guard::admit_frame(skb, hook)?;
    let unread =
        if for_others && !only_judged { Err(Stop::NotOurs) } else { read(skb, link_layer, &mut scratch.packet) };
    match (unread, hook) {
        (Err(Stop::NotOurs), Hook::FromPod) => {
            return Err(guard::admit_neighbour(skb, link_layer, &mut scratch.packet.key));
        }
        (Ok(()), Hook::FromPod) => guard::admit_source(skb, &mut scratch.packet)?,
        (read, _) => read?,
    }
    let hook = match hook {
        Hook::ToPod => leaving_to_pod(skb, only_judged, &mut scratch.packet),
        _ if only_judged => Hook::Passing,
        _ => hook,
    };
    let done = pass(skb, hook, link_layer, scratch);
    log::outcome(skb, &scratch.packet, done);
    done
}

/// Who judges what leaves to a pod. What is for an address of another is judged as sent to the pod that gets it.
#[inline(never)]
fn leaving_to_pod(skb: Skb, only_judged: bool, packet: &mut Packet) -> Hook {
    if !nat::judges(&Maps, Hook::ToPod) {
        return Hook::JudgedToPod;
    }
    let judged = skb.is_judged_for_pod();
    skb.clear_mark();
    let ifindex = skb.ifindex();
    let is_its_own = Maps.identity(&packet.key.dst).is_some_and(|pod| pod.ifindex == ifindex);
    let behind = if is_its_own { None } else { route::pod_behind(ifindex, packet.family) };
    match behind {
        Some(pod) => {
            packet.key.dst = pod;
            Hook::Passing
        }
        None if only_judged => Hook::Passing,
        None if judged && is_its_own => Hook::JudgedToPod,
        None => Hook::ToPod,
    }
}

#[inline(always)]
fn pass(skb: Skb, hook: Hook, link_layer: u32, scratch: &mut Scratch) -> Result<(), Stop> {
    let now = clock::seconds();
    if !matches!(scratch.packet.part, Part::Whole) {
        fragment::meet(skb, hook, now, scratch)?;
    }
    scratch.ruling.flags = 0;
    let (done, for_pod) = match nat::follow(&Maps, &scratch.packet, hook, now, &mut scratch.record)? {
        Followed::Leave | Followed::Known => (Err(Stop::NotOurs), nat::ends_at_pod(&scratch.record)),
        Followed::Translate => (Ok(()), nat::ends_at_pod(&scratch.record)),
        Followed::Unknown => {
            let begun = nat::open(&Maps, &skb, &scratch.packet, hook, now, &mut scratch.record);
            (begun, scratch.ruling.flags & ruling_flags::TO_POD != 0)
        }
    };
    let is_judged = matches!(hook, Hook::FromPod | Hook::FromUplink) && !matches!(done, Err(Stop::LeftToConntrack));
    if is_judged && nat::judges(&Maps, hook) {
        skb.set_judged(for_pod);
    }
    if !matches!(done, Err(Stop::Drop(_) | Stop::LeftToConntrack)) {
        event::verdict(skb, scratch);
    }
    done?;
    carry_out(skb, hook, link_layer, scratch)
}

/// How a translated packet goes on.
enum Onward {
    /// As the node's own stack sees fit.
    Stack,
    /// To the node itself.
    Node,
    /// By a route we look up: its source is an address of the node, which the stack takes for a forgery on a packet
    /// that comes in.
    Route,
}

#[inline(always)]
fn onward(skb: Skb, hook: Hook, record: &FlowRecord) -> Onward {
    let to_node = record.flags & flow_flags::BACKEND_IS_NODE != 0;
    match (hook, is_reply(record)) {
        // An answer of the node's own programs was already routed to its client.
        (Hook::ToPod | Hook::JudgedToPod | Hook::FromNodeToPod | Hook::Passing, _) | (Hook::FromNode, true) => {
            Onward::Stack
        }
        (Hook::FromNode, false) if !to_node => Onward::Route,
        // On the loopback interface it is on its way there.
        (Hook::FromNode, false) if skb.ifindex() == LOOPBACK => Onward::Stack,
        (Hook::FromNode, false) => Onward::Node,
        (Hook::FromPod | Hook::FromUplink, true) if record.flags & flow_flags::CLIENT_IS_NODE != 0 => Onward::Node,
        // A pod's packet that keeps its source is routed as one sent to the backend directly would be.
        (Hook::FromPod, false) if record.flags & flow_flags::RESTORE_AT_CLIENT != 0 => Onward::Stack,
        (Hook::FromPod | Hook::FromUplink, false) if to_node => Onward::Stack,
        (Hook::FromPod | Hook::FromUplink, _) => Onward::Route,
    }
}

/// Rewrites a packet and sends it on; `Ok` when it needs nothing more.
#[inline(never)]
fn carry_out(skb: Skb, hook: Hook, link_layer: u32, scratch: &mut Scratch) -> Result<(), Stop> {
    if matches!(hook, Hook::FromNode | Hook::FromNodeToPod) {
        skb.set_translated();
    }
    let onward = onward(skb, hook, &scratch.record);
    if matches!(onward, Onward::Route) {
        return by_route(skb, hook, link_layer, scratch);
    }
    rewrite::translate(skb, &scratch.packet, &scratch.record, scratch.packet.ttl)?;
    match onward {
        Onward::Node => Ok(route::deliver_to_node(skb, link_layer)?),
        Onward::Stack | Onward::Route => Err(Stop::NotOurs),
    }
}

/// Does as a router would, on a packet that passes by the node's stack.
#[inline(always)]
fn by_route(skb: Skb, hook: Hook, link_layer: u32, scratch: &mut Scratch) -> Result<(), Stop> {
    let Scratch { packet, record, mtu, .. } = scratch;
    let forwarded = !matches!(hook, Hook::FromNode);
    if forwarded && packet.ttl <= 1 {
        return Err(Stop::Drop(Reason::TtlExceeded));
    }
    let checked = matches!(packet.kind, Kind::Transport | Kind::Fragment);
    let length = if checked { route::length_on_link(skb, packet) } else { 0 };
    let mut route = Route::default();
    let found = route::look_up(skb, &translated(&packet.key, record), length, &mut route);
    *mtu = route.mtu;
    let to_cut = matches!(found, Err(Reason::TooBig)) && route::may_be_cut(skb, packet);
    if !to_cut {
        found?;
    }
    // What is to be cut has its hop counted by the node's stack.
    let ttl = if forwarded && !to_cut { packet.ttl.wrapping_sub(1) } else { packet.ttl };
    rewrite::translate(skb, packet, record, ttl)?;
    if to_cut {
        return cut(skb, link_layer, !forwarded || record.src != packet.key.src);
    }
    Ok(route::send(skb, link_layer, &route)?)
}

/// Has the node's stack cut a translated packet into fragments: the kernel lends programs no helper for that. A source of
/// the node's own passes as such by the loopback interface.
#[inline(always)]
fn cut(skb: Skb, link_layer: u32, source_is_ours: bool) -> Result<(), Stop> {
    if source_is_ours { Ok(route::deliver_to_node(skb, link_layer)?) } else { Err(Stop::NotOurs) }
}
