//! A LoadBalancer Service of five pods on two of three nodes, `externalTrafficPolicy` Local. The lab's router plays the
//! balancer: it asks each node's health check port, as a cloud's balancer does, and routes the Service's addresses to
//! the nodes that say yes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, eventually};

use crate::protocol::{Protocol, pods};
use crate::story::{from_example, on_nodes};

const SERVICE: &str = "hello-world";
const HEALTH_CHECK: u16 = 32_040;
const ON_NODE1: [&str; 3] = ["hello-world-1", "hello-world-2", "hello-world-3"];
const ON_NODE2: [&str; 2] = ["hello-world-4", "hello-world-5"];
/// Requests of which each goes to one of five endpoints: one of them gets none once in 30 000 million runs.
const MANY: u32 = 120;
/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);

#[test]
fn balancer_reaches_every_pod_and_each_sees_the_client() -> Result<()> {
    tell(|cluster| {
        for family in Family::BOTH {
            let nodes = route_to_healthy_nodes(cluster, family)?;
            assert_eq!(nodes, ["node1", "node2"], "{family}");
            let to = cluster.load_balancer(SERVICE, family)?;
            let answers = Protocol::Tcp.answers(cluster.lab().client(), &Ask::new(to).times(MANY))?;
            assert_eq!(pods(&answers), all(), "{to}");
            for answer in answers {
                assert_eq!(answer.client.ip(), cluster.lab().client_addresses().of(family), "{answer:?}");
                assert_eq!(answer.peername, to);
            }
        }
        Ok(())
    })
}

