//! Pods by pods by ports: everybody tries everybody under one set of policies after the other, as Kubernetes' own tests of
//! NetworkPolicy do, and the reference of the API says what must come of it.

use std::thread;

use anyhow::{Context as _, Result};
use lab::policy::{Connection, Object, Objects, Protocol, Settings, verdict};
use lab::traffic::{Probe, Reached, Target};
use lab::{Cluster, Family, Lab, Serving, eventually, topology};
use serde::Deserialize as _;
use serde_json::{Value, json};
use serde_yaml_ng::Deserializer;

use crate::checksums;
use crate::scene::SILENCE;

/// Sets of policies: what a set is for, and its documents.
const SCENARIOS: &str = include_str!("scenarios.yaml");
const NAMESPACES: [&str; 3] = ["x", "y", "z"];
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Ports that every pod serves over TCP and UDP; `other` is the first port's name, `serve` the second's, but for the pods
/// named c, where it is the other way round.
const PORTS: [u16; 2] = [80, 81];

#[test]
fn everybody_reaches_whom_the_api_reference_says() -> Result<()> {
    for serving in Serving::all() {
        let lab = Lab::builder().attachment(serving.attachment).build()?;
        let base = base();
        lab.manifests().write("cluster.yaml", &lab::manifests::build::file(&base))?;
        let cluster = Cluster::start(lab, serving)?;
        for scenario in scenarios()? {
            try_all(&cluster, &base, &scenario).with_context(|| format!("{serving}: {}", scenario.name))?;
        }
        checksums::were_right(&cluster)?;
    }
    Ok(())
}

struct Scenario {
    name: String,
    policies: Vec<Value>,
}

fn scenarios() -> Result<Vec<Scenario>> {
    let parse = |document| -> Result<Scenario> {
        let value = Value::deserialize(document)?;
        let name = value["scenario"].as_str().context("a scenario has a name")?.to_owned();
        let policies = value["policies"].as_array().context("a scenario has policies")?;
        Ok(Scenario { name, policies: policies.iter().map(complete).collect() })
    };
    Deserializer::from_str(SCENARIOS).map(parse).collect()
}

/// What is the same in all of them.
fn complete(policy: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": policy["name"], "namespace": policy["namespace"]},
        "spec": policy["spec"],
    })
}

fn base() -> Vec<Value> {
    let nodes = [1_u8, 2].map(|number| {
        let ranges: Vec<_> =
            [format!("10.244.{number}.0/24"), format!("fd00:10:244:{number}::/64")].into_iter().collect();
        let addresses: Vec<_> =
            topology::node(number).iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node{number}")},
            "spec": {"podCIDR": ranges[0], "podCIDRs": ranges}, "status": {"addresses": addresses},
        })
    });
    let namespaces = NAMESPACES.map(|name| {
        let labels = json!({"ns": name, "kubernetes.io/metadata.name": name});
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    });
    nodes.into_iter().chain(namespaces).chain(pods().map(|pod| pod.object())).collect()
}

struct Pod {
    namespace: &'static str,
    name: &'static str,
    node: u8,
    index: u8,
}

fn pods() -> impl Iterator<Item = Pod> {
    let each = NAMESPACES.into_iter().flat_map(|namespace| NAMES.map(|name| (namespace, name)));
    each.zip(10_u8..).map(|((namespace, name), index)| Pod { namespace, name, node: 1 + index % 2, index })
}

impl Pod {
    /// Its name in the lab, where there are no namespaces.
    fn in_lab(&self) -> String {
        format!("{}-{}", self.namespace, self.name)
    }

    fn object(&self) -> Value {
        let mut pod = lab::manifests::build::pod(&self.in_lab(), "", self.node, self.index);
        pod["metadata"]["namespace"] = self.namespace.into();
        pod["metadata"]["labels"] = json!({"pod": self.name});
        let names = if self.name == "c" { ["serve", "other"] } else { ["other", "serve"] };
        let tcp = PORTS.iter().zip(names).map(|(port, name)| json!({"name": name, "containerPort": port}));
        let udp = PORTS.iter().map(|port| json!({"containerPort": port, "protocol": "UDP"}));
        pod["spec"]["containers"][0]["ports"] = tcp.chain(udp).collect();
        pod
    }
}

fn try_all(cluster: &Cluster, base: &[Value], scenario: &Scenario) -> Result<()> {
    cluster.lab().manifests().write("policies.yaml", &lab::manifests::build::file(&scenario.policies))?;
    let objects: Vec<Object> = base
        .iter()
        .chain(&scenario.policies)
        .map(|object| serde_json::from_value(object.clone()))
        .collect::<Result<_, _>>()?;
    let objects = Objects::new(&objects);
    eventually("connections other than the reference says", &Vec::<String>::new(), || wrong(cluster, &objects))?;
    Ok(())
}

/// Has every pod try every other at once; what comes out otherwise than it must.
fn wrong(cluster: &Cluster, objects: &Objects) -> Result<Vec<String>> {
    let tries: Vec<_> = thread::scope(|scope| {
        let tries: Vec<_> = pods().map(|from| scope.spawn(move || tries_of(cluster, objects, &from))).collect();
        tries.into_iter().map(|tries| tries.join().expect("a try doesn't panic")).collect()
    });
    Ok(tries.into_iter().collect::<Result<Vec<_>>>()?.concat())
}

fn tries_of(cluster: &Cluster, objects: &Objects, from: &Pod) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    let mut expected = Vec::new();
    for (to, family) in pods().flat_map(|to| Family::BOTH.map(|family| (topology::pod(to.node, to.index), family))) {
        for (port, udp) in PORTS.into_iter().flat_map(|port| [(port, false), (port, true)]) {
            let connection = Connection {
                from: topology::pod(from.node, from.index).of(family),
                to: to.of(family),
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                port,
            };
            let settings = Settings { audit: false, hold_unknown: true };
            expected.push((connection, verdict(objects, settings, connection)));
            targets.push(Target { to: (connection.to, port).into(), udp });
        }
    }
    let reached = cluster.pod(&from.in_lab())?.probe(&Probe { targets, timeout: SILENCE })?;
    let outcomes = expected.into_iter().zip(reached);
    let otherwise = outcomes.filter(|((_, verdict), reached)| {
        *reached != if verdict.is_allowed() { Reached::Yes } else { Reached::Silence }
    });
    Ok(otherwise.map(|((connection, verdict), reached)| format!("{connection}: {reached:?}; {verdict}")).collect())
}
