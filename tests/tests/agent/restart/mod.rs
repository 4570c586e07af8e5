//! The agent may die at any time: traffic doesn't notice, and the next one goes on where the last one was.

mod load;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use lab::traffic::{Ping, Serve};
use lab::{Agent, Cluster, Family, Lab, Node, Process, SocketLb};
use serde_json::json;

use self::load::Load;
use crate::support::kernel::attached;
use crate::support::objects::{HTTP, UDP, client, file, http, on_nodes, pod, service};
use crate::support::status::{Drops, Kernel, status};
use crate::support::{endpoints, json};

const KILLS: usize = 20;
const TERMINATIONS: usize = 3;
/// Agents in a row: a client that is free to choose one of two endpoints stays with the first once in a thousand runs.
const ROUNDS: usize = 11;
/// Port of the servers that send back what they get, and of the Service before them.
const ECHO: u16 = 7;
const ECHO_NODE_PORT: u16 = 30007;

#[test]
fn nothing_is_lost_when_agents_are_killed_with_socket_lb_on() -> Result<()> {
    nothing_is_lost_when_agents_are_killed(SocketLb::On)
}

#[test]
fn nothing_is_lost_when_agents_are_killed_with_socket_lb_off() -> Result<()> {
    nothing_is_lost_when_agents_are_killed(SocketLb::Off)
}

fn nothing_is_lost_when_agents_are_killed(socket_lb: SocketLb) -> Result<()> {
    let (mut cluster, _servers) = cluster(socket_lb)?;
    let links = links_of_both(&cluster)?;
    let drops = drops(&cluster)?;
    let load = Load::start(&cluster)?;
    for round in 0..KILLS + TERMINATIONS {
        let agent = usize::from(round >= KILLS);
        let before = kernel(&cluster.lab().nodes()[agent])?;
        if agent == 0 {
            cluster.agents()[agent].kill()?;
        } else {
            cluster.agents()[agent].terminate()?;
        }
        cluster.agents()[agent].restart()?;
        assert_replaced(&before, &kernel(&cluster.lab().nodes()[agent])?);
        assert_one_program_a_hook(&cluster.lab().nodes()[agent])?;
    }
    load.assert_nothing_lost(&cluster, KILLS + TERMINATIONS)?;
    assert_eq!(self::drops(&cluster)?, drops);
    assert_eq!(links_of_both(&cluster)?, links, "links were made anew");
    Ok(())
}

#[test]
fn changes_made_without_an_agent_are_applied_by_the_next_and_nothing_else_is_touched() -> Result<()> {
    for socket_lb in SocketLb::BOTH {
        let (mut cluster, _servers) = cluster(socket_lb)?;
        let manifests = cluster.lab().manifests();
        manifests.write("removed.yaml", &file(&[service("removed", 11, &http())]))?;
        let grown = [service("grown", 12, &http()), pod("grown-1", "grown", 1, 31), pod("grown-2", "grown", 2, 32)];
        manifests.write("grown.yaml", &file(&grown))?;
        manifests.set_ready("grown-2", false)?;
        let node = &cluster.lab().nodes()[0];
        let first = vec!["10.244.1.31:8080".to_owned(), "[fd00:10:244:1::31]:8080".into()];
        crate::support::eventually("endpoints of grown", &first, || endpoints(node, "grown"))?;
        let kept = json(node, &["get", "backends", "web"])?;
        let ping = cluster.pod("asker")?.ping(&Ping::new(address(&cluster, Family::V6, ECHO)?))?;

        for agent in cluster.agents() {
            agent.kill()?;
        }
        cluster.lab().manifests().remove("removed.yaml")?;
        cluster.lab().manifests().set_ready("grown-2", true)?;
        let node = &cluster.lab().nodes()[0];
        assert_eq!(names(node)?, ["grown", "removed", "web"], "nobody is there to change anything");
        assert_eq!(endpoints(node, "grown")?, first);
        for agent in cluster.agents() {
            agent.restart()?;
        }
        let node = &cluster.lab().nodes()[0];
        assert_eq!(names(node)?, ["grown", "web"], "{socket_lb}");
        assert_eq!(endpoints(node, "grown")?.len(), 4, "{socket_lb}");
        assert_eq!(json(node, &["get", "backends", "web"])?, kept, "{socket_lb}");
        let report = ping.stop()?;
        assert!(report.failures.is_empty(), "{socket_lb}: {report:?}");
    }
    Ok(())
}

