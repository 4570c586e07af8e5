//! Interfaces come, go and change while the agent runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Agent, AgentOptions, Attachment, Cluster, Family, Lab, Node, Pod, SocketLb};

use crate::support::eventually;
use crate::support::kernel::attached;
use crate::support::objects::{client, file, http, on_nodes, pod, service};
use crate::support::status::{Device, status};

const NODE_PORT: u16 = 30080;
/// TCP tries again after a second: an answer before that means that the first packet was served.
const FIRST_PACKET: Duration = Duration::from_millis(900);
/// A pod's containers take longer to start than this.
const SOON: Duration = Duration::from_millis(200);

fn lab(attachment: Attachment) -> Result<Lab> {
    let lab = Lab::builder().attachment(attachment).build()?;
    let web = on_nodes(service("web", 10, &http()), &[NODE_PORT]);
    let objects = [web, pod("web-1", "web", 1, 10), client("asker", 1, 20)];
    lab.manifests().write("web.yaml", &file(&objects))?;
    Ok(lab)
}

fn devices(node: &Node) -> Result<Vec<Device>> {
    let mut devices = status(node)?.agent()?.devices;
    devices.sort();
    Ok(devices)
}

/// Directions of an interface in which the kernel runs a program.
fn directions(node: &Node, device: &str) -> Result<Vec<String>> {
    let hooks = attached(node)?.into_keys();
    Ok(hooks.filter_map(|hook| Some(hook.strip_prefix(device)?.strip_prefix(' ')?.to_owned())).collect())
}

/// Waits until a pod's interface has its programs; how long that took.
fn wait_for_programs(node: &Node, pod: &Pod) -> Result<Duration> {
    let both = vec!["egress".to_owned(), "ingress".into()];
    eventually("programs at a new pod", &both, || directions(node, &pod.host_device()))
}

#[test]
fn new_pod_is_served_soon_and_leaves_nothing_when_it_goes() -> Result<()> {
    for attachment in Attachment::BOTH {
        // Off: the pod depends on the programs at its interface.
        let cluster = Cluster::start(lab(attachment)?, SocketLb::Off)?;
        let node = cluster.lab().node("node1")?;
        let (before, links) = (devices(node)?, status(node)?.kernel()?.links);
        let mut fastest = Duration::MAX;
        for index in 40..44 {
            let late = node.add_pod(&format!("late-{index}"), index)?;
            fastest = fastest.min(wait_for_programs(node, &late)?);
            for family in Family::BOTH {
                let ask = Ask::new(cluster.cluster_ip("web", family)?).timeout(FIRST_PACKET);
                assert_eq!(late.http(&ask)?.client.ip(), late.addresses().of(family), "{attachment:?}");
            }
            eventually("its role", &Some("Pod".to_owned()), || {
                Ok(status(node)?.agent()?.role(&late.host_device()).map(ToOwned::to_owned))
            })?;
            late.remove()?;
        }
        // A busy machine delays some, but not all.
        assert!(fastest < SOON, "{attachment:?}: at best it took {fastest:?} until a pod was served");
        eventually("interfaces", &before, || devices(node))?;
        eventually("links", &links, || Ok(status(node)?.kernel()?.links))?;
    }
    Ok(())
}

#[test]
fn pods_that_came_and_went_without_an_agent_are_found_by_the_next() -> Result<()> {
    let mut cluster = Cluster::start(lab(Attachment::Routed)?, SocketLb::Off)?;
    let gone = cluster.lab().node("node1")?.add_pod("gone", 40)?;
    wait_for_programs(cluster.lab().node("node1")?, &gone)?;
    let gone_device = gone.host_device();
    cluster.agents()[0].kill()?;
    gone.remove()?;
    let come = cluster.lab().node("node1")?.add_pod("come", 41)?;
    cluster.agents()[0].restart()?;
    let node = cluster.lab().node("node1")?;
    assert_eq!(directions(node, &come.host_device())?.len(), 2, "when it is ready it serves every pod");
    assert_eq!(status(node)?.kernel()?.programs_at(&gone_device), BTreeMap::new());
    come.http_get(cluster.cluster_ip("web", Family::V4)?)?;
    Ok(())
}

#[test]
fn agents_side_by_side_do_not_see_each_others_interfaces() -> Result<()> {
    let mut cluster = Cluster::start(lab(Attachment::Routed)?, SocketLb::On)?;
    let hooks_of_2 = attached(cluster.lab().node("node2")?)?;
    assert!(!hooks_of_2.is_empty());
    let late = cluster.lab().node("node1")?.add_pod("late", 40)?;
    wait_for_programs(cluster.lab().node("node1")?, &late)?;
    cluster.agents()[0].kill()?;
    assert!(cluster.lab().node("node1")?.sluice(&["cleanup"])?.status.success());
    let (one, two) = (cluster.lab().node("node1")?, cluster.lab().node("node2")?);
    assert_eq!(attached(one)?, BTreeMap::new());
    assert_eq!(attached(two)?, hooks_of_2);
    for family in Family::BOTH {
        two.http_get(cluster.cluster_ip("web", family)?)?;
        cluster.lab().client().http_get(cluster.node_port("node2", "web", family)?)?;
    }
    Ok(())
}

