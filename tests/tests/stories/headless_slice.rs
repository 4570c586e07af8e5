//! A slice may get and lose the label by which proxies leave it alone.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::manifests::build::{HTTP, client, file, http, on_nodes, pod, service};
use lab::manifests::{Condition, Endpoint, Slices};
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, Lab, eventually};

use crate::story;

/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(200);
/// The Service's node port.
const NODE_PORT: u16 = 30_080;

#[test]
fn slices_with_the_headless_label_are_left_alone() -> Result<()> {
    story::on_nodes(2, prepare, |cluster| {
        let slices = Slices {
            service: "web".into(),
            ports: vec![("http", "TCP", HTTP)],
            endpoints: vec![Endpoint::new(2, 10, Condition::Ready)],
        };
        served(cluster, "nobody", false)?;
        cluster.lab().manifests().write("slices.yaml", &slices.to_file())?;
        served(cluster, "by slices", true)?;
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
            served(cluster, "by headless slices", !is_headless)?;
        }
        Ok(())
    })
}

fn prepare(lab: &Lab) -> Result<()> {
    // Selects nobody: slices alone name the pod.
    let mut web = on_nodes(service("web", 10, &http()), &[NODE_PORT]);
    web["spec"]["selector"]["app"] = "nobody".into();
    let objects = [pod("web-1", "web", 2, 10), client("asker", 1, 20), web];
    Ok(lab.manifests().write("web.yaml", &file(&objects))?)
}

/// Waits until the Service is served or not, to a pod and to a client outside.
fn served(cluster: &Cluster, step: &str, expected: bool) -> Result<()> {
    let (pod, outside): (&Host, _) = (cluster.pod("asker")?, cluster.lab().client());
    for family in Family::BOTH {
        let of_node = SocketAddr::new(cluster.lab().node("node1")?.addresses().of(family), NODE_PORT);
        for (host, to) in [(pod, cluster.cluster_ip("web", family)?), (pod, of_node), (outside, of_node)] {
            let is_served = || Ok(host.http(&Ask::new(to).timeout(SILENCE)).is_ok());
            eventually::<_, lab::Error>(&format!("{step}: whether {to} is served to {host}"), &expected, is_served)?;
        }
    }
    Ok(())
}