#[test]
fn socket_lb_can_be_changed_by_a_restart() -> Result<()> {
    let (mut cluster, _servers) = cluster(SocketLb::On)?;
    cluster.agents()[0].kill()?;
    for socket_lb in [SocketLb::Off, SocketLb::On, SocketLb::Host] {
        let node = cluster.lab().node("node1")?;
        let mut agent = Agent::start(cluster.lab(), node, &socket_lb.into())?;
        let sockets = attached(node)?.into_keys().filter(|hook| hook.starts_with("cgroup ")).count();
        assert_eq!(sockets, if socket_lb == SocketLb::Off { 0 } else { 8 }, "{socket_lb}");
        for family in Family::BOTH {
            for host in [&**cluster.pod("asker")?, &**node] {
                host.http_get(address(&cluster, family, 80)?)?;
            }
        }
        agent.kill()?;
    }
    Ok(())
}

#[test]
fn s5_7_affinity_outlives_agents_that_are_killed() -> Result<()> {
    let (mut cluster, _servers) = cluster(SocketLb::On)?;
    let mut sticky = service("sticky", 11, &http());
    sticky["spec"]["selector"]["app"] = "web".into();
    sticky["spec"]["sessionAffinity"] = "ClientIP".into();
    cluster.lab().manifests().write("sticky.yaml", &file(&[sticky]))?;
    let node = &cluster.lab().nodes()[0];
    crate::support::eventually("endpoints of sticky", &4, || Ok(endpoints(node, "sticky")?.len()))?;
    let mut answered = Family::BOTH.map(|_| BTreeSet::new());
    for _ in 0..ROUNDS {
        for (family, answered) in Family::BOTH.into_iter().zip(&mut answered) {
            answered.insert(cluster.pod("asker")?.http_get(cluster.cluster_ip("sticky", family)?)?.pod);
        }
        cluster.agents()[0].kill()?;
        cluster.agents()[0].restart()?;
    }
    assert_eq!(answered.each_ref().map(BTreeSet::len), [1, 1], "{answered:?}");
    Ok(())
}

/// Two web servers that also echo, a client, and one Service before them.
fn cluster(socket_lb: SocketLb) -> Result<(Cluster, Vec<Process>)> {
    let lab = Lab::builder().build()?;
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": HTTP},
        {"name": "dns", "port": 53, "targetPort": UDP, "protocol": "UDP"},
        {"name": "echo", "port": ECHO, "targetPort": ECHO},
    ]);
    let web = on_nodes(service("web", 10, &ports), &[30080, 30053, ECHO_NODE_PORT]);
    let objects = [web, pod("web-1", "web", 1, 10), pod("web-2", "web", 2, 10), client("asker", 1, 20)];
    lab.manifests().write("web.yaml", &file(&objects))?;
    let cluster = Cluster::start(lab, socket_lb)?;
    let echo = |name: &str| {
        Ok(cluster.pod(name)?.serve(&Serve { name: name.into(), echo: vec![ECHO], ..Serve::default() })?)
    };
    let servers = ["web-1", "web-2"].map(echo).into_iter().collect::<Result<_>>()?;
    Ok((cluster, servers))
}

/// A port of the Service `web` at its cluster address.
fn address(cluster: &Cluster, family: Family, port: u16) -> Result<std::net::SocketAddr> {
    let mut address = cluster.cluster_ip("web", family)?;
    address.set_port(port);
    Ok(address)
}

fn kernel(node: &Node) -> Result<Kernel> {
    status(node)?.kernel()
}

fn drops(cluster: &Cluster) -> Result<Vec<Vec<Drops>>> {
    cluster.lab().nodes().iter().map(|node| Ok(kernel(node)?.drops)).collect()
}

fn links_of_both(cluster: &Cluster) -> Result<Vec<BTreeMap<String, u32>>> {
    let links = |node| Ok(kernel(node)?.links.into_iter().map(|link| (link.name, link.id)).collect());
    cluster.lab().nodes().iter().map(links).collect()
}

/// Every link is the same and runs another program.
fn assert_replaced(before: &Kernel, after: &Kernel) {
    let (before, after) = (before.numbers(), after.numbers());
    assert!(!before.is_empty());
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for ((name, (link, program)), (link_now, program_now)) in before.into_iter().zip(after.into_values()) {
        assert_eq!(link_now, link, "{name}: another link");
        assert_ne!(program_now, program, "{name}: the dead agent's program");
    }
}

/// At each hook one program, that of a pinned link.
fn assert_one_program_a_hook(node: &Node) -> Result<()> {
    let hooks = attached(node)?;
    assert!(hooks.values().all(|programs| programs.len() == 1), "{hooks:?}");
    let mut attached: Vec<_> = hooks.into_values().flatten().collect();
    let mut pinned: Vec<_> = kernel(node)?.links.into_iter().map(|link| link.program_id).collect();
    attached.sort_unstable();
    pinned.sort_unstable();
    assert_eq!(attached, pinned);
    Ok(())
}

/// Names of the Services in a node's tables.
fn names(node: &Node) -> Result<Vec<String>> {
    let list = json(node, &["get", "endpoints"])?;
    let names = list["items"].as_array().into_iter().flatten().filter_map(|item| item["name"].as_str());
    Ok(names.map(ToOwned::to_owned).collect())
}
