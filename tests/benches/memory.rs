//! What an agent holds of a large cluster: `cargo xtask memory`.
//!
//! An API server of the lab has Services with their slices, and Pods as real ones are in what the agent doesn't need; one
//! agent follows it, and its memory is read when all is in the kernel, and again after a new list of everything.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Parser;
use lab::api_server::{Api as _, GoneAs, Settings};
use lab::{Agent, AgentOptions, ApiServer, Lab, Usage};
use serde_json::{Value, json};

/// What an agent holds of a cluster.
#[derive(Parser, Debug)]
struct Arguments {
    /// ClusterIP Services
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    services: u32,
    /// Pods, shared out among the Services as their endpoints
    #[arg(long, default_value_t = 100_000)]
    pods: u32,
    /// Seconds that anything may take
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let patience = Duration::from_secs(arguments.patience);
    let lab = Lab::builder().nodes(1).build()?;
    let server = ApiServer::in_lab(&lab, Settings { bookmarks: Duration::from_mins(1), ..Settings::default() })?;
    eprintln!("==> {} Services, {} Pods", arguments.services, arguments.pods);
    fill(&server, &arguments)?;
    let started = Instant::now();
    let agent = Agent::launch(&lab, &lab.nodes()[0], &AgentOptions::following(&server))?;
    wait(patience, "the agent is ready", || Ok(agent.is_ready()?))?;
    println!("ready after {:.1} s", started.elapsed().as_secs_f64());
    print(&agent, "with everything in the kernel")?;
    server.compact(GoneAs::Event);
    let lists_before = relists(&lab)?;
    wait(patience, "every kind was listed anew", || Ok(relists(&lab)? >= lists_before + 6))?;
    // The last list may still be on its way.
    sleep(Duration::from_secs(10));
    print(&agent, "after a new list of every kind")
}

fn fill(server: &ApiServer, arguments: &Arguments) -> Result<()> {
    server.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}))?;
    for number in 0..arguments.services {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 0, 1).to_bits() + number);
        server.apply(&json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": format!("service-{number}"), "managedFields": managed_fields()},
            "spec": {
                "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "selector": {"app": format!("app-{number}")},
                "ipFamilies": ["IPv4"], "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
            },
        }))?;
        let endpoints: Vec<_> = (number..arguments.pods).step_by(arguments.services as usize).map(endpoint).collect();
        server.apply(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": format!("service-{number}-abcde"),
                "labels": {"kubernetes.io/service-name": format!("service-{number}")},
            },
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": endpoints,
        }))?;
    }
    (0..arguments.pods).try_for_each(|number| Ok(server.apply(&pod(number, number % arguments.services))?))
}

fn endpoint(pod: u32) -> Value {
    json!({
        "addresses": [ip(pod)], "nodeName": node(pod), "conditions": {"ready": true, "serving": true, "terminating": false},
        "targetRef": {"kind": "Pod", "name": format!("pod-{pod}"), "namespace": "default"},
    })
}

/// A Pod with what makes real ones large: environment, probes, volumes, managed fields.
fn pod(number: u32, app: u32) -> Value {
    let environment: Vec<_> = (0..15)
        .map(|index| json!({"name": format!("SETTING_{index}"), "value": format!("value of {index}")}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("pod-{number}"), "managedFields": managed_fields(),
            "labels": {"app": format!("app-{app}"), "pod-template-hash": "5d4f8c7b9", "tier": "backend"},
            "annotations": {"checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
        },
        "spec": {
            "nodeName": node(number), "serviceAccountName": "default", "restartPolicy": "Always",
            "containers": [{
                "name": "server", "image": "registry.example/application:1.2.3", "env": environment,
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 10},
                "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            }],
            "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        },
        "status": {
            "phase": "Running", "podIP": ip(number), "podIPs": [{"ip": ip(number)}],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
        },
    })
}

fn managed_fields() -> Value {
    let fields: serde_json::Map<_, _> = (0..20).map(|field| (format!("f:field-{field}"), json!({".": {}}))).collect();
    json!([{"manager": "kube-controller-manager", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}])
}

fn ip(pod: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + pod)
}

/// Twenty Pods a node.
fn node(pod: u32) -> String {
    format!("node{}", 1 + pod / 20)
}

fn relists(lab: &Lab) -> Result<u64> {
    let output = lab.nodes()[0].sluice(&["status", "-o", "json"])?;
    let status: Value = serde_json::from_slice(&output.stdout)?;
    Ok(status["agent"]["apiServer"]["relists"].as_u64().unwrap_or_default())
}

fn print(agent: &Agent, when: &str) -> Result<()> {
    let Usage { resident_bytes, peak_bytes, .. } = Usage::of(agent.pid())?;
    println!("{when}: {} MiB resident, {} MiB at most so far", resident_bytes >> 20, peak_bytes >> 20);
    Ok(())
}

fn wait(patience: Duration, what: &str, look: impl Fn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !look()? {
        ensure!(started.elapsed() < patience, "not true after {patience:?}: {what}");
        sleep(Duration::from_millis(100));
    }
    Ok(())
}
