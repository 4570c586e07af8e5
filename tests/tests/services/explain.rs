//! `sluice explain`: a real connection then does what it says.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lab::traffic::Ask;
use lab::{Cluster, Family, Host};
use serde_json::Value;

use crate::client;
use crate::configuration::by_programs;
use crate::protocol::Protocol;

/// Connections of which each may go to one of two endpoints.
const SOME: u32 = 6;
/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(300);
/// How long new objects may take to be served; a loaded machine takes its time.
const LIMIT: Duration = Duration::from_secs(10);

/// A connection to explain, on a node.
struct Connection<'a> {
    node: &'a str,
    from: &'a Host,
    /// As `--from` has it.
    client: String,
    /// As `--to` has it; an address stands for itself.
    service: Option<&'a str>,
    to: SocketAddr,
    protocol: Protocol,
}

impl Connection<'_> {
    fn explained(&self, cluster: &Cluster) -> Result<Value> {
        let to = self.service.map_or_else(|| self.to.ip().to_string(), str::to_owned);
        let (port, protocol) = (self.to.port().to_string(), format!("{:?}", self.protocol));
        let arguments = ["explain", "--from", &self.client, "--to", &to, "--port", &port];
        let output = cluster
            .lab()
            .node(self.node)?
            .sluice(&[&arguments[..], &["--protocol", &protocol, "-o", "json"]].concat())?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// An unconnected socket's datagrams are translated where explain says; a connected one's never at the socket.
    fn ask(&self) -> Ask {
        let ask = Ask::new(self.to).times(SOME);
        if self.protocol == Protocol::Udp { ask.unconnected() } else { ask }
    }

    /// Asks, and compares with what was explained.
    fn is_as_explained(&self, cluster: &Cluster, verdict: &str, endpoints: usize) -> Result<()> {
        let told = self.explained(cluster)?;
        let story = format!("{} {} {:?} on {}: {told:#}", self.from, self.to, self.protocol, self.node);
        assert_eq!(told["verdict"], verdict, "{story}");
        let sources = sources(&told)?;
        assert_eq!(sources.len(), endpoints, "{story}");
        match verdict {
            "Refused" => assert_eq!(self.error(&Ask::new(self.to))?, "ECONNREFUSED", "{story}"),
            "Dropped" => assert_eq!(self.error(&Ask::new(self.to).timeout(SILENCE))?, "timeout", "{story}"),
            _ => {
                for answer in self.protocol.answers(self.from, &self.ask())? {
                    let family = if self.to.is_ipv4() { Family::V4 } else { Family::V6 };
                    let endpoint = cluster.pod(&answer.pod)?.addresses().of(family);
                    assert_eq!(sources.get(&endpoint), Some(&answer.client.ip()), "{answer:?}; {story}");
                }
            }
        }
        Ok(())
    }

    /// A connected socket's error: an unconnected one is told of no refusal that came as a packet.
    fn error(&self, ask: &Ask) -> Result<String> {
        self.protocol.error(self.from, ask)
    }
}

/// The endpoints that may be chosen, with the client's address that each sees.
fn sources(told: &Value) -> Result<BTreeMap<IpAddr, IpAddr>> {
    let endpoints = told["endpoints"].as_array().context("no endpoints")?;
    let source = |endpoint: &Value| {
        let text = |field: &str| endpoint[field].as_str().with_context(|| format!("no {field} in {endpoint}"));
        Ok((text("address")?.parse::<SocketAddr>()?.ip(), text("source")?.parse()?))
    };
    endpoints.iter().map(source).collect()
}

