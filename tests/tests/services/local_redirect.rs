//! Packets handed to the pods of a node past its stack: `--local-redirect on`.

use anyhow::{Context as _, Result};
use lab::traffic::Ask;
use lab::{Attachment, Family, Host};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

use crate::configuration::Configuration;
use crate::path_mtu::{BULK, TOO_LONG, narrow_the_endpoint};
use crate::protocol::Protocol;

const MANY: u32 = 32;
/// Packets that a host's end of an interface may send beside the requests: talk among neighbours.
const FEW: u64 = 20;
/// How long a denied request is waited for.
const SILENCE: Duration = Duration::from_millis(300);

const ISOLATED: &str = r"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-is-closed}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
";

fn switched_on() -> impl Iterator<Item = Configuration> {
    Configuration::by_programs().map(|configuration| Configuration { local_redirect: true, ..configuration })
}

#[test]
fn a_pod_is_reached_from_its_node_and_from_outside_and_routed_past_the_hosts_end_of_its_interface() -> Result<()> {
    switched_on().try_for_each(|configuration| {
        configuration.tell(|cluster| {
            let node = cluster.lab().node("node1")?;
            let (client, server) = (cluster.pod("client-1")?, cluster.pod("web-1")?);
            for (protocol, family) in Protocol::with_families() {
                let port = if protocol == Protocol::Tcp { 8080 } else { 5353 };
                let pod = SocketAddr::new(server.addresses().of(family), port);
                let node_port = cluster.node_port("node1", "only-node1", family)?;
                let mut ways = vec![
                    (&**client, client.addresses(), pod),
                    (client, client.addresses(), cluster.cluster_ip("only-node1", family)?),
                    (client, client.addresses(), node_port),
                ];
                // On a bridge the route from outside ends at the bridge.
                if configuration.serving.attachment == Attachment::Routed {
                    ways.push((cluster.lab().client(), cluster.lab().client_addresses(), node_port));
                }
                for (from, addresses, to) in ways {
                    let asked = format!("{from} {to} {protocol:?}");
                    // The neighbours get to know each other.
                    protocol.answers(from, &Ask::new(to))?;
                    let before = sent(node, &server.host_device())? + sent(node, &client.host_device())?;
                    for answer in protocol.answers(from, &Ask::new(to).times(MANY))? {
                        assert_eq!(answer.pod, "web-1", "{asked}");
                        assert_eq!(answer.client.ip(), addresses.of(family), "the endpoint sees its client: {asked}");
                        assert_eq!(answer.peername, to, "{asked}");
                    }
                    let after = sent(node, &server.host_device())? + sent(node, &client.host_device())?;
                    // A bridge's node doesn't know the addresses of the pods' neighbours unless it talks to them itself.
                    let past_stack = configuration.serving.attachment == Attachment::Routed;
                    assert!(!past_stack || after - before < FEW, "{} packets by the stack: {asked}", after - before);
                }
            }
            Ok(())
        })
    })
}

#[test]
fn what_a_pods_interface_does_not_take_is_told_of_by_the_stack() -> Result<()> {
    let routed = |configuration: &Configuration| configuration.serving.attachment == Attachment::Routed;
    switched_on().filter(routed).try_for_each(|configuration| {
        configuration.tell(|cluster| {
            narrow_the_endpoint(cluster)?;
            let client = cluster.pod("client-2")?;
            for family in Family::BOTH {
                let to = cluster.cluster_ip("only-node2", family)?;
                Protocol::Tcp.answers(client, &Ask::new(to).send(BULK).receive(BULK))?;
                for command in [["ip", "-4", "route", "flush", "cache"], ["ip", "-6", "route", "flush", "cache"]] {
                    client.run(&command)?;
                }
                assert_eq!(Protocol::Udp.error(client, &Ask::new(to).send(TOO_LONG))?, "EMSGSIZE");
            }
            Ok(())
        })
    })
}

#[test]
fn an_isolated_pod_is_not_handed_what_its_policy_denies() -> Result<()> {
    switched_on().try_for_each(|configuration| {
        configuration.tell(|cluster| {
            let client = cluster.pod("client-1")?;
            let pod = |family| SocketAddr::new(cluster.pod("web-1").unwrap().addresses().of(family), 8080);
            Protocol::Tcp.answers(client, &Ask::new(pod(Family::V4)))?;
            cluster.lab().manifests().write("policy.yaml", ISOLATED)?;
            for family in Family::BOTH {
                for to in [pod(family), cluster.cluster_ip("only-node1", family)?] {
                    let denied = || Protocol::Tcp.error(client, &Ask::new(to).timeout(SILENCE));
                    lab::eventually(&format!("{to} denied"), &"timeout".to_owned(), denied)?;
                }
            }
            cluster.lab().manifests().remove("policy.yaml")?;
            let ask = Ask::new(pod(Family::V6)).timeout(SILENCE);
            lab::eventually("open again", &true, || {
                Ok::<_, anyhow::Error>(Protocol::Tcp.answers(client, &ask).is_ok())
            })?;
            Ok(())
        })
    })
}

/// As the portmap plugin has it. Handed over, the endpoint's answers would pass conntrack by, which has to translate them.
#[test]
fn a_host_port_of_conntracks_is_reached_from_a_pod_of_its_node_while_nothing_is_handed_over() -> Result<()> {
    Configuration::all().try_for_each(|configuration| {
        configuration.tell(|cluster| {
            let (node, server) = (cluster.lab().node("node1")?, cluster.pod("web-1")?);
            let to = format!("{}:8080", server.addresses().v4);
            let rule = ["-p", "tcp", "-m", "addrtype", "--dst-type", "LOCAL", "--dport", "9000", "-j", "DNAT"];
            let rule = [&["iptables", "-t", "nat", "-A", "PREROUTING"], &rule[..], &["--to-destination", &to]].concat();
            node.run(&rule)?;
            let host_port = SocketAddr::new(node.addresses().v4.into(), 9000);
            let answers = Protocol::Tcp.answers(cluster.pod("client-1")?, &Ask::new(host_port).times(4))?;
            assert!(answers.iter().all(|answer| answer.pod == "web-1" && answer.peername == host_port), "{answers:?}");
            Ok(())
        })
    })
}

/// Packets that an interface has sent.
fn sent(host: &Host, device: &str) -> Result<u64> {
    let links: Value = serde_json::from_str(&host.run(&["ip", "-json", "-stats", "link", "show", device])?)?;
    links[0]["stats64"]["tx"]["packets"].as_u64().with_context(|| format!("no count of packets in {links}"))
}
