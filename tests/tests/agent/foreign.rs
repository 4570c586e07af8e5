//! Devices of other software stay as they are.

use anyhow::Result;
use lab::{Cluster, Lab, Node, SocketLb};

use crate::support::kernel::attached;
use crate::support::objects::{client, file, http, on_nodes, pod, service};
use crate::support::{eventually, json};

const STRICT: &str = "1";
/// Docker's bridge with a container, libvirt's with a virtual machine, a VPN's endpoint, a tap device.
const DEVICES: [&str; 6] = ["docker0", "veth0container", "virbr0", "vnet0", "vpn0", "tap0"];

fn lab() -> Result<Lab> {
    let lab = Lab::builder().build()?;
    let web = on_nodes(service("web", 10, &http()), &[30080]);
    let objects = [web, pod("web-1", "web", 1, 10), client("asker", 1, 20)];
    lab.manifests().write("web.yaml", &file(&objects))?;
    Ok(lab)
}

fn add_devices(lab: &Lab, node: &Node) -> Result<()> {
    let container = lab.client().netns();
    let commands = [
        "link add docker0 type bridge",
        "addr add 172.17.0.1/16 dev docker0",
        &format!("link add veth0container type veth peer name in-container netns {container}"),
        "link set veth0container master docker0 up",
        "link add virbr0 type bridge",
        "addr add 192.168.122.1/24 dev virbr0",
        "tuntap add dev vnet0 mode tap",
        "link set vnet0 master virbr0 up",
        "tuntap add dev vpn0 mode tun",
        "addr add 10.8.0.1/24 dev vpn0",
        "tuntap add dev tap0 mode tap",
    ];
    for command in commands {
        node.run(&[&["ip"], &command.split(' ').collect::<Vec<_>>()[..]].concat())?;
    }
    for device in DEVICES {
        node.run(&["ip", "link", "set", device, "up"])?;
        node.run(&["sysctl", "-qw", &format!("net.ipv4.conf.{device}.rp_filter={STRICT}")])?;
    }
    Ok(())
}

fn role(node: &Node, device: &str) -> Result<String> {
    let list = json(node, &["get", "devices", device])?;
    Ok(list["items"][0]["role"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn devices_of_other_software_get_no_program_and_keep_their_settings() -> Result<()> {
    let mut cluster = Cluster::without_agents(lab()?)?;
    add_devices(cluster.lab(), cluster.lab().node("node1")?)?;
    cluster.start_agents(&SocketLb::Off.into())?;
    let node = cluster.lab().node("node1")?;
    for device in DEVICES {
        let setting = node.run(&["sysctl", "-n", &format!("net.ipv4.conf.{device}.rp_filter")])?;
        assert_eq!(setting.trim(), STRICT, "{device}");
        let hooks: Vec<_> = attached(node)?.into_keys().filter(|hook| hook.starts_with(device)).collect();
        assert_eq!(hooks, [""; 0], "{device}");
        assert_eq!(role(node, device)?, "Other", "{device}");
    }
    let why = json(node, &["get", "devices", "docker0"])?["items"][0]["why"].to_string();
    assert!(why.contains("other software"), "{why}");
    // What the node itself routes by is no longer somebody else's.
    node.run(&["ip", "route", "add", "10.244.9.0/24", "dev", "vpn0"])?;
    eventually("the role of a VPN that leads to pods", &"Uplink".to_owned(), || role(node, "vpn0"))?;
    node.run(&["ip", "route", "del", "10.244.9.0/24", "dev", "vpn0"])?;
    eventually("its role without the route", &"Other".to_owned(), || role(node, "vpn0"))?;
    Ok(())
}
