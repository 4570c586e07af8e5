//! Entry points.

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use proxy_common::nat::{Hook, judges};
use proxy_common::tables::device_flags;

use super::path::run;
use super::route;
use super::skb::{ETHERNET, Skb};
use crate::tables::Maps;

/// Ingress of a pod interface's host side.
#[classifier]
pub(crate) fn from_pod(ctx: TcContext) -> i32 {
    let skb = Skb::new(&ctx);
    skb.clear_mark();
    run(skb, Hook::FromPod, ETHERNET)
}

/// Egress of a pod interface's host side.
#[classifier]
pub(crate) fn to_pod(ctx: TcContext) -> i32 {
    let skb = Skb::new(&ctx);
    let hook = match (is_of_node(skb), skb.is_translated()) {
        (false, _) => Hook::ToPod,
        (true, false) => Hook::FromNodeToPod,
        // What the node sends its pods is not to be judged.
        (true, true) => Hook::JudgedToPod,
    };
    run(skb, hook, ETHERNET)
}

/// Ingress of an uplink.
#[classifier]
pub(crate) fn from_uplink(ctx: TcContext) -> i32 {
    from_outside(Skb::new(&ctx), ETHERNET)
}

/// Egress of an uplink and of the loopback interface.
#[classifier]
pub(crate) fn to_uplink(ctx: TcContext) -> i32 {
    to_outside(Skb::new(&ctx), ETHERNET)
}

/// Ingress of an uplink without link-layer header.
#[classifier]
pub(crate) fn from_tunnel(ctx: TcContext) -> i32 {
    from_outside(Skb::new(&ctx), 0)
}

/// Egress of an uplink without link-layer header.
#[classifier]
pub(crate) fn to_tunnel(ctx: TcContext) -> i32 {
    to_outside(Skb::new(&ctx), 0)
}

/// What a pod behind a bridge sent was met where it came in, at the bridge's port. What comes out of an overlay wasn't: it
/// is the packet around it that was judged, and the kernel leaves the note of that in place.
#[inline(always)]
fn from_outside(skb: Skb, link_layer: u32) -> i32 {
    if skb.is_judged() {
        if link_layer != 0 && !is_overlay(skb.ifindex()) {
            return TC_ACT_UNSPEC;
        }
        skb.clear_mark();
    }
    run(skb, Hook::FromUplink, link_layer)
}

#[inline(always)]
fn is_overlay(ifindex: u32) -> bool {
    route::device(ifindex).is_some_and(|device| device.flags & device_flags::OVERLAY != 0)
}

/// What only passes through the node was seen where it came in, or has yet to be judged.
#[inline(always)]
fn to_outside(skb: Skb, link_layer: u32) -> i32 {
    if is_of_node(skb) {
        return if skb.is_translated() { TC_ACT_UNSPEC } else { run(skb, Hook::FromNode, link_layer) };
    }
    if skb.is_judged() {
        // Another node in the same kernel may know the number.
        skb.clear_mark();
        return TC_ACT_UNSPEC;
    }
    if judges(&Maps, Hook::Passing) { run(skb, Hook::Passing, link_layer) } else { TC_ACT_UNSPEC }
}

/// Sent by a program of the node itself.
#[inline(always)]
fn is_of_node(skb: Skb) -> bool {
    skb.ingress_ifindex() == 0
}
