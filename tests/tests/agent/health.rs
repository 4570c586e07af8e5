//! Load balancers, asking from outside, are told where a Service has endpoints and which node is theirs to use; scrapers
//! on the node what became of it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use lab::traffic::Page;
use lab::{AgentOptions, Cluster, Family, Lab, Node, SocketLb, topology};
use proxy_common::tables::VERSION;
use serde_json::{Value, json};

use crate::support::objects::{HTTP, file, http, pod, service};
use crate::support::status::status;
use crate::support::{LIMIT, endpoints, eventually};

/// The Service's health check port.
const PORT: u16 = 30_500;
/// The port of `/healthz`.
const HEALTHZ: u16 = 10_256;

/// A pod on each node.
fn cluster(arguments: &[&str]) -> Result<Cluster> {
    let lab = Lab::builder().build()?;
    lab.manifests().write("pods.yaml", &file(&[pod("web-1", "web", 1, 10), pod("web-2", "web", 2, 10)]))?;
    lab.manifests().write("web.yaml", &file(&[web(PORT)]))?;
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Ok(Cluster::start(lab, AgentOptions { arguments, ..SocketLb::On.into() })?)
}

/// A Service of a load balancer that asks the nodes' health check ports.
fn web(health_check_node_port: u16) -> Value {
    let mut web = service("web", 10, &http());
    web["spec"]["type"] = "LoadBalancer".into();
    web["spec"]["externalTrafficPolicy"] = "Local".into();
    web["spec"]["healthCheckNodePort"] = health_check_node_port.into();
    web
}

/// What a port of a node answers to the client outside.
fn answer(cluster: &Cluster, node: u8, family: Family, port: u16, path: &str) -> Result<Option<Page>> {
    Ok(cluster.lab().client().page(SocketAddr::new(topology::node(node).of(family), port), path)?)
}

/// Code and local endpoints that a health check port of a node tells in each family; none where it is closed.
fn told(cluster: &Cluster, node: u8, port: u16) -> Result<[Option<(u16, u64)>; 2]> {
    let told = |family| -> Result<_> {
        let Some(answer) = answer(cluster, node, family, port, "/healthz")? else { return Ok(None) };
        let local_endpoints = answer.json()?["localEndpoints"].as_u64().with_context(|| answer.body.clone())?;
        let weight = format!("x-load-balancing-endpoint-weight: {local_endpoints}");
        assert!(answer.head.contains(&weight), "{} and {}", answer.head, answer.body);
        Ok(Some((answer.code, local_endpoints)))
    };
    let [first, second] = Family::BOTH;
    Ok([told(first)?, told(second)?])
}

const CLOSED: [Option<(u16, u64)>; 2] = [None; 2];
const SERVES: [Option<(u16, u64)>; 2] = [Some((200, 1)); 2];
const LACKS: [Option<(u16, u64)>; 2] = [Some((503, 0)); 2];

fn node(cluster: &Cluster) -> &Node {
    &cluster.lab().nodes()[0]
}

#[test]
fn health_check_ports_follow_readiness_ports_and_policy() -> Result<()> {
    let cluster = cluster(&[])?;
    let manifests = cluster.lab().manifests();
    let expect =
        |what: &str, node, port, expected: [_; 2]| eventually(what, &expected, || told(&cluster, node, port)).map(drop);
    expect("both nodes have an endpoint", 1, PORT, SERVES)?;
    expect("both nodes have an endpoint", 2, PORT, SERVES)?;

    manifests.set_ready("web-1", false)?;
    expect("an unready pod is no endpoint", 1, PORT, LACKS)?;
    expect("the other node has its own", 2, PORT, SERVES)?;
    manifests.set_ready("web-1", true)?;
    expect("it is ready again", 1, PORT, SERVES)?;

    manifests.write("web.yaml", &file(&[web(PORT + 1)]))?;
    expect("another port", 1, PORT + 1, SERVES)?;
    expect("not the port it had", 1, PORT, CLOSED)?;

    let mut anywhere = web(PORT + 1);
    anywhere["spec"]["externalTrafficPolicy"] = "Cluster".into();
    manifests.write("web.yaml", &file(&[anywhere]))?;
    expect("no node is to be avoided", 1, PORT + 1, CLOSED)?;
    manifests.write("web.yaml", &file(&[web(PORT)]))?;
    expect("a Local policy again", 1, PORT, SERVES)?;
    manifests.remove("web.yaml")?;
    expect("the Service is gone", 1, PORT, CLOSED)
}

#[test]
fn a_health_check_port_is_open_where_node_ports_are() -> Result<()> {
    let cluster = cluster(&["--nodeport-addresses", "127.0.0.0/8"])?;
    let [v4, v6] = Family::BOTH;
    let open = |family| Ok(answer(&cluster, 1, family, PORT, "/")?.is_some());
    eventually("IPv6, which no range limits", &true, || open(v6))?;
    assert!(!open(v4)?, "not at the node's own address");
    let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT);
    assert_eq!(node(&cluster).page(loopback, "/")?.map(|answer| answer.code), Some(200));
    Ok(())
}

#[test]
fn a_taken_health_check_port_is_an_error_of_its_service_until_it_is_free() -> Result<()> {
    let cluster = cluster(&[])?;
    let manifests = cluster.lab().manifests();
    let taken = node(&cluster).inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT + 1)))??;
    manifests.write("web.yaml", &file(&[web(PORT + 1)]))?;
    let errors = || Ok(status(node(&cluster))?.agent()?.errors);
    let says = |errors: &[String]| {
        let of_service = |error: &&String| error.contains("Service default/web") && error.contains("30501");
        errors.iter().filter(of_service).count()
    };
    eventually("one error, of IPv4", &1, || Ok(says(&errors()?)))?;
    drop(taken);
    eventually("open", &SERVES, || told(&cluster, 1, PORT + 1))?;
    eventually("no error", &Vec::<String>::new(), errors)?;
    Ok(())
}

