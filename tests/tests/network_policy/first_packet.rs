//! Pods that start under default deny while clients already hammer at their addresses.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use lab::losses::{Starts, starting, starts};
use lab::manifests::build;
use lab::traffic::Reached;
use lab::{Attachment, Cluster, Host, Lab, Serving, SocketLb, eventually};

use crate::scene::{put, tcp};

/// Programs with pods attached in either way, and rules.
const SERVINGS: [Serving; 3] = [
    Serving::ebpf(Attachment::Routed, SocketLb::On),
    Serving::ebpf(Attachment::Bridge, SocketLb::On),
    Serving::iptables(Attachment::Routed),
];
/// Starts of pods, over all of them.
const STARTS: u16 = 100;
/// The same in a run of their own.
const MANY_STARTS: u16 = 1_000;
/// Number on its node of a pod that starts by itself.
const FIRST: u8 = 100;
/// A port that nobody serves: what arrives is counted by the pod's kernel.
const PORT: u16 = 9;

#[test]
fn no_packet_reaches_a_pod_before_its_policy() -> Result<()> {
    start_under_fire(STARTS)
}

#[test]
#[ignore = "takes minutes: cargo xtask leak"]
fn no_packet_reaches_any_of_a_thousand_pods_before_its_policy() -> Result<()> {
    start_under_fire(MANY_STARTS)
}

fn start_under_fire(pods: u16) -> Result<()> {
    for serving in SERVINGS {
        let lab = Lab::builder().attachment(serving.attachment).build()?;
        put(&lab, "cluster.yaml")?;
        put(&lab, "default-deny.yaml")?;
        let cluster = Cluster::start(lab, serving)?;
        // From pods of the node, through their own interfaces, and from one of another, through the uplink.
        let clients: [&Host; 3] = [cluster.pod("nginx-1")?, cluster.pod("monitor")?, cluster.pod("coredns")?];
        let Starts { sent, leaks, .. } =
            starts(cluster.lab(), "web", &clients, pods / 2).with_context(|| serving.to_string())?;
        ensure!(leaks.is_empty(), "{serving}: packets reached pods: {leaks:?}");
        ensure!(sent > u64::from(pods) * 3, "{serving}: only {sent} packets were sent");
    }
    Ok(())
}

#[test]
fn pod_is_served_as_soon_as_its_object_is_known() -> Result<()> {
    for serving in SERVINGS {
        let lab = Lab::builder().attachment(serving.attachment).build()?;
        put(&lab, "cluster.yaml")?;
        put(&lab, "only-nginx-1.yaml")?;
        let cluster = Cluster::start(lab, serving)?;
        let pod = cluster.lab().node("node1")?.add_pod("starting", FIRST)?;
        for address in pod.addresses().iter() {
            let reached = tcp(cluster.pod("nginx-1")?, SocketAddr::new(address, PORT))?;
            assert_eq!(reached, Reached::Silence, "{serving}: nobody is known to have {address}");
        }
        cluster.lab().manifests().write("starting.yaml", &build::file(&[starting("starting", "web", FIRST)]))?;
        let addresses: Vec<IpAddr> = pod.addresses().iter().collect();
        for address in addresses {
            // The pod itself refuses: nobody serves the port.
            eventually("the pod is reached", &Reached::Refused, || {
                tcp(cluster.pod("nginx-1")?, SocketAddr::new(address, PORT))
            })?;
        }
    }
    Ok(())
}
