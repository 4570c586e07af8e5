//! A little of everything, with no more than three agents a configuration: what `cargo xtask kernel` runs on other kernels,
//! where the programs take long to load. Each part has a suite of its own that says more.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use lab::manifests::build::{HTTP, UDP, client, file, on_nodes, pod, service};
use lab::traffic::{Ask, Probe, Reached, Target};
use lab::{Attachment, Cluster, Family, Host, Lab, SocketLb, eventually, patient};
use serde_json::json;
use std::time::Duration;

/// How many requests find both of two endpoints, but for one case in 500 000.
const ENOUGH: u32 = 20;
/// How long silence is listened to, where nobody is in a hurry.
const SILENCE: Duration = Duration::from_millis(700);
/// How long an answer may take, where nobody is in a hurry.
const ANSWER: Duration = Duration::from_secs(2);

#[test]
fn services_and_policies_with_translation_at_the_socket() -> Result<()> {
    tell(Attachment::Routed, SocketLb::On)
}

#[test]
fn services_and_policies_with_translation_packet_by_packet() -> Result<()> {
    tell(Attachment::Bridge, SocketLb::Off)
}

fn tell(attachment: Attachment, socket_lb: SocketLb) -> Result<()> {
    let lab = Lab::builder().attachment(attachment).build()?;
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": HTTP},
        {"name": "dns", "port": 53, "targetPort": UDP, "protocol": "UDP"},
    ]);
    let objects = [
        on_nodes(service("web", 1, &ports), &[30080, 30053]),
        service("empty", 2, &ports),
        pod("web-1", "web", 1, 21),
        pod("web-2", "web", 2, 22),
        client("asker", 1, 20),
    ];
    lab.manifests().write("objects.yaml", &file(&objects))?;
    let mut cluster = Cluster::start(lab, socket_lb)?;
    for family in Family::BOTH {
        cluster_ip_reaches_every_endpoint(&cluster, family)?;
        node_port_keeps_the_client_where_the_endpoint_is_local(&cluster, family)?;
        without_endpoints_it_is_refused(&cluster, family)?;
    }
    restart_of_an_agent_loses_nothing(&mut cluster)?;
    policy_lets_in_whom_it_names(&cluster)?;
    clean_up_ends_it(&mut cluster)
}

fn ask(to: SocketAddr) -> Ask {
    Ask::new(to).timeout(patient(ANSWER))
}

fn insiders(cluster: &Cluster) -> Result<[&Host; 2]> {
    Ok([cluster.pod("asker")?, cluster.lab().node("node1")?])
}

fn at(cluster: &Cluster, service: &str, family: Family, port: u16) -> Result<SocketAddr> {
    Ok(SocketAddr::new(cluster.cluster_ip(service, family)?.ip(), port))
}

/// Who answers, and the addresses that each sees.
fn seen(
    answers: Vec<Result<lab::traffic::Answer, lab::traffic::Failure>>,
) -> Result<BTreeMap<String, BTreeSet<IpAddr>>> {
    let mut seen = BTreeMap::<_, BTreeSet<_>>::new();
    for answer in answers {
        let answer = answer.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        seen.entry(answer.pod).or_default().insert(answer.client.ip());
    }
    Ok(seen)
}

fn cluster_ip_reaches_every_endpoint(cluster: &Cluster, family: Family) -> Result<()> {
    for host in insiders(cluster)? {
        let http = host.http_each(&ask(at(cluster, "web", family, 80)?).times(ENOUGH))?;
        let udp = host.udp_each(&ask(at(cluster, "web", family, 53)?).times(ENOUGH))?;
        for answers in [http, udp] {
            let pods: Vec<_> = seen(answers)?.into_keys().collect();
            assert!(pods.iter().all(|pod| ["web-1", "web-2"].contains(&pod.as_str())), "{host} {family}: {pods:?}");
        }
    }
    Ok(())
}

