//! `sluice cleanup` takes back all that an agent did to its node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, Lab, Node, SocketLb};
use proxy_common::tables::{ALL, VERSION};
use std::net::SocketAddr;

use crate::support::kernel::{attached, interfaces, maps, pinned_maps, programs};
use crate::support::objects::{HTTP, client, file, http, pod, service};
use crate::support::status::status;
use crate::support::{LIMIT, bpffs, eventually, stderr, stdout};

/// The reverse path filter that the agent loosens.
const STRICT: u8 = 1;

fn cluster_of(lab: Lab, socket_lb: SocketLb) -> Result<Cluster> {
    let objects =
        [service("web", 10, &http()), pod("web-1", "web", 1, 10), client("asker", 1, 20), client("asker-2", 2, 20)];
    lab.manifests().write("web.yaml", &file(&objects))?;
    let mut cluster = Cluster::without_agents(lab)?;
    let before = settings(cluster.lab().node("node1")?)?;
    cluster.start_agents(&socket_lb.into())?;
    assert_ne!(settings(cluster.lab().node("node1")?)?, before, "a node on which nothing is changed shows nothing");
    Ok(cluster)
}

#[test]
fn nothing_of_an_agent_is_left_in_the_kernel_or_on_the_node() -> Result<()> {
    for socket_lb in SocketLb::BOTH {
        let lab = Lab::builder().rp_filter(STRICT).build()?;
        let before = settings(lab.node("node1")?)?;
        let mut cluster = cluster_of(lab, socket_lb)?;
        cluster.agents()[0].kill()?;
        let node = cluster.lab().node("node1")?;
        let hooks = attached(node)?;
        let ours = Ours {
            maps: pinned_maps(&bpffs(node).join(format!("v{VERSION}/maps")))?,
            programs: hooks.values().flatten().copied().collect(),
        };
        assert_eq!(ours.maps.len(), ALL.len());
        assert!(ours.programs.len() > 2, "{hooks:?}");

        let output = node.sluice(&["cleanup"])?;
        assert!(output.status.success(), "{}", stderr(&output));
        let told = stdout(&output);
        assert!(told.contains("maps/SERVICES removed\n") && told.contains("/links/"), "{told}");
        assert_eq!(attached(node)?, BTreeMap::new(), "{socket_lb}");
        assert_eq!(left(bpffs(node))?, Vec::<PathBuf>::new(), "{socket_lb}");
        // The settings of interfaces that have come since are the lab's; lo's and eth0's are there from the start.
        let after = settings(node)?;
        assert!(before.iter().all(|(setting, value)| after.get(setting) == Some(value)), "{before:?}, now {after:?}");
        assert!(!status_directory(node).exists());
        // The kernel frees them when no processor can be using them any more.
        eventually("maps and programs", &Ours::default(), || Ok(ours.still_there()))?;

        let output = node.sluice(&["cleanup"])?;
        assert!(output.status.success() && stdout(&output).is_empty(), "{}", stdout(&output));
        assert!(stderr(&output).contains("Nothing to remove"), "{}", stderr(&output));
    }
    Ok(())
}

#[test]
fn services_end_with_it_and_nothing_else_does() -> Result<()> {
    let mut cluster = cluster_of(Lab::builder().rp_filter(STRICT).build()?, SocketLb::On)?;
    cluster.agents()[0].kill()?;
    assert!(cluster.lab().node("node1")?.sluice(&["cleanup"])?.status.success());
    for family in Family::BOTH {
        let service = cluster.cluster_ip("web", family)?;
        let pod = SocketAddr::new(cluster.pod("web-1")?.addresses().of(family), HTTP);
        let (here, there) = (cluster.pod("asker")?, cluster.pod("asker-2")?);
        assert!(here.http(&Ask::new(service).timeout(LIMIT / 20)).is_err(), "{family}");
        assert_eq!(here.http_get(pod)?.pod, "web-1");
        assert_eq!(there.http_get(service)?.pod, "web-1", "node2 has an agent of its own");
    }
    cluster.agents()[0].restart()?;
    for family in Family::BOTH {
        cluster.pod("asker")?.http_get(cluster.cluster_ip("web", family)?)?;
    }
    Ok(())
}

#[test]
fn refused_while_the_agent_runs() -> Result<()> {
    let cluster = cluster_of(Lab::builder().rp_filter(STRICT).build()?, SocketLb::On)?;
    let node = cluster.lab().node("node1")?;
    let (hooks, kernel) = (attached(node)?, status(node)?.kernel()?);
    let output = node.sluice(&["cleanup"])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nothing was removed: another agent works on"), "{}", stderr(&output));
    assert_eq!(attached(node)?, hooks);
    assert_eq!(status(node)?.kernel()?, kernel);
    for family in Family::BOTH {
        cluster.pod("asker")?.http_get(cluster.cluster_ip("web", family)?)?;
    }
    Ok(())
}

#[test]
fn interfaces_and_pods_that_are_gone_by_then_are_no_hindrance() -> Result<()> {
    let mut cluster = cluster_of(Lab::builder().rp_filter(STRICT).build()?, SocketLb::On)?;
    let late = cluster.lab().node("node1")?.add_pod("late", 40)?;
    let device = late.host_device();
    let node = cluster.lab().node("node1")?;
    eventually("a program at the pod", &true, || Ok(attached(node)?.contains_key(&format!("{device} ingress"))))?;
    cluster.agents()[0].kill()?;
    late.remove()?;
    let node = cluster.lab().node("node1")?;
    let output = node.sluice(&["cleanup"])?;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(left(bpffs(node))?, Vec::<PathBuf>::new());
    Ok(())
}

/// Numbers of what an agent brought into the kernel.
#[derive(PartialEq, Eq, Debug, Default)]
struct Ours {
    maps: BTreeSet<u32>,
    programs: BTreeSet<u32>,
}

impl Ours {
    fn still_there(&self) -> Self {
        let programs = programs().intersection(&self.programs).copied().collect();
        Self { maps: maps().intersection(&self.maps).copied().collect(), programs }
    }
}

/// What is on a BPF file system, but for what the kernel itself puts on each (`maps.debug`, `progs.debug`).
fn left(bpffs: &Path) -> Result<Vec<PathBuf>> {
    let paths: Vec<_> = std::fs::read_dir(bpffs)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_none_or(|extension| extension != "debug")).collect())
}

/// Every setting of the kind that agents change -> its value.
fn settings(host: &Host) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for interface in interfaces(host)?.iter().map(String::as_str).chain(["all", "default"]) {
        for name in ["rp_filter", "accept_local", "route_localnet"] {
            let path = format!("/proc/sys/net/ipv4/conf/{interface}/{name}");
            settings.insert(path.clone(), host.run(&["cat", &path])?.trim().to_owned());
        }
    }
    Ok(settings)
}

/// Where the agent of a node tells about itself.
fn status_directory(node: &Node) -> PathBuf {
    let name = bpffs(node).display().to_string().trim_start_matches('/').replace('-', "\\x2d").replace('/', "-");
    Path::new("/run/sluice").join(name)
}
