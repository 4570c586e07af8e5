//! Pods that start under default deny while clients already hammer at their addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::manifests::build;
use lab::traffic::Reached;
use lab::{Attachment, Cluster, Host, Lab, Node, SocketLb, eventually, topology};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::scene::{put, tcp};

/// Starts of pods, over both ways of attaching them.
const STARTS: u16 = 100;
/// The same in a run of their own.
const MANY_STARTS: u16 = 1_000;
/// Pods that start in one round.
const TOGETHER: u8 = 50;
/// The first one's number on its node.
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

fn start_under_fire(starts: u16) -> Result<()> {
    for attachment in Attachment::BOTH {
        let lab = Lab::builder().attachment(attachment).build()?;
        put(&lab, "cluster.yaml")?;
        put(&lab, "default-deny.yaml")?;
        let cluster = Cluster::start(lab, SocketLb::On)?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            // From a pod of the node, through its own interface, and from one of another, through the uplink.
            let clients = [cluster.pod("nginx-1")?, cluster.pod("monitor")?, cluster.pod("coredns")?];
            let hammers = clients.map(|client| scope.spawn(|| hammer(client, &stop)));
            let started = start_all(&cluster, starts);
            stop.store(true, Ordering::Relaxed);
            for hammer in hammers {
                let sent = hammer.join().expect("a hammer doesn't panic")?;
                ensure!(sent > u64::from(starts), "{attachment:?}: only {sent} packets were sent");
            }
            started.with_context(|| format!("{attachment:?}"))
        })?;
    }
    Ok(())
}

fn start_all(cluster: &Cluster, starts: u16) -> Result<()> {
    let node = cluster.lab().node("node1")?;
    for round in 0..starts / u16::from(TOGETHER) / 2 {
        start_some(cluster, node, round)?;
    }
    Ok(())
}

/// A round of pods. Of every second the object is there before its interface, as its labels are known before its address;
/// of the others it comes after.
fn start_some(cluster: &Cluster, node: &Node, round: u16) -> Result<()> {
    let manifests = cluster.lab().manifests();
    let objects: Vec<_> = indexes().map(object).collect();
    let (early, late): (Vec<_>, Vec<_>) = objects.into_iter().enumerate().partition(|(number, _)| number % 2 == 0);
    let objects =
        |part: Vec<(usize, serde_json::Value)>| part.into_iter().map(|(_, object)| object).collect::<Vec<_>>();
    manifests.write("early.yaml", &build::file(&objects(early)))?;
    let mut pods = Vec::new();
    for index in indexes() {
        pods.push(node.add_pod(&name(index), index)?);
    }
    manifests.write("late.yaml", &build::file(&objects(late)))?;
    thread::sleep(Duration::from_millis(200));
    for pod in pods {
        for (protocol, counted) in [("Tcp", "InSegs"), ("Udp", "NoPorts"), ("Udp", "InDatagrams"), ("Icmp", "InEchos")]
        {
            let leaked = counter(&pod, protocol, counted)?;
            ensure!(leaked == 0, "round {round}: {leaked} packets reached {}: {protocol} {counted}", pod.name());
        }
        let leaked = counter6(&pod, "Udp6NoPorts")?;
        ensure!(leaked == 0, "round {round}: {leaked} datagrams reached {} over IPv6", pod.name());
        pod.remove()?;
    }
    manifests.remove("early.yaml")?;
    Ok(manifests.remove("late.yaml")?)
}

fn indexes() -> impl Iterator<Item = u8> {
    FIRST..FIRST + TOGETHER
}

fn name(index: u8) -> String {
    format!("starting-{index}")
}

fn object(index: u8) -> serde_json::Value {
    let mut pod = build::client(&name(index), 1, index);
    pod["metadata"]["namespace"] = json!("web");
    pod
}

/// Sends to every address there may be a pod at, over and over; returns how many packets went out.
fn hammer(client: &Host, stop: &AtomicBool) -> Result<u64> {
    client.inside(|| {
        let udp = [UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?, UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?];
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            for address in indexes().flat_map(|index| topology::pod(1, index).iter().collect::<Vec<_>>()) {
                let to = SocketAddr::new(address, PORT);
                // Who isn't there yet may be unreachable.
                let socket = if address.is_ipv4() { &udp[0] } else { &udp[1] };
                sent += u64::from(socket.send_to(b"?", to).is_ok());
                sent += u64::from(knock(to)?);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(sent)
    })?
}

/// Sends a SYN and waits for nothing.
fn knock(to: SocketAddr) -> Result<bool> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None)?;
    let begun = socket.connect(&to.into());
    Ok(begun.is_err_and(|error| error.raw_os_error() == Some(libc::EINPROGRESS)))
}

/// A counter of a host's `/proc/net/snmp`, since its namespace was made.
pub(crate) fn counter(host: &Host, protocol: &str, name: &str) -> Result<u64> {
    let text = host.run(&["cat", "/proc/net/snmp"])?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(": "));
    let (names, values) = (lines.next().context("names")?, lines.next().context("values")?);
    let position = names.split(' ').position(|it| it == name).with_context(|| format!("{protocol} has no {name}"))?;
    Ok(values.split(' ').nth(position).context("a value for each name")?.parse()?)
}

fn counter6(host: &Host, name: &str) -> Result<u64> {
    let text = host.run(&["cat", "/proc/net/snmp6"])?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.trim().parse()?)
}

#[test]
fn pod_is_served_as_soon_as_its_object_is_known() -> Result<()> {
    for attachment in Attachment::BOTH {
        let lab = Lab::builder().attachment(attachment).build()?;
        put(&lab, "cluster.yaml")?;
        put(&lab, "only-nginx-1.yaml")?;
        let cluster = Cluster::start(lab, SocketLb::On)?;
        let pod = cluster.lab().node("node1")?.add_pod(&name(FIRST), FIRST)?;
        for address in pod.addresses().iter() {
            let reached = tcp(cluster.pod("nginx-1")?, SocketAddr::new(address, PORT))?;
            assert_eq!(reached, Reached::Silence, "{attachment:?}: nobody is known to have {address}");
        }
        cluster.lab().manifests().write("starting.yaml", &build::file(&[object(FIRST)]))?;
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
