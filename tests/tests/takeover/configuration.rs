//! A configuration that changes while an agent runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use lab::{AgentOptions, Attachment, Cluster, Family, SocketLb, eventually};
use serde_json::Value;

use crate::scene;

/// Gives a mounted `ConfigMap` other content as the kubelet does: by another target of the link `..data`.
fn mount(directory: &Path, version: &str, fields: &str) -> Result<()> {
    let data = directory.join(version);
    fs::create_dir(&data)?;
    let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
    fs::write(data.join("config.conf"), format!("{head}{fields}"))?;
    symlink(version, directory.join("..data_tmp"))?;
    fs::rename(directory.join("..data_tmp"), directory.join("..data"))?;
    Ok(())
}

fn not_in_force(cluster: &Cluster) -> Result<String> {
    let status: Value = serde_json::from_str(&scene::sluice(cluster.lab().node("node1")?, &["status", "-o", "json"])?)?;
    Ok(status["agent"]["notInForce"].as_array().into_iter().flatten().filter_map(Value::as_str).collect())
}

#[test]
fn a_changed_configuration_is_in_force_at_once_and_a_bad_one_changes_nothing() -> Result<()> {
    let mut cluster = scene::cluster(Attachment::Routed)?;
    let directory = tempfile::tempdir()?;
    mount(directory.path(), "..1", "nodePortAddresses: [203.0.113.0/24]\n")?;
    symlink("..data/config.conf", directory.path().join("config.conf"))?;
    let file = directory.path().join("config.conf").display().to_string();
    cluster.start_agents(&AgentOptions { arguments: vec!["--config".into(), file], ..SocketLb::Off.into() })?;
    let to = cluster.node_port("node1", "here", Family::V4)?;
    let answers = || Ok::<_, anyhow::Error>(cluster.lab().client().http_get(to).is_ok());
    assert!(!answers()?, "node ports are served elsewhere");
    mount(directory.path(), "..2", "nodePortAddresses: []\noomScoreAdj: 5\nbindAddressHardFail: true\n")?;
    eventually("node port is served", &true, answers)?;
    assert_eq!(not_in_force(&cluster)?, "bindAddressHardFail: takes a restart");
    mount(directory.path(), "..3", "nodePortAddresses: nowhere\n")?;
    let told = || {
        Ok::<_, anyhow::Error>(not_in_force(&cluster)?.contains("the configuration stays as it was: nodePortAddresses"))
    };
    eventually("the bad configuration is told of", &true, told)?;
    assert!(answers()?, "what was in force is");
    Ok(())
}