fn node_port_keeps_the_client_where_the_endpoint_is_local(cluster: &Cluster, family: Family) -> Result<()> {
    let node = cluster.lab().node("node1")?.addresses().of(family);
    let client = cluster.lab().client_addresses().of(family);
    let expected: BTreeMap<_, _> =
        [("web-1", client), ("web-2", node)].map(|(pod, ip)| (pod.to_owned(), [ip].into())).into();
    let host = cluster.lab().client();
    let http = host.http_each(&ask(SocketAddr::new(node, 30080)).times(ENOUGH))?;
    assert_eq!(seen(http)?, expected, "{family} TCP");
    let udp = host.udp_each(&ask(SocketAddr::new(node, 30053)).times(ENOUGH))?;
    let seen_by_udp = seen(udp)?;
    assert!(seen_by_udp.iter().all(|(pod, ips)| expected.get(pod) == Some(ips)), "{family} UDP: {seen_by_udp:?}");
    Ok(())
}

fn without_endpoints_it_is_refused(cluster: &Cluster, family: Family) -> Result<()> {
    for host in insiders(cluster)? {
        let to = at(cluster, "empty", family, 80)?;
        let outcomes = host.http_each(&ask(to))?;
        assert!(
            outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(|failure| failure.error == "ECONNREFUSED")),
            "{host} -> {to}: {outcomes:?}"
        );
    }
    Ok(())
}

/// Killed, not ended: what it put into the kernel goes on, and the next one's programs take its programs' place. A datagram
/// that is lost is not sent again.
fn restart_of_an_agent_loses_nothing(cluster: &mut Cluster) -> Result<()> {
    let mut load = Vec::new();
    for family in Family::BOTH {
        let node = cluster.lab().node("node1")?.addresses().of(family);
        let pause = Duration::from_millis(50);
        load.push(cluster.pod("asker")?.http_load(&ask(at(cluster, "web", family, 80)?).every(pause))?);
        load.push(cluster.lab().client().udp_load(&ask(SocketAddr::new(node, 30053)).every(pause))?);
    }
    cluster.agents()[0].kill()?;
    cluster.agents()[0].restart()?;
    for requests in load {
        let outcomes = requests.stop()?;
        let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_err()).collect();
        assert!(failed.is_empty(), "of {} requests: {failed:?}", outcomes.len());
    }
    Ok(())
}

fn policy_lets_in_whom_it_names(cluster: &Cluster) -> Result<()> {
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{
                "from": [{"podSelector": {"matchLabels": {"app": "client"}}}],
                "ports": [{"port": HTTP}],
            }],
        },
    });
    let manifests = cluster.lab().manifests();
    let expect =
        |outsider: Reached| -> Result<()> {
            for family in Family::BOTH {
                let node = cluster.lab().node("node1")?.addresses().of(family);
                let rows = [
                    (&**cluster.pod("asker")?, at(cluster, "web", family, 80)?, false, Reached::Yes),
                    (&**cluster.pod("asker")?, at(cluster, "web", family, 53)?, true, outsider),
                    (cluster.lab().client(), SocketAddr::new(node, 30080), false, outsider),
                ];
                for (host, to, udp, expected) in rows {
                    let probe = Probe { targets: vec![Target { to, udp }], timeout: patient(SILENCE) };
                    eventually::<_, anyhow::Error>(&format!("{host} -> {to}"), &vec![expected], || {
                        Ok(host.probe(&probe)?)
                    })?;
                }
            }
            Ok(())
        };
    manifests.write("policy.yaml", &file(&[policy]))?;
    expect(Reached::Silence)?;
    manifests.remove("policy.yaml")?;
    expect(Reached::Yes)
}

fn clean_up_ends_it(cluster: &mut Cluster) -> Result<()> {
    cluster.agents()[0].terminate()?;
    let node = cluster.lab().node("node1")?;
    let output = node.sluice(&["cleanup"])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for direction in ["ingress", "egress"] {
        let filters = node.run(&["tc", "filter", "show", "dev", "eth0", direction])?;
        assert_eq!(filters, "", "{direction}");
    }
    let to = at(cluster, "web", Family::V4, 80)?;
    let outcome = cluster.pod("asker")?.http_each(&ask(to).timeout(patient(SILENCE)))?;
    assert!(outcome.iter().all(Result::is_err), "{outcome:?}");
    Ok(())
}
