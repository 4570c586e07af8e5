//! NetworkPolicies, and what a node's tables hold of them.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use lab::{Node, Pod, topology};
use proxy_common::addr::Port;
use proxy_common::drop::Reason;
use proxy_common::policy::{PolicyTables as _, Question, Ruling};
use proxy_common::tables::{Device, Identity};
use proxy_user::dataplane::ebpf::read::{Overlay, Pinned};
use serde_json::{Value, json};

use super::bpffs;

/// A NetworkPolicy that lets nobody reach the Pods of an app but those of another, on one TCP port.
pub(crate) fn only(name: &str, app: &str, from: &str, port: u16) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": {"app": app}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": from}}}], "ports": [{"port": port}]}],
        },
    })
}

/// The Node object of a node, with the ranges of its pods.
pub(crate) fn node_object(node: &Node) -> Value {
    let ips = topology::pod(node.number(), 1);
    let ranges = [format!("{}/24", ips.v4), format!("{}/64", ips.v6)];
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name()},
        "spec": {"podCIDR": ranges[0], "podCIDRs": ranges},
    })
}

/// The tables of a node.
pub(crate) fn pinned(node: &Node) -> Result<Pinned> {
    Ok(Pinned::open(bpffs(node))?)
}

/// Who a node takes an address for.
pub(crate) fn identity(node: &Node, ip: IpAddr) -> Result<Option<Identity>> {
    Ok(pinned(node)?.policies.identities.get(&ip.into())?)
}

/// What the programs know of the interface of a pod.
pub(crate) fn device(node: &Node, pod: &Pod) -> Result<Device> {
    let ifindex = ifindex(node, pod)?;
    pinned(node)?.devices.get(&ifindex)?.with_context(|| format!("DEVICES has no interface {ifindex}"))
}

/// Index of a pod's interface on its node.
pub(crate) fn ifindex(node: &Node, pod: &Pod) -> Result<u32> {
    let links: Value = serde_json::from_str(&node.run(&["ip", "-j", "link"])?)?;
    let mut links = links.as_array().into_iter().flatten();
    let link = links.find(|link| link["ifname"] == pod.host_device());
    let link = link.with_context(|| format!("{} has no {}", node.name(), pod.host_device()))?;
    Ok(u32::try_from(link["ifindex"].as_u64().context("no index")?)?)
}

/// What a node says to a TCP packet, by its tables.
pub(crate) fn judged(pinned: &Pinned, src: IpAddr, dst: IpAddr, port: u16) -> Result<Result<(), Reason>> {
    let question =
        Question { src: src.into(), dst: dst.into(), protocol: 6, port: Port::new(port), ..Question::default() };
    let (tables, mut ruling) = (Overlay::new(pinned), Ruling::default());
    let verdict = tables.judge(&question, &mut ruling);
    tables.check()?;
    Ok(verdict)
}
