//! `sluice support-bundle`: what a maintainer gets, with an agent and without, and what nobody gets.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use lab::{Cluster, Lab, Node, SocketLb};
use serde_json::Value;

use crate::support::objects::{file, http, pod, service};
use crate::support::policies::only;
use crate::support::{bpffs, eventually, stderr};

/// The parts of a bundle by name.
type Parts = BTreeMap<String, String>;

/// Makes a bundle on a node, and unpacks it.
fn bundle(node: &Node, arguments: &[&str]) -> Result<Parts> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bundle.tar.gz");
    let output = path.to_str().context("a path that is no text")?;
    let output = node.sluice(&[&["support-bundle", "--output", output], arguments].concat())?;
    ensure!(output.status.success(), "{}: {}", output.status, stderr(&output));
    unpack(&path)
}

fn unpack(path: &Path) -> Result<Parts> {
    let mut parts = Parts::new();
    for entry in tar::Archive::new(GzDecoder::new(fs::File::open(path)?)).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.file_name().context("a part without a name")?.to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        parts.insert(name, text);
    }
    Ok(parts)
}

/// A part that is JSON.
fn json(parts: &Parts, name: &str) -> Result<Value> {
    let text = parts.get(name).with_context(|| format!("no {name}: {}", parts["contents.json"]))?;
    serde_json::from_str(text).with_context(|| format!("{name}: {text}"))
}

/// The parts that aren't there, with the reason.
fn failed(parts: &Parts) -> Result<BTreeMap<String, String>> {
    let contents = json(parts, "contents.json")?;
    let all = contents["parts"].as_array().context("no parts")?.iter();
    let all = all.filter_map(|part| Some((part["file"].as_str()?.to_owned(), part["error"].as_str()?.to_owned())));
    Ok(all.collect())
}

#[test]
fn a_bundle_has_what_the_agent_and_the_node_tell_and_no_more_rows_than_asked_for() -> Result<()> {
    let lab = Lab::builder().build()?;
    let web = [pod("web-1", "web", 1, 10), pod("web-2", "web", 2, 11), service("web", 1, &http())];
    lab.manifests().write("cluster.yaml", &file(&web))?;
    lab.manifests().write("policy.yaml", &only("web-only", "web", "client", 80).to_string())?;
    let cluster = Cluster::start(lab, SocketLb::On)?;
    let node = cluster.lab().node("node1")?;
    let parts = bundle(node, &[])?;

    // The kernel's options are where its package or its makers left them.
    ensure!(failed(&parts)?.keys().all(|file| file == "kernel-config.txt"), "{:?}", failed(&parts)?);
    for name in parts.keys().filter(|name| Path::new(name).extension().is_some_and(|it| it == "json")) {
        json(&parts, name)?;
    }
    assert_eq!(json(&parts, "status.json")?["alive"], true);
    assert_eq!(json(&parts, "configuration.json")?["nodeName"], "node1");
    assert_eq!(json(&parts, "services.json")?["items"][0]["name"], "web");
    assert_eq!(json(&parts, "policies.json")?["items"][0]["name"], "web-only");
    assert!(parts["metrics.txt"].contains("\nkubeproxy_") && parts["metrics.txt"].contains("\nsluice_"));
    assert!(parts["readyz.txt"].starts_with("HTTP/1.0 200 "), "{}", parts["readyz.txt"]);
    assert_eq!(json(&parts, "sysctls.json")?["net/ipv4/ip_forward"], "1");
    let interfaces = json(&parts, "interfaces.json")?;
    let devices = json(&parts, "status.json")?["agent"]["devices"].clone();
    for device in devices.as_array().context("no devices")? {
        let found = interfaces["items"].as_array().into_iter().flatten().any(|it| it["name"] == device["name"]);
        assert!(found, "{device} in {interfaces}");
    }
    assert!(parts["routes.json"].contains("\"default\"") && parts["programs.json"].contains("SCHED_CLS"));

    let backends = json(&bundle(node, &["--limit", "1"])?, "backends.json")?;
    let rest = backends["metadata"]["remainingItemCount"].as_u64();
    assert_eq!(backends["items"].as_array().map(Vec::len), Some(1));
    assert!(rest > Some(0), "{backends}");
    Ok(())
}

#[test]
fn without_an_agent_a_bundle_says_what_it_lacks_and_why() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let parts = bundle(lab.node("node1")?, &[])?;
    let failed = failed(&parts)?;
    assert!(failed["services.json"].contains("no agent has started"), "{failed:?}");
    assert!(failed["metrics.txt"].contains("no agent has told"), "{failed:?}");
    assert_eq!(json(&parts, "status.json")?["alive"], false);
    assert!(json(&parts, "doctor.json")?.is_array() && parts.contains_key("interfaces.json"));
    Ok(())
}

#[test]
fn a_kubeconfig_is_named_in_a_bundle_and_nothing_of_it_is_in_there() -> Result<()> {
    const SECRET: &str = "bearer-of-all-keys";
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kubeconfig");
    // Nobody listens there: what the agent says of that is in the bundle, too.
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "c", "user": {"token": SECRET}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    });
    fs::write(&path, kubeconfig.to_string())?;
    let (path, bpffs) = (path.to_str().context("path")?, bpffs(node).to_str().context("path")?);
    let arguments = ["agent", "--kubeconfig", path, "--bpffs", bpffs, "--socket-lb", "off", "--node-name", "node1"];
    let agent = node.spawn_sluice(&arguments)?;
    let told = || Ok(bundle(node, &[])?.get("configuration.json").is_some_and(|it| it.contains(path)));
    eventually("configuration that names the kubeconfig", &true, told).context(agent.log())?;
    let parts = bundle(node, &[])?;
    assert!(parts.values().all(|part| !part.contains(SECRET)));
    Ok(())
}
