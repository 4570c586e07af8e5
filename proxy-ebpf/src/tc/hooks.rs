//! Entry points.

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use proxy_common::nat::Hook;

use super::path::{ETHERNET, run};
use super::skb::Skb;

/// Ingress of a pod interface's host side.
#[classifier]
pub(crate) fn from_pod(ctx: TcContext) -> i32 {
    run(Skb::new(&ctx), Hook::FromPod, ETHERNET)
}

/// Egress of a pod interface's host side.
#[classifier]
pub(crate) fn to_pod(ctx: TcContext) -> i32 {
    let skb = Skb::new(&ctx);
    let hook = if is_of_node(skb) { Hook::FromNodeToPod } else { Hook::ToPod };
    run(skb, hook, ETHERNET)
}

/// Ingress of an uplink.
#[classifier]
pub(crate) fn from_uplink(ctx: TcContext) -> i32 {
    run(Skb::new(&ctx), Hook::FromUplink, ETHERNET)
}

/// Egress of an uplink and of the loopback interface.
#[classifier]
pub(crate) fn to_uplink(ctx: TcContext) -> i32 {
    from_node(Skb::new(&ctx), ETHERNET)
}

/// Ingress of an uplink without link-layer header.
#[classifier]
pub(crate) fn from_tunnel(ctx: TcContext) -> i32 {
    run(Skb::new(&ctx), Hook::FromUplink, 0)
}

/// Egress of an uplink without link-layer header.
#[classifier]
pub(crate) fn to_tunnel(ctx: TcContext) -> i32 {
    from_node(Skb::new(&ctx), 0)
}

/// What only passes through the node was seen where it came in.
#[inline(always)]
fn from_node(skb: Skb, link_layer: u32) -> i32 {
    if is_of_node(skb) { run(skb, Hook::FromNode, link_layer) } else { TC_ACT_UNSPEC }
}

/// Sent by a program of the node itself, and as that sent it.
#[inline(always)]
fn is_of_node(skb: Skb) -> bool {
    skb.ingress_ifindex() == 0 && !skb.is_translated()
}
