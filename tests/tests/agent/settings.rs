//! Settings that decide what of the objects is served, and what `sluice status` says of the rest.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{AgentOptions, Cluster, Family, Host, Lab, SocketLb, topology};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::objects::{file, http, on_nodes, pod, service};
use crate::support::status::status;

const NODE_PORT: u16 = 30080;
/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);

/// A web server on node1 and its Service, whose agents have these arguments.
fn cluster(service: &Value, arguments: &[&str]) -> Result<Cluster> {
    let lab = Lab::builder().build()?;
    lab.manifests().write("cluster.yaml", &file(&[pod("web-1", "web", 1, 10), service.clone()]))?;
    let mut cluster = Cluster::without_agents(lab)?;
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    cluster.start_agents(&AgentOptions { arguments, ..SocketLb::On.into() })?;
    Ok(cluster)
}

fn web_on_nodes() -> Value {
    on_nodes(service("web", 1, &http()), &[NODE_PORT])
}

/// The Node node1 with its real addresses of these families.
fn node_object(families: &[Family]) -> Value {
    let address = |family: &Family| json!({"type": "InternalIP", "address": topology::node(1).of(*family)});
    let addresses: Vec<_> = families.iter().map(address).collect();
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}, "status": {"addresses": addresses}})
}

/// What node1's agent says is wrong.
fn errors(cluster: &Cluster) -> Result<Vec<String>> {
    Ok(status(cluster.lab().node("node1")?)?.agent()?.errors)
}

fn answers(host: &Host, ip: IpAddr) -> Result<bool> {
    let outcome = host.http_each(&Ask::new(SocketAddr::new(ip, NODE_PORT)).timeout(SILENCE))?;
    Ok(outcome.iter().all(Result::is_ok))
}

#[test]
fn primary_serves_node_ports_on_the_internal_ips_of_the_node_object_and_says_which_family_has_none() -> Result<()> {
    let cluster = cluster(&web_on_nodes(), &["--nodeport-addresses", "primary"])?;
    let (client, own) = (cluster.lab().client(), topology::node(1));
    let missing = |families: &[Family]| {
        let line = |family| {
            format!(
                "Node node1: status.addresses: no InternalIP of {family}, so with --nodeport-addresses primary no node \
                 port of that family is served; add the address, or give ranges"
            )
        };
        families.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(errors(&cluster)?, missing(&Family::BOTH));
    assert!(!answers(client, own.v4.into())? && !answers(client, own.v6.into())?);

    for families in [&[Family::V4][..], &Family::BOTH] {
        cluster.lab().manifests().write("node.yaml", &node_object(families).to_string())?;
        let lacking: Vec<_> = Family::BOTH.into_iter().filter(|family| !families.contains(family)).collect();
        eventually("errors", &missing(&lacking), || errors(&cluster))?;
        for family in Family::BOTH {
            assert_eq!(answers(client, own.of(family))?, families.contains(&family), "{family}");
        }
    }
    let node = cluster.lab().node("node1")?;
    assert!(!answers(node, Ipv4Addr::LOCALHOST.into())?, "loopback is not primary");
    Ok(())
}

#[test]
fn node_ports_on_loopback_can_be_switched_off() -> Result<()> {
    for (arguments, expected) in [(&["--localhost-nodeports", "false"][..], false), (&[], true)] {
        let cluster = cluster(&web_on_nodes(), arguments)?;
        let node = cluster.lab().node("node1")?;
        for loopback in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            assert_eq!(answers(node, loopback)?, expected, "{loopback} {arguments:?}");
        }
        assert!(answers(node, topology::node(1).v4.into())?);
    }
    Ok(())
}

#[test]
fn external_ips_that_are_switched_off_are_said_to_be() -> Result<()> {
    let mut web = service("web", 1, &http());
    web["spec"]["externalIPs"] = json!(["203.0.113.1"]);
    let cluster = cluster(&web, &["--allow-service-external-ips", "false"])?;
    let errors = errors(&cluster)?;
    assert!(
        matches!(errors.as_slice(), [it] if it.starts_with("Service default/web: spec.externalIPs: ")),
        "{errors:?}"
    );
    Ok(())
}
