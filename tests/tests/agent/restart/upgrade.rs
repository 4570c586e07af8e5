//! From an agent of the previous table version to this one and back, under load. Takes that agent: `cargo xtask upgrade`.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use aya::maps::{Map, MapData, PerCpuArray};
use lab::{Cluster, Family, Node, SocketLb};
use proxy_common::tables::{DROPS, VERSION};

use super::load::Load;
use super::{assert_one_program_a_hook, cluster};
use crate::support::endpoints;
use crate::support::kernel::attached;
use crate::support::objects::{file, http, service};

/// Upgrades in a row: what can be lost in the moment of a switch is lost at some of them.
const UPGRADES: usize = 5;
/// Nodes, and so agents that are replaced at an upgrade.
const NODES: usize = 2;
/// Requests that may be lost at an upgrade: those whose first packets fall into the moment in which the programs of a node
/// are switched, hook after hook, as old and new ones have flow tables of their own where the layout of flows changed.
const SPARED: usize = 5;

#[test]
#[ignore = "takes an agent of the previous version: cargo xtask upgrade"]
fn nothing_is_lost_when_agents_are_upgraded_with_socket_lb_off() -> Result<()> {
    nothing_is_lost_when_agents_are_upgraded(SocketLb::Off)
}

#[test]
#[ignore = "takes an agent of the previous version: cargo xtask upgrade"]
fn nothing_is_lost_when_agents_are_upgraded_with_socket_lb_on() -> Result<()> {
    nothing_is_lost_when_agents_are_upgraded(SocketLb::On)
}

fn nothing_is_lost_when_agents_are_upgraded(socket_lb: SocketLb) -> Result<()> {
    let (old, new) = (previous()?, lab::sluice()?);
    let (mut cluster, _servers) = cluster(socket_lb)?;
    let mut sticky = service("sticky", 11, &http());
    sticky["spec"]["selector"]["app"] = "web".into();
    sticky["spec"]["sessionAffinity"] = "ClientIP".into();
    cluster.lab().manifests().write("sticky.yaml", &file(&[sticky]))?;
    let node = &cluster.lab().nodes()[0];
    crate::support::eventually("endpoints of sticky", &4, || Ok(endpoints(node, "sticky")?.len()))?;
    for _ in 0..UPGRADES {
        // Back to the previous version: it knows nothing of this one, so it begins anew, and serves.
        replace_agents(&mut cluster, &old)?;
        assert_only_version(&cluster, VERSION - 1)?;
        let (hooks, drops, bound) = (hooks(&cluster)?, drops(&cluster)?, bound(&cluster)?);
        let load = Load::start(&cluster)?;
        replace_agents(&mut cluster, &new)?;
        for node in cluster.lab().nodes() {
            assert_one_program_a_hook(node)?;
        }
        let lost = load.assert_connections_lived(NODES)?;
        println!("requests lost in the moments of the switch: {}", lost.len());
        assert!(lost.len() <= SPARED, "{lost:#?}");
        assert_only_version(&cluster, VERSION)?;
        let dropped = self::drops(&cluster)?.iter().zip(&drops).map(|(after, before)| after - before).sum::<u64>();
        assert!(dropped as usize <= SPARED, "{dropped} packets were dropped");
        assert_eq!(self::bound(&cluster)?, bound, "{socket_lb}: clients are bound to other endpoints than before");
        assert_eq!(self::hooks(&cluster)?, hooks);
    }
    Ok(())
}

/// The agent that `cargo xtask upgrade` built.
fn previous() -> Result<PathBuf> {
    let named = env::var_os("SLUICE_PREVIOUS_BIN").context("SLUICE_PREVIOUS_BIN isn't set; run cargo xtask upgrade")?;
    Ok(named.into())
}

/// Ends each agent and starts another build in its place, as a DaemonSet's rolling update does.
fn replace_agents(cluster: &mut Cluster, program: &Path) -> Result<()> {
    for agent in cluster.agents() {
        agent.terminate()?;
        agent.set_program(program);
        agent.restart()?;
    }
    Ok(())
}

/// Nothing is pinned but what one version does.
fn assert_only_version(cluster: &Cluster, version: u32) -> Result<()> {
    for node in cluster.lab().nodes() {
        let names: BTreeSet<_> = versions(node)?.into_keys().collect();
        assert_eq!(names, BTreeSet::from([version]), "{}", node.name());
    }
    Ok(())
}

/// Number of each version that has pins -> their directory.
fn versions(node: &Node) -> Result<BTreeMap<u32, PathBuf>> {
    let bpffs = node.bpffs().context("a node has a bpffs")?;
    let paths = fs::read_dir(bpffs)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix('v')?.parse().ok();
    Ok(paths.into_iter().filter_map(|path| Some((number(&path)?, path))).collect())
}

/// Programs at each hook of each node, by their count.
fn hooks(cluster: &Cluster) -> Result<Vec<BTreeMap<String, usize>>> {
    let counted = |node| Ok(attached(node)?.into_iter().map(|(hook, programs)| (hook, programs.len())).collect());
    cluster.lab().nodes().iter().map(counted).collect()
}

/// Packets dropped on each node, whichever version counts them.
fn drops(cluster: &Cluster) -> Result<Vec<u64>> {
    cluster.lab().nodes().iter().map(drops_of).collect()
}

fn drops_of(node: &Node) -> Result<u64> {
    let (_, directory) = versions(node)?.pop_last().context("nothing is pinned")?;
    let map = Map::from_map_data(MapData::from_pin(directory.join("maps").join(DROPS.name))?)?;
    let drops: PerCpuArray<_, u64> = map.try_into()?;
    let counts = drops.iter().collect::<Result<Vec<_>, _>>()?;
    Ok(counts.iter().flat_map(|cpus| cpus.iter()).sum())
}

/// Who answers a client that is bound to an endpoint.
fn bound(cluster: &Cluster) -> Result<Vec<String>> {
    let ask = |family| Ok(cluster.pod("asker")?.http_get(cluster.cluster_ip("sticky", family)?)?.pod);
    Family::BOTH.into_iter().map(ask).collect()
}
