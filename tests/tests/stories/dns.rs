//! The cluster's name server: UDP and TCP at port 53, asked by resolvers of every kind while its pods come and go.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use lab::manifests::PodManifest;
use lab::manifests::build::{file, pod};
use lab::traffic::{Ask, Serve};
use lab::{Cluster, Family, Host, Lab};
use serde_json::json;

use crate::load::Load;
use crate::protocol::{Protocol, pods};
use crate::replace::end_when_drained;
use crate::story::{everywhere, from_example, on_nodes};

const CLIENTS: [&str; 2] = ["client-node1", "client-node2"];
const BACKENDS: [&str; 2] = ["coredns-1", "coredns-2"];
/// Who takes the place of each.
const REPLACED_BY: [(&str, &str, u8); 2] = [("coredns-1", "coredns-3", 2), ("coredns-2", "coredns-4", 1)];
/// Requests of which each goes to one of two endpoints: one of them gets none once in 2^31 runs.
const MANY: u32 = 32;
/// How long a resolver waits before it asks again: as good as no answer, and short enough for a story.
const AGAIN: Duration = Duration::from_millis(250);
/// The port of a client that has its own.
const FIXED: u16 = 20_053;

#[test]
fn name_server_answers_over_udp_and_tcp() -> Result<()> {
    everywhere("dns", |cluster| {
        for (client, family) in resolvers(cluster)? {
            let to = cluster.cluster_ip("kube-dns", family)?;
            let ask = Ask::new(to).times(MANY);
            for answers in [
                Protocol::Udp.answers(client, &ask)?,
                Protocol::Udp.answers(client, &ask.clone().unconnected())?,
                Protocol::Tcp.answers(client, &ask)?,
            ] {
                assert_eq!(pods(&answers), BTreeSet::from(BACKENDS), "{client} {to}");
                assert!(answers.iter().all(|answer| answer.peername == to), "{client} {answers:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn resolvers_are_answered_while_every_backend_is_replaced() -> Result<()> {
    everywhere("dns", |cluster| {
        let load = load(cluster)?;
        for (old, new, node) in REPLACED_BY {
            replace(cluster, old, new, node)?;
        }
        let changed = load.requests()?;
        for answers in load.all_answered()?.iter().zip(changed).map(|(answers, changed)| &answers[changed..]) {
            let new = REPLACED_BY.iter().map(|(_, new, _)| *new).collect::<BTreeSet<_>>();
            assert!(pods(answers).is_subset(&new), "{:?}", pods(answers));
        }
        Ok(())
    })
}

#[test]
fn resolvers_are_answered_from_the_next_datagram_on_after_a_backend_died() -> Result<()> {
    everywhere("dns", |cluster| {
        let load = load(cluster)?;
        cluster.remove_pod("coredns-1")?;
        cluster.lab().manifests().delete("Pod", "coredns-1")?;
        cluster.wait_endpoints("kube-dns", &["coredns-2"])?;
        // The request that is under way may be one to the pod that died.
        let after: Vec<_> = load.requests()?.into_iter().map(|requests| requests + 1).collect();
        load.wait_until_answered_by("coredns-2")?;
        std::thread::sleep(AGAIN);
        for answers in load.all_answered_after(&after)? {
            assert_eq!(pods(&answers), BTreeSet::from(["coredns-2"]));
        }
        Ok(())
    })
}

#[test]
fn client_that_asked_before_there_was_a_backend_is_answered_by_each_that_comes() -> Result<()> {
    on_nodes(2, without_backends, |cluster| {
        let load = fixed_port_load(cluster)?;
        for number in [0, 1, 0] {
            let (here, other) = (BACKENDS[number], BACKENDS[1 - number]);
            cluster.lab().manifests().set_ready(other, false)?;
            cluster.lab().manifests().set_ready(here, true)?;
            load.wait_until_answered_by(here)?;
        }
        Ok(())
    })
}

#[test]
fn client_follows_the_target_port() -> Result<()> {
    on_nodes(2, without_backends, |cluster| {
        let _other = cluster.pod("coredns-1")?.serve(&Serve {
            name: "coredns-1 at 9053".into(),
            udp: vec![9053],
            ..Serve::default()
        })?;
        cluster.lab().manifests().set_ready("coredns-1", true)?;
        let load = fixed_port_load(cluster)?;
        load.wait_until_answered_by("coredns-1")?;
        for (target_port, answers) in [(9053, "coredns-1 at 9053"), (53, "coredns-1")] {
            cluster.lab().manifests().edit("Service", "kube-dns", |service| {
                service.get_mut("spec")?.get_mut("ports")?[0]["targetPort"] = target_port.into();
                Some(())
            })?;
            load.wait_until_answered_by(answers)?;
        }
        Ok(())
    })
}

/// A pod on each node and the node, both families.
fn resolvers(cluster: &Cluster) -> Result<Vec<(&Host, Family)>> {
    let pods = CLIENTS.iter().map(|client| Ok::<&Host, lab::Error>(cluster.pod(client)?));
    let hosts = pods.chain(cluster.lab().nodes().iter().map(|node| Ok::<&Host, _>(node)));
    let hosts: Vec<_> = hosts.collect::<Result<_, _>>()?;
    Ok(hosts.into_iter().flat_map(|host| Family::BOTH.map(|family| (host, family))).collect())
}

/// As glibc asks (one connected socket), as others do (`sendto`), and over TCP.
fn load(cluster: &Cluster) -> Result<Load> {
    let mut load = Load::default();
    for (client, family) in resolvers(cluster)? {
        let ask = Ask::new(cluster.cluster_ip("kube-dns", family)?);
        load.udp(client, &ask.clone().one_socket())?;
        load.udp(client, &ask.clone().one_socket().unconnected())?;
        load.http(client, &ask)?;
    }
    Ok(load)
}

/// With a new pod. The old one says that it is not ready before it ends, as `CoreDNS` does with `lameduck`: until then a
/// resolver may go on with it.
fn replace(cluster: &mut Cluster, old: &str, new: &str, node: u8) -> Result<()> {
    let mut manifest = pod(new, "", node, 53);
    manifest["metadata"]["labels"] = json!({"k8s-app": "kube-dns"});
    manifest["spec"]["containers"][0]["ports"] =
        json!([{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]);
    manifest["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
    cluster.lab().manifests().write(&format!("{new}.yaml"), &file(&[manifest]))?;
    cluster.start_pod(new)?;
    cluster.lab().manifests().set_ready(new, true)?;
    cluster.lab().manifests().set_terminating(old)?;
    cluster.drain_pod(old)?;
    cluster.lab().manifests().set_ready(old, false)?;
    let ready: Vec<_> = cluster.lab().manifests().pods()?.into_iter().filter(PodManifest::is_ready).collect();
    let names: Vec<_> = ready.iter().map(PodManifest::name).filter(|name| name.starts_with("coredns")).collect();
    cluster.wait_endpoints("kube-dns", &names)?;
    end_when_drained(cluster, old)?;
    Ok(cluster.lab().manifests().delete("Pod", old)?)
}

/// The example's Service with node ports, and pods that aren't ready yet.
fn without_backends(lab: &Lab) -> Result<()> {
    from_example("dns")(lab)?;
    for backend in BACKENDS {
        lab.manifests().set_ready(backend, false)?;
    }
    Ok(lab.manifests().edit("Service", "kube-dns", |service| {
        let spec = service.get_mut("spec")?;
        spec["type"] = "NodePort".into();
        for port in spec.get_mut("ports")?.as_sequence_mut()? {
            port["nodePort"] = 30_053.into();
        }
        Some(())
    })?)
}

/// Clients that keep their port and ask again when no answer comes, as the conntrack tests of Kubernetes have them: in a
/// pod, on a node and outside, connected and not.
fn fixed_port_load(cluster: &Cluster) -> Result<Load> {
    let mut load = Load::default();
    let mut port = FIXED;
    for family in Family::BOTH {
        let any = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let clients: [(&Host, _); 4] = [
            (cluster.pod("client-node1")?, cluster.cluster_ip("kube-dns", family)?),
            (cluster.lab().node("node2")?, cluster.cluster_ip("kube-dns", family)?),
            (cluster.pod("client-node2")?, cluster.node_port("node2", "kube-dns", family)?),
            (cluster.lab().client(), cluster.node_port("node1", "kube-dns", family)?),
        ];
        for (client, to) in clients {
            let ask = Ask::new(to).timeout(AGAIN);
            for ask in [ask.clone().one_socket(), ask.clone(), ask.clone().unconnected()] {
                load.udp(client, &ask.from(SocketAddr::new(any, port)))?;
                port += 1;
            }
        }
    }
    Ok(load)
}
