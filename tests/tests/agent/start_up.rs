//! How an agent starts, and what keeps it from starting: one clear message, and a code that says it didn't.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use aya::maps::HashMap;
use lab::{Agent, Lab, Node, SocketLb};
use proxy_common::tables::{SERVICES, VERSION};

use crate::support::kernel::attached;
use crate::support::status::status;
use crate::support::{LIMIT, bpffs, eventually, health, stderr};

/// Exit code for what keeps it from starting.
const FAILED: Option<i32> = Some(1);
/// Exit code for a configuration it doesn't understand.
const USAGE: Option<i32> = Some(2);

/// Runs an agent that can't start; its exit code and what it said.
fn refused(lab: &Lab, node: &Node, more: &[&str]) -> Result<(Option<i32>, String)> {
    let manifests = lab.manifests().dir().display().to_string();
    refused_with(node, &[], &[&["--manifests", &manifests], more].concat())
}

fn refused_with(node: &Node, wrapper: &[&str], more: &[&str]) -> Result<(Option<i32>, String)> {
    let (bpffs, cgroup) = (bpffs(node).display().to_string(), node.cgroup_root().display().to_string());
    let arguments = ["agent", "--node-name", node.name(), "--bpffs", &bpffs, "--cgroup", &cgroup];
    let output = node.sluice_under(wrapper, &[&arguments, more].concat())?;
    Ok((output.status.code(), stderr(&output)))
}

#[test]
fn ready_once_the_first_full_state_is_in_the_kernel_and_alive_from_the_start() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let mut agent = Agent::launch(&lab, node, &SocketLb::On.into())?;
    let (mut waited_for, started) = (Vec::new(), Instant::now());
    while started.elapsed() < LIMIT {
        match health::get(node, "/readyz")? {
            Some((503, body)) => waited_for.push(body),
            Some((200, _)) => break,
            Some(other) => panic!("/readyz: {other:?}"),
            None => {}
        }
        if let Some((code, body)) = health::get(node, "/livez")? {
            assert_eq!(code, 200, "{body}");
        }
        sleep(Duration::from_millis(1));
    }
    assert!(!attached(node)?.is_empty(), "ready, and nothing is attached");
    assert!(waited_for.iter().any(|body| !body.trim().is_empty()), "it never said what it waited for: {waited_for:?}");
    agent.wait_ready()?;
    assert_eq!(health::get(node, "/livez")?.map(|(code, _)| code), Some(200));
    assert_eq!(health::get(node, "/healthz")?.map(|(code, _)| code), Some(200));
    Ok(())
}

#[test]
fn second_agent_on_the_same_directory_waits_and_takes_over_when_the_first_has_ended() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let mut first = Agent::start(&lab, node, &SocketLb::On.into())?;
    let before = status(node)?.kernel()?;
    let mut second = Agent::launch(&lab, node, &SocketLb::On.into())?;
    let waits = || Ok(second.log().contains("another agent works on") && second.log().contains("waiting"));
    eventually("the second agent says that it waits", &true, waits)?;
    assert!(second.log().contains(&bpffs(node).display().to_string()), "{}", second.log());
    assert_eq!(status(node)?.kernel()?, before);
    assert!(first.is_ready()?);
    first.terminate()?;
    second.wait_ready()?;
    assert_ne!(status(node)?.kernel()?, before, "the programs are the first agent's");
    Ok(())
}

#[test]
fn missing_privileges_are_named() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let manifests = lab.manifests().dir().display().to_string();
    let without = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
    let (code, says) = refused_with(node, &without, &["--manifests", &manifests])?;
    assert_eq!(code, FAILED, "{says}");
    for capability in ["CAP_BPF", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"] {
        assert!(says.contains(capability), "{says}");
    }
    assert!(says.contains("run as root"), "{says}");
    Ok(())
}

#[test]
fn missing_directory_of_manifests_is_named() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let (code, says) = refused_with(node, &[], &["--manifests", "/nowhere/manifests"])?;
    assert_eq!(code, FAILED, "{says}");
    assert!(says.contains("/nowhere/manifests") && says.contains("No such file or directory"), "{says}");
    Ok(())
}

#[test]
fn unknown_and_impossible_configuration_is_refused_by_file_and_key() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let file = lab.id().dir().join("config.yaml");
    let config = file.display().to_string();
    for (text, says) in [
        ("nodeNam: node1\n", "nodeNam"),
        ("socketLb: sometimes\n", "socketLb"),
        ("kind: KubeletConfiguration\n", "kind"),
        ("kind: KubeProxyConfiguration\n", "apiVersion"),
        ("devices: [a/b]\n", "devices"),
        ("healthzBindAddress: nowhere\n", "healthzBindAddress"),
    ] {
        fs::write(&file, text)?;
        let (code, said) = refused(&lab, node, &["--config", &config])?;
        assert_eq!(code, USAGE, "{text}: {said}");
        assert!(said.contains(says), "{text}: {said}");
    }
    fs::write(&file, "nodeNam: node1\n")?;
    let (_, said) = refused(&lab, node, &["--config", &config])?;
    assert!(said.contains(&config), "{said}");
    Ok(())
}

#[test]
fn pinned_table_of_another_layout_is_named_and_left_alone() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let maps = bpffs(node).join(format!("v{VERSION}/maps"));
    fs::create_dir_all(&maps)?;
    let pin = maps.join(SERVICES.name);
    HashMap::<_, u32, [u8; 64]>::create(16, 0)?.pin(&pin)?;
    let (code, says) = refused(&lab, node, &[])?;
    assert_eq!(code, FAILED, "{says}");
    assert!(says.contains(&pin.display().to_string()), "{says}");
    assert!(says.contains("key size is 4") && says.contains("sluice cleanup"), "{says}");
    assert!(pin.exists(), "somebody may still use it");
    assert!(attached(node)?.is_empty(), "nothing of the agent's was attached");
    Ok(())
}

#[test]
fn tables_of_an_older_layout_go_once_the_new_ones_serve() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let old = bpffs(node).join("v0");
    fs::create_dir_all(old.join("maps"))?;
    HashMap::<_, u32, u32>::create(16, 0)?.pin(old.join("maps/OLD"))?;
    let _agent = Agent::start(&lab, node, &SocketLb::On.into())?;
    assert!(!old.exists());
    Ok(())
}