#[test]
fn nodes_answer_for_their_own_pods_alone_and_say_how_many_they_have() -> Result<()> {
    tell(|cluster| {
        for family in Family::BOTH {
            let to = cluster.load_balancer(SERVICE, family)?;
            for (node, local) in [("node1", &ON_NODE1[..]), ("node2", &ON_NODE2), ("node3", &[])] {
                assert_eq!(health(cluster, node, family)?, Some((code(local.len()), local.len())), "{node} {family}");
                route(cluster, to.ip(), &[node])?;
                let client = cluster.lab().client();
                if local.is_empty() {
                    assert_eq!(Protocol::Tcp.error(client, &Ask::new(to).timeout(SILENCE))?, "timeout", "{node}");
                } else {
                    let answers = Protocol::Tcp.answers(client, &Ask::new(to).times(MANY / 2))?;
                    assert_eq!(pods(&answers), local.iter().copied().collect(), "{node}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn node_whose_last_pod_becomes_unready_is_left_by_the_balancer_until_it_is_ready_again() -> Result<()> {
    tell(|cluster| {
        for (ready, nodes) in [(false, &["node1"][..]), (true, &["node1", "node2"])] {
            for pod in ON_NODE2 {
                cluster.lab().manifests().set_ready(pod, ready)?;
            }
            for family in Family::BOTH {
                let local = if ready { ON_NODE2.len() } else { 0 };
                let expected = Some((code(local), local));
                eventually::<_, anyhow::Error>("health of node2", &expected, || health(cluster, "node2", family))?;
                assert_eq!(route_to_healthy_nodes(cluster, family)?, nodes);
                let to = cluster.load_balancer(SERVICE, family)?;
                let answers = Protocol::Tcp.answers(cluster.lab().client(), &Ask::new(to).times(MANY))?;
                let expected = if ready { all() } else { ON_NODE1.into() };
                assert_eq!(pods(&answers), expected);
            }
        }
        Ok(())
    })
}

#[test]
fn pods_and_nodes_reach_every_pod_without_the_balancer() -> Result<()> {
    tell(|cluster| {
        for family in Family::BOTH {
            let to = cluster.load_balancer(SERVICE, family)?;
            // Nobody routes the address: what left a node would be lost.
            cluster.lab().wire().run(&["ip", "route", "replace", "blackhole", &to.ip().to_string()])?;
            for (client, own) in insiders(cluster)? {
                let answers = Protocol::Tcp.answers(client, &Ask::new(to).times(MANY))?;
                assert_eq!(pods(&answers), all(), "{client} {to}");
                for answer in answers {
                    assert!(own.contains(&answer.client.ip()), "{client}: {answer:?}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn address_that_the_balancer_proxies_is_left_to_it() -> Result<()> {
    tell(|cluster| {
        cluster.lab().manifests().edit("Service", SERVICE, |service| {
            let ingress = service.get_mut("status")?.get_mut("loadBalancer")?.get_mut("ingress")?;
            ingress.as_sequence_mut()?.iter_mut().for_each(|entry| entry["ipMode"] = "Proxy".into());
            Some(())
        })?;
        // The router has the address now, and a server of its own behind it.
        let _balancer = cluster.lab().wire().serve(&lab::traffic::Serve {
            name: "balancer".into(),
            http: vec![80],
            ..Default::default()
        })?;
        for family in Family::BOTH {
            let to = cluster.load_balancer(SERVICE, family)?;
            cluster.lab().wire().run(&["ip", "addr", "add", &to.ip().to_string(), "dev", "lo"])?;
            for node in ["node1", "node3"] {
                let node = cluster.lab().node(node)?;
                let answering = || Ok(node.http_get(to).map_or_else(|error| error.to_string(), |answer| answer.pod));
                eventually::<_, lab::Error>(&format!("who answers {node:?}"), &"balancer".to_owned(), answering)?;
            }
        }
        Ok(())
    })
}

#[test]
fn only_clients_in_the_source_ranges_are_served() -> Result<()> {
    tell(|cluster| {
        let outside =
            [IpAddr::V4(cluster.lab().client_addresses().v4), IpAddr::V6(cluster.lab().client_addresses().v6)];
        let pod = cluster.pod("client-node3")?;
        let ranges_of = |hosts: &[IpAddr]| -> Vec<String> {
            hosts.iter().map(|ip| if ip.is_ipv4() { format!("{ip}/32") } else { format!("{ip}/128") }).collect()
        };
        let pods: Vec<_> = pod.addresses().iter().collect();
        let halves = ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"].map(str::to_owned).to_vec();
        for (ranges, outside_served, pod_served) in [
            (Vec::new(), true, true),
            (ranges_of(&pods), false, true),
            (ranges_of(&outside), true, false),
            (halves, true, true),
            (ranges_of(&["192.0.2.200".parse()?, "2001:db8:1::200".parse()?]), false, false),
            (Vec::new(), true, true),
        ] {
            cluster.lab().manifests().edit("Service", SERVICE, |service| {
                service.get_mut("spec")?["loadBalancerSourceRanges"] = ranges.clone().into();
                Some(())
            })?;
            for family in Family::BOTH {
                route_to_healthy_nodes(cluster, family)?;
                let to = cluster.load_balancer(SERVICE, family)?;
                let clients: [(&Host, bool); 2] = [(cluster.lab().client(), outside_served), (pod, pod_served)];
                for (client, served) in clients {
                    let is_served = || Ok(client.http(&Ask::new(to).timeout(SILENCE)).is_ok());
                    let what = format!("whether {client} is served at {to} with source ranges {ranges:?}");
                    eventually::<_, lab::Error>(&what, &served, is_served)?;
                    // Node ports and the ClusterIP have no source ranges.
                    Protocol::Tcp.answers(client, &Ask::new(cluster.node_port("node1", SERVICE, family)?))?;
                }
                Protocol::Tcp.answers(pod, &Ask::new(cluster.cluster_ip(SERVICE, family)?))?;
            }
        }
        Ok(())
    })
}

#[test]
fn client_keeps_its_pod_under_session_affinity_until_it_is_switched_off() -> Result<()> {
    tell(|cluster| {
        for (affinity, is_bound) in [("ClientIP", true), ("None", false), ("ClientIP", true)] {
            cluster.lab().manifests().edit("Service", SERVICE, |service| {
                service.get_mut("spec")?["sessionAffinity"] = affinity.into();
                Some(())
            })?;
            for family in Family::BOTH {
                let to = cluster.load_balancer(SERVICE, family)?;
                route(cluster, to.ip(), &["node1"])?;
                let pod = cluster.pod("client-node3")?;
                let ways: [(&Host, Vec<SocketAddr>); 2] = [
                    (cluster.lab().client(), vec![to, cluster.node_port("node1", SERVICE, family)?]),
                    // Through every frontend of its own node it comes to the same pod.
                    (pod, vec![to, cluster.cluster_ip(SERVICE, family)?, cluster.node_port("node3", SERVICE, family)?]),
                ];
                for (client, ways) in &ways {
                    let bound = || {
                        let mut answering = BTreeSet::new();
                        for to in ways {
                            let answers = Protocol::Tcp.answers(client, &Ask::new(*to).times(20))?;
                            answering.extend(answers.into_iter().map(|answer| answer.pod));
                        }
                        Ok(answering.len() == 1)
                    };
                    let what = format!("whether {client} stays with one pod, affinity {affinity}");
                    eventually::<_, anyhow::Error>(&what, &is_bound, bound)?;
                }
            }
        }
        Ok(())
    })
}

fn tell(story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
    on_nodes(3, from_example("load-balancer"), |cluster| story(cluster))
}

fn all() -> BTreeSet<&'static str> {
    ON_NODE1.into_iter().chain(ON_NODE2).collect()
}

/// A pod and the node, with an endpoint on the node and without; and the addresses of each.
fn insiders(cluster: &Cluster) -> Result<Vec<(&Host, Vec<IpAddr>)>> {
    let mut insiders: Vec<(&Host, Vec<IpAddr>)> = Vec::new();
    for node in [1, 3] {
        let pod = cluster.pod(&format!("client-node{node}"))?;
        insiders.push((pod, pod.addresses().iter().collect()));
        let host = cluster.lab().node(&format!("node{node}"))?;
        let of_bridge = lab::topology::pod(node, 1);
        insiders.push((host, host.addresses().iter().chain(of_bridge.iter()).collect()));
    }
    Ok(insiders)
}

/// What a node's health check port answers with so many pods.
const fn code(local: usize) -> u16 {
    if local == 0 { 503 } else { 200 }
}

/// Status code and number of local endpoints that a node's health check port gives to the balancer; none while it is
/// closed.
fn health(cluster: &Cluster, node: &str, family: Family) -> Result<Option<(u16, usize)>> {
    let to = SocketAddr::new(cluster.lab().node(node)?.addresses().of(family), HEALTH_CHECK);
    let Some(page) = cluster.lab().wire().page(to, "/")? else { return Ok(None) };
    let local = page.json()?["localEndpoints"].as_u64().with_context(|| page.body.clone())?;
    Ok(Some((page.code, usize::try_from(local)?)))
}

/// Routes the Service's address to the nodes whose health check says yes, and returns their names.
fn route_to_healthy_nodes(cluster: &Cluster, family: Family) -> Result<Vec<&str>> {
    let nodes: BTreeMap<_, _> = cluster.lab().nodes().iter().map(|node| (node.name(), node)).collect();
    let mut healthy = Vec::new();
    for name in nodes.into_keys() {
        if health(cluster, name, family)?.is_some_and(|(code, _)| code == 200) {
            healthy.push(name);
        }
    }
    route(cluster, cluster.load_balancer(SERVICE, family)?.ip(), &healthy)?;
    Ok(healthy)
}

/// Equal paths to the nodes; a connection takes one by its addresses and ports.
fn route(cluster: &Cluster, address: IpAddr, nodes: &[&str]) -> Result<()> {
    let wire = cluster.lab().wire();
    for family in ["ipv4", "ipv6"] {
        wire.run(&["sysctl", "-qw", &format!("net.{family}.fib_multipath_hash_policy=1")])?;
    }
    let address_text = address.to_string();
    let mut command = vec!["ip".to_owned(), "route".to_owned(), "replace".to_owned(), address_text];
    for node in nodes {
        let via = cluster.lab().node(node)?.addresses().of(Family::of(address)).to_string();
        command.extend(["nexthop".to_owned(), "via".to_owned(), via]);
    }
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    wire.run(&command)?;
    Ok(())
}
