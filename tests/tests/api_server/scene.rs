//! A node with the pods of a Service, an API server that has their objects, and an agent that follows it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lab::api_server::{Api, Settings};
use lab::manifests::build::{HTTP, client, file, http, pod, service};
use lab::manifests::{Condition, Endpoint, Slices};
use lab::traffic::{Ask, Background};
use lab::{AgentOptions, ApiServer, Cluster, EndpointSet, Family, Lab, Node, eventually, topology};
use serde_json::{Value, json};

/// The longest pause between two attempts is half a minute; a token is read again after a minute.
const RECONNECT: Duration = Duration::from_secs(75);

/// A cluster of one node. Its pods are `web-1` and `web-2` of the Service `web`, and `asker` and `stranger`, who ask.
pub(crate) struct Scene<S = ApiServer> {
    pub(crate) cluster: Cluster,
    pub(crate) server: S,
}

impl Scene {
    /// With an API server of our own.
    pub(crate) fn new() -> Result<Self> {
        Self::with_settings(Settings::default())
    }

    pub(crate) fn with_settings(settings: Settings) -> Result<Self> {
        Self::on(|lab| ApiServer::in_lab(lab, settings))
    }
}

impl<S: Api> Scene<S> {
    /// With any API server; returns when the agent is ready.
    pub(crate) fn on(start: impl FnOnce(&Lab) -> lab::Result<S>) -> Result<Self> {
        let lab = Lab::builder().nodes(1).build()?;
        let server = start(&lab)?;
        // For the lab, which starts the pods of it. The agent doesn't read it.
        lab.manifests().write("pods.yaml", &file(&pods()))?;
        server.apply_all(&[namespace("default"), node()])?;
        server.apply_all(&pods())?;
        server.apply_all(&[service("web", 10, &http()), service("old", 11, &http())])?;
        let mut headless = service("headless", 13, &http());
        (headless["spec"]["clusterIP"], headless["spec"]["clusterIPs"]) = (json!("None"), json!(["None"]));
        server.apply(&headless)?;
        server.apply_all(&slices("web", &[21, 22]))?;
        server.apply_all(&slices("old", &[21]))?;
        let mut cluster = Cluster::without_agents(lab)?;
        cluster.start_agents(&AgentOptions::following(&server))?;
        Ok(Self { cluster, server })
    }

    pub(crate) fn node(&self) -> &Node {
        &self.cluster.lab().nodes()[0]
    }

    /// Waits until a Service's endpoints in the kernel are these pods, by their numbers on the node.
    pub(crate) fn wait_endpoints(&self, service: &str, indices: &[u8]) -> Result<()> {
        let addresses = |index: &u8| topology::pod(1, *index).iter().map(|ip| SocketAddr::new(ip, HTTP));
        let expected = indices.iter().flat_map(addresses).collect();
        let look = || Ok(self.node().backends(service, EndpointSet::Cluster)?);
        eventually::<_, anyhow::Error>(&format!("endpoints of {service}"), &expected, look)?;
        Ok(())
    }

    /// Waits until the kernel has these Services.
    pub(crate) fn wait_services(&self, expected: &[&str]) -> Result<()> {
        let expected: Vec<_> = expected.iter().map(|&name| name.to_owned()).collect();
        eventually::<_, anyhow::Error>("Services in the kernel", &expected, || self.services())?;
        Ok(())
    }

    /// Names of the Services that the kernel has.
    pub(crate) fn services(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for item in self.get("services")?["items"].as_array().into_iter().flatten() {
            names.push(item["name"].as_str().context("a Service has a name")?.to_owned());
        }
        // A real API server has one of its own.
        names.retain(|name| name != "kubernetes");
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// `sluice get`
    pub(crate) fn get(&self, what: &str) -> Result<Value> {
        let output = self.node().sluice(&["get", what, "-o", "json"])?;
        ensure!(output.status.success(), "sluice get {what}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// What the agent says of its API server.
    pub(crate) fn connection(&self) -> Result<Value> {
        let output = self.node().sluice(&["status", "-o", "json"])?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        Ok(status["agent"]["apiServer"].clone())
    }

    /// Waits until all kinds are followed, or until some isn't.
    pub(crate) fn wait_connected(&self, expected: bool) -> Result<()> {
        let look = || Ok(self.connection()?["lostSince"].is_null());
        eventually::<_, anyhow::Error>("the API server is followed", &expected, look)?;
        Ok(())
    }

    /// Waits until all kinds are followed again: the longer the server was away, the less often it is asked.
    pub(crate) fn wait_reconnected(&self) -> Result<()> {
        let started = Instant::now();
        while let Err(error) = self.wait_connected(true) {
            ensure!(started.elapsed() < RECONNECT, "{error:#}: {}", self.connection()?);
        }
        Ok(())
    }

    /// Requests to `web` without an end.
    pub(crate) fn load(&self) -> Result<Background> {
        Ok(self.cluster.pod("asker")?.http_load(&Ask::new(cluster_ip(10, Family::V4)))?)
    }

    /// Changes the set of endpoints of `web`, and waits until the kernel has it: the agent follows.
    pub(crate) fn prove_it_follows(&self) -> Result<()> {
        for indices in [&[22][..], &[21, 22]] {
            self.server.apply_all(&slices("web", indices))?;
            self.wait_endpoints("web", indices)?;
        }
        Ok(())
    }
}

/// Requests that have failed.
pub(crate) fn assert_none_failed(load: Background) -> Result<()> {
    let failed: Vec<_> = load.stop()?.into_iter().filter_map(Result::err).collect();
    ensure!(failed.is_empty(), "{} requests failed: {:?}", failed.len(), failed[0]);
    Ok(())
}

/// Port 80 of the Service of a number.
pub(crate) fn cluster_ip(number: u8, family: Family) -> SocketAddr {
    match family {
        Family::V4 => SocketAddr::new([10, 96, 0, number].into(), 80),
        Family::V6 => SocketAddr::new(format!("fd00:10:96::{number}").parse().expect("an address"), 80),
    }
}

/// Slices of a Service whose endpoints are pods by their numbers on the node.
pub(crate) fn slices(service: &str, indices: &[u8]) -> [Value; 2] {
    let endpoints = indices.iter().map(|index| Endpoint::new(1, *index, Condition::Ready)).collect();
    Slices { service: service.into(), ports: vec![("http", "TCP", HTTP)], endpoints }.objects()
}

/// A NetworkPolicy that lets only `asker` reach the pods of `web`.
pub(crate) fn only_asker() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "only-asker"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}],
        },
    })
}

fn pods() -> [Value; 4] {
    let mut stranger = client("stranger", 1, 32);
    stranger["metadata"]["labels"]["app"] = "stranger".into();
    [pod("web-1", "web", 1, 21), pod("web-2", "web", 1, 22), client("asker", 1, 31), stranger]
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn node() -> Value {
    let ips = topology::pod(1, 0);
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node1"},
        "spec": {"podCIDR": format!("{}/24", ips.v4), "podCIDRs": [format!("{}/24", ips.v4), format!("{}/64", ips.v6)]},
        "status": {"addresses": [{"type": "InternalIP", "address": topology::node(1).v4}]},
    })
}