#[test]
fn only_named_devices_are_uplinks() -> Result<()> {
    let cluster = Cluster::without_agents(lab(Attachment::Routed)?)?;
    let node = cluster.lab().node("node1")?;
    let from_outside = |family| {
        let ask = Ask::new(cluster.node_port("node1", "web", family)?).timeout(FIRST_PACKET);
        anyhow::Ok(cluster.lab().client().http(&ask))
    };
    for (pattern, role) in [("wan*", None), ("eth?", Some("Uplink")), ("eth0", Some("Uplink")), ("wan0", None)] {
        let arguments = vec!["--device".to_owned(), pattern.to_owned()];
        let mut agent = Agent::start(cluster.lab(), node, &AgentOptions { arguments, ..SocketLb::On.into() })?;
        assert_eq!(status(node)?.agent()?.role("eth0"), role, "{pattern}");
        assert_eq!(directions(node, "eth0")?.len(), if role.is_some() { 2 } else { 0 }, "{pattern}");
        for family in Family::BOTH {
            assert_eq!(from_outside(family)?.is_ok(), role.is_some(), "{pattern} {family}");
            cluster.pod("asker")?.http_get(cluster.cluster_ip("web", family)?)?;
        }
        agent.terminate()?;
    }
    Ok(())
}

#[test]
fn interface_that_changes_its_role_changes_its_programs() -> Result<()> {
    let cluster = Cluster::start(lab(Attachment::Routed)?, SocketLb::Off)?;
    let node = cluster.lab().node("node1")?;
    let asker = cluster.pod("asker")?;
    let device = asker.host_device();
    let programs = |ingress: &'static str, egress: &'static str| {
        BTreeMap::from([("egress".to_owned(), egress.to_owned()), ("ingress".to_owned(), ingress.to_owned())])
    };
    let running = || {
        let kernel = status(node)?.kernel()?;
        let programs = kernel.programs_at(&device).into_iter();
        anyhow::Ok(programs.map(|(way, program)| (way.to_owned(), program.to_owned())).collect::<BTreeMap<_, _>>())
    };
    let links = || {
        let links = status(node)?.kernel()?.links.into_iter();
        anyhow::Ok(links.map(|link| (link.name, link.id)).collect::<Vec<_>>())
    };
    let before = links()?;
    let (pod, uplink) = (programs("from_pod", "to_pod"), programs("from_uplink", "to_uplink"));
    assert_eq!(running()?, pod);
    // An address that stands for a subnet makes it a way out of the node. (IPv6: the kernel forgets the IPv4 routes of an
    // interface whose last address goes, and this one has no other.)
    node.run(&["ip", "address", "add", "fd00:31::1/64", "dev", &device, "nodad"])?;
    eventually("programs of an uplink", &uplink, running)?;
    node.run(&["ip", "address", "del", "fd00:31::1/64", "dev", &device])?;
    eventually("programs of a pod", &pod, running)?;
    assert_eq!(links()?, before, "the links are the same throughout");
    for family in Family::BOTH {
        asker.http_get(cluster.cluster_ip("web", family)?)?;
    }
    Ok(())
}

#[test]
fn renamed_uplink_and_new_address_are_followed() -> Result<()> {
    let cluster = Cluster::start(lab(Attachment::Routed)?, SocketLb::Off)?;
    let node = cluster.lab().node("node1")?;
    node.run(&["ip", "address", "add", "192.0.2.99/24", "dev", "eth0"])?;
    let to = "192.0.2.99:30080".parse()?;
    let started = Instant::now();
    let ask = Ask::new(to).timeout(FIRST_PACKET);
    let answered = || anyhow::Ok(cluster.lab().client().http(&ask).is_ok());
    eventually("an answer at the new address", &true, answered)?;
    assert!(started.elapsed() < FIRST_PACKET, "{:?}", started.elapsed());
    node.run(&["ip", "address", "del", "192.0.2.99/24", "dev", "eth0"])?;
    eventually("an answer at the new address", &false, answered)?;

    node.run(&["ip", "link", "set", "eth0", "name", "wan0"])?;
    eventually("the role of wan0", &Some("Uplink".to_owned()), || {
        Ok(status(node)?.agent()?.role("wan0").map(ToOwned::to_owned))
    })?;
    assert_eq!(directions(node, "wan0")?, ["egress", "ingress"]);
    assert_eq!(status(node)?.kernel()?.programs_at("eth0"), BTreeMap::new(), "pins carry the new name");
    cluster.lab().client().http_get(cluster.node_port("node1", "web", Family::V4)?)?;
    Ok(())
}
