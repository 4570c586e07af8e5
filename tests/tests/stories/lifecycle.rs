//! A Service that changes: its labels, its type, its ports, its address.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::manifests::build::{HTTP, UDP, client, file, http, on_nodes, pod, service};
use lab::manifests::{Condition, Endpoint, Slices};
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, Lab, eventually};
use serde_json::{Value, json};

use crate::protocol::Protocol;
use crate::story;

/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(200);
/// The Service's node port.
const NODE_PORT: u16 = 30_080;

/// A change, and whether the ClusterIP and the node port are served after it.
type Step = (&'static str, fn(&mut Value), bool, bool);

const STEPS: [Step; 9] = [
    ("as it was", |_| (), true, true),
    // 1.2, 1.3: whatever the label's value.
    (
        "another proxy's",
        |it| it["metadata"]["labels"] = json!({"service.kubernetes.io/service-proxy-name": ""}),
        false,
        false,
    ),
    ("ours", |_| (), true, true),
    ("ExternalName", |it| it["spec"] = json!({"type": "ExternalName", "externalName": "example.org"}), false, false),
    ("ClusterIP", cluster_ip_only, true, false),
    ("NodePort again", |_| (), true, true),
    ("headless", |it| it["spec"] = json!({"clusterIP": "None", "ports": http()}), false, false),
    ("another port", |it| it["spec"]["ports"][0]["port"] = 81.into(), false, true),
    ("port 80 again", |_| (), true, true),
];

#[test]
fn service_is_served_as_it_is_now() -> Result<()> {
    story::on_nodes(2, prepare, |cluster| {
        for (name, change, cluster_ip, node_port) in STEPS {
            let mut changed = web(10);
            change(&mut changed);
            cluster.lab().manifests().write("web.yaml", &file(&[changed]))?;
            served(cluster, name, 10, cluster_ip, node_port)?;
        }
        Ok(())
    })
}

#[test]
fn service_that_was_made_again_is_served_at_its_new_address_alone() -> Result<()> {
    story::on_nodes(2, prepare, |cluster| {
        cluster.lab().manifests().remove("web.yaml")?;
        served(cluster, "deleted", 10, false, false)?;
        cluster.lab().manifests().write("web.yaml", &file(&[web(11)]))?;
        served(cluster, "made again", 11, true, true)?;
        served(cluster, "the old address", 10, false, true)
    })
}

/// Ports that come and go, and where the Service is served then: port 80 over TCP, over UDP, and port 81.
const PORTS: [(&[&str], [bool; 3]); 5] = [
    (&["http"], [true, false, false]),
    (&["http", "admin"], [true, false, true]),
    (&["http", "dns"], [true, true, false]),
    (&["dns"], [false, true, false]),
    (&["http"], [true, false, false]),
];

#[test]
fn ports_come_and_go_and_another_service_of_the_same_pods_does_not_notice() -> Result<()> {
    story::on_nodes(2, prepare, |cluster| {
        let mut other = service("other", 12, &http());
        other["spec"]["selector"]["app"] = "web".into();
        cluster.lab().manifests().write("other.yaml", &file(&[other]))?;
        let all = [("http", 80, "TCP", HTTP), ("dns", 80, "UDP", UDP), ("admin", 81, "TCP", HTTP)];
        let asker: &Host = cluster.pod("asker")?;
        for (names, expected) in PORTS {
            let ports = all.into_iter().filter(|(name, ..)| names.contains(name)).map(|(name, port, protocol, target)| {
                json!({"name": name, "port": port, "protocol": protocol, "targetPort": target})
            });
            cluster.lab().manifests().write("web.yaml", &file(&[service("web", 10, &ports.collect())]))?;
            for family in Family::BOTH {
                let web = cluster.cluster_ip("web", family)?.ip();
                let is_served = || -> Result<_> {
                    let mut served = [false; 3];
                    for (served, (_, port, protocol, _)) in served.iter_mut().zip(all) {
                        let protocol = if protocol == "UDP" { Protocol::Udp } else { Protocol::Tcp };
                        let outcome = protocol.error(asker, &Ask::new(SocketAddr::new(web, port)).timeout(SILENCE))?;
                        *served = outcome.starts_with("an answer");
                    }
                    Ok(served)
                };
                eventually(&format!("where {web} is served with {names:?}"), &expected, is_served)?;
                Protocol::Tcp.answers(asker, &Ask::new(cluster.cluster_ip("other", family)?).times(4))?;
            }
        }
        Ok(())
    })
}

/// 1.4.
#[test]
fn slices_with_the_headless_label_are_left_alone() -> Result<()> {
    story::on_nodes(2, prepare, |cluster| {
        let slices = Slices {
            service: "web".into(),
            ports: vec![("http", "TCP", HTTP)],
            endpoints: vec![Endpoint::new(2, 10, Condition::Ready)],
        };
        let mut without_pods = web(10);
        without_pods["spec"]["selector"]["app"] = "nobody".into();
        cluster.lab().manifests().write("web.yaml", &file(&[without_pods]))?;
        served(cluster, "nobody", 10, false, false)?;
        cluster.lab().manifests().write("slices.yaml", &slices.to_file())?;
        served(cluster, "by slices", 10, true, true)?;
        for is_headless in [true, false] {
            for slice in ["web-ipv4", "web-ipv6"] {
                cluster.lab().manifests().edit("EndpointSlice", slice, |slice| {
                    let labels = slice.get_mut("metadata")?.get_mut("labels")?.as_mapping_mut()?;
                    if is_headless {
                        labels.insert("service.kubernetes.io/headless".into(), "".into());
                    } else {
                        labels.remove("service.kubernetes.io/headless");
                    }
                    Some(())
                })?;
            }
            served(cluster, "by headless slices", 10, !is_headless, !is_headless)?;
        }
        Ok(())
    })
}

fn prepare(lab: &Lab) -> Result<()> {
    // Not selected: slices alone name it.
    let objects = [pod("web-1", "other", 2, 10), pod("web-2", "web", 2, 11), client("asker", 1, 20)];
    lab.manifests().write("pods.yaml", &file(&objects))?;
    Ok(lab.manifests().write("web.yaml", &file(&[web(10)]))?)
}

/// The Service with a number for its address.
fn web(number: u8) -> Value {
    on_nodes(service("web", number, &http()), &[NODE_PORT])
}

fn cluster_ip_only(service: &mut Value) {
    service["spec"]["type"] = "ClusterIP".into();
    service["spec"]["ports"] = http();
}

/// Waits until both frontends are served or not, to a pod inside and to a client outside.
fn served(cluster: &Cluster, step: &str, number: u8, cluster_ip: bool, node_port: bool) -> Result<()> {
    let (pod, outside): (&Host, _) = (cluster.pod("asker")?, cluster.lab().client());
    for family in Family::BOTH {
        let ip = match family {
            Family::V4 => format!("10.96.0.{number}").parse()?,
            Family::V6 => format!("fd00:10:96::{number}").parse()?,
        };
        let of_node = cluster.lab().node("node1")?.addresses().of(family);
        for (host, to, expected) in [
            (pod, SocketAddr::new(ip, 80), cluster_ip),
            (pod, SocketAddr::new(of_node, NODE_PORT), node_port),
            (outside, SocketAddr::new(of_node, NODE_PORT), node_port),
        ] {
            let is_served = || Ok(host.http(&Ask::new(to).timeout(SILENCE)).is_ok());
            eventually::<_, lab::Error>(&format!("{step}: whether {to} is served to {host}"), &expected, is_served)?;
        }
    }
    Ok(())
}