#[test]
fn health_check_ports_are_true_although_an_interface_gets_no_programs() -> Result<()> {
    let mut cluster = cluster(&[])?;
    eventually("an endpoint", &SERVES, || told(&cluster, 1, PORT))?;
    // What stands where its links are to be pinned, whatever index it gets, keeps them from being.
    let links = node(&cluster).bpffs().context("a node has a bpffs")?.join(format!("v{VERSION}/links"));
    for index in 1..100 {
        fs::create_dir(links.join(format!("pod40-{index}-ingress")))?;
    }
    let late = node(&cluster).add_pod("late", 40)?;
    assert_eq!(late.host_device(), "pod40");
    let started = Instant::now();
    while !cluster.agents()[0].log().contains("interface pod40") {
        ensure!(started.elapsed() < LIMIT, "the interface has its programs, or wasn't seen");
        sleep(Duration::from_millis(20));
    }
    cluster.lab().manifests().set_ready("web-1", false)?;
    eventually("no endpoint", &LACKS, || told(&cluster, 1, PORT)).map(drop)
}

/// This node's Node object.
fn node_object(taints: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}, "spec": {"taints": taints}})
}

#[test]
fn healthz_follows_the_autoscalers_taint_and_nothing_else_does() -> Result<()> {
    let cluster = cluster(&[])?;
    let manifests = cluster.lab().manifests();
    let [v4, _] = Family::BOTH;
    let healthz = || {
        let answer = answer(&cluster, 1, v4, HEALTHZ, "/healthz")?.context("/healthz doesn't answer")?;
        Ok((answer.code, answer.json()?["nodeEligible"].clone(), answer.json()?["healthy"].clone()))
    };
    let (eligible, not_eligible) = ((200, json!(true), json!(true)), (503, json!(false), json!(true)));
    assert_eq!(healthz()?, eligible, "without a Node object");

    manifests.write("node.yaml", &file(&[node_object(&json!([{"key": "other", "effect": "NoExecute"}]))]))?;
    let deleting = node_object(&json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]));
    manifests.write("node.yaml", &file(std::slice::from_ref(&deleting)))?;
    eventually("not eligible", &not_eligible, healthz)?;
    let livez = answer(&cluster, 1, v4, HEALTHZ, "/livez")?.context("/livez doesn't answer")?;
    assert_eq!((livez.code, livez.json()?.get("nodeEligible")), (200, None));
    assert_eq!(told(&cluster, 1, PORT)?, SERVES, "the Service's own port");

    manifests.write("node.yaml", &file(&[node_object(&json!([]))]))?;
    eventually("eligible again", &eligible, healthz)?;
    manifests.write("node.yaml", &file(&[deleting]))?;
    eventually("not eligible", &not_eligible, healthz)?;
    manifests.remove("node.yaml")?;
    // What comes after the Node went is in force.
    manifests.set_ready("web-1", false)?;
    eventually("a later change", &LACKS, || told(&cluster, 1, PORT))?;
    assert_eq!(healthz()?, not_eligible, "a Node that is gone leaves its last state");
    Ok(())
}

/// A metric of the agent of `node1`, or what another path of that server says.
fn metrics(cluster: &Cluster, path: &str) -> Result<String> {
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 10_249);
    Ok(node(cluster).page(to, path)?.context("the metrics server doesn't answer")?.body)
}

fn metric(cluster: &Cluster, name: &str) -> Result<Option<f64>> {
    let text = metrics(cluster, "/metrics")?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Ok(value)
}

#[test]
fn metrics_tell_the_mode_the_configuration_latencies_and_missing_local_endpoints() -> Result<()> {
    let cluster = cluster(&[])?;
    let manifests = cluster.lab().manifests();
    assert_eq!(metrics(&cluster, "/proxyMode")?, "ebpf");
    let config: Value = serde_json::from_str(&metrics(&cluster, "/configz")?)?;
    assert_eq!(config["sluice.dev"]["nodeName"], "node1");

    let lacking = |family| {
        let labels = format!("{{traffic_policy=\"external\",ip_family=\"{family}\"}}");
        metric(&cluster, &format!("kubeproxy_sync_proxy_rules_no_local_endpoints_total{labels}"))
    };
    eventually("local endpoints", &Some(0.0), || lacking("IPv6"))?;
    manifests.set_ready("web-1", false)?;
    eventually("no local endpoint", &[Some(1.0); 2], || Ok([lacking("IPv4")?, lacking("IPv6")?]))?;
    let programmed = metric(&cluster, "sluice_programming_duration_seconds_count")?;
    assert!(programmed >= Some(1.0), "{programmed:?}");

    let observed = || metric(&cluster, "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"}");
    let now = node(&cluster).run(&["date", "-u", "+%FT%T.%NZ"])?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-1",
            "labels": {"kubernetes.io/service-name": "web"},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": now.trim()},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [topology::pod(1, 10).of(Family::BOTH[0])], "nodeName": "node1"}],
        "ports": [{"name": "http", "port": HTTP}],
    });
    assert_eq!(observed()?, None, "pods tell no time");
    manifests.write("slices.yaml", &file(&[slice]))?;
    eventually("endpoints", &1, || Ok(endpoints(node(&cluster), "web")?.len()))?;
    eventually("one observation", &Some(1.0), observed)?;
    Ok(())
}