/// Connections of everybody that a table of Services decides about.
fn connections(
    cluster: &Cluster,
    protocol: Protocol,
    family: Family,
) -> Result<Vec<(Connection<'_>, &'static str, usize)>> {
    let (pod, node, outside) = (cluster.pod("client-1")?, cluster.lab().node("node1")?, client::outside(cluster));
    let address = node.addresses().of(family).to_string();
    let from_pod =
        |service, to| Connection { node: "node1", from: pod, client: "client-1".into(), service, to, protocol };
    let from_node = |to| Connection { node: "node1", from: node, client: address.clone(), service: None, to, protocol };
    let from_outside = |node, to| {
        let client = cluster.lab().client_addresses().of(family).to_string();
        Connection { node, from: outside.host, client, service: None, to, protocol }
    };
    let cluster_ip = |service| cluster.cluster_ip(service, family);
    let node_port = |node, service| cluster.node_port(node, service, family);
    let by_name = if family == Family::V4 { Some("web") } else { None };
    Ok(vec![
        (from_pod(by_name, cluster_ip("web")?), "Translated", 2),
        (from_node(cluster_ip("web")?), "Translated", 2),
        (from_pod(None, cluster_ip("empty")?), "Refused", 0),
        (from_outside("node1", node_port("node1", "web")?), "Translated", 2),
        (from_pod(None, node_port("node1", "web")?), "Translated", 2),
        (from_outside("node1", node_port("node1", "only-node1")?), "Translated", 1),
        (from_outside("node2", node_port("node2", "only-node1")?), "Dropped", 0),
        (from_pod(None, SocketAddr::new(cluster_ip("web")?.ip(), 81)), "Refused", 0),
    ])
}

/// Rules don't: what is explained is what the tables decide.
#[test]
fn connections_do_what_was_explained() -> Result<()> {
    by_programs(|cluster| {
        for (protocol, family) in Protocol::with_families() {
            for (connection, verdict, endpoints) in connections(cluster, protocol, family)? {
                connection.is_as_explained(cluster, verdict, endpoints)?;
            }
        }
        Ok(())
    })
}

/// Two Services over the web servers: one with session affinity, one with a balancer's address for one pod only.
const CHOOSY: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec:
  clusterIPs: [10.96.0.30, "fd00:10:96::30"]
  selector: {app: web}
  sessionAffinity: ClientIP
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: ranged}
spec:
  type: LoadBalancer
  clusterIPs: [10.96.0.31, "fd00:10:96::31"]
  selector: {app: web}
  loadBalancerSourceRanges: [10.244.1.20/32, "fd00:10:244:1::20/128"]
  ports: [{name: http, port: 80, targetPort: http}]
status: {loadBalancer: {ingress: [{ip: 203.0.113.80}, {ip: "2001:db8:ffff::80"}]}}
"#;

/// Has them served on node1.
fn serve_choosy(cluster: &Cluster) -> Result<()> {
    cluster.lab().manifests().write("choosy.yaml", CHOOSY)?;
    let (node, started) = (cluster.lab().node("node1")?, Instant::now());
    let is_served = |name| Ok::<_, anyhow::Error>(node.sluice(&["get", "svc", name])?.status.success());
    while !(is_served("sticky")? && is_served("ranged")?) {
        ensure!(started.elapsed() < LIMIT, "sticky and ranged are not served");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn clients_are_bound_and_let_in_as_was_explained() -> Result<()> {
    // Whom rules have bound is in lists of the kernel's and not in our tables, and they give clients the node's address.
    by_programs(|cluster| {
        serve_choosy(cluster)?;
        for family in Family::BOTH {
            let from = |pod: &'static str, to| {
                let (from, client) = (cluster.pod(pod)?, pod.to_owned());
                Ok::<_, anyhow::Error>(Connection {
                    node: "node1",
                    from,
                    client,
                    service: None,
                    to,
                    protocol: Protocol::Tcp,
                })
            };
            let sticky = cluster.cluster_ip("sticky", family)?;
            let first = from("client-1", sticky)?;
            first.is_as_explained(cluster, "Translated", 2)?;
            // Bound by the first of those connections.
            first.is_as_explained(cluster, "Translated", 1)?;
            from("web-1", sticky)?.is_as_explained(cluster, "Translated", 2)?;
            let balancer: IpAddr = if family == Family::V4 { "203.0.113.80" } else { "2001:db8:ffff::80" }.parse()?;
            let balancer = SocketAddr::new(balancer, 80);
            from("client-1", balancer)?.is_as_explained(cluster, "Translated", 2)?;
            from("web-1", balancer)?.is_as_explained(cluster, "Dropped", 0)?;
        }
        Ok(())
    })
}
