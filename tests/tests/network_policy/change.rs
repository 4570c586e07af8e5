//! Policies that change while traffic runs.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use lab::traffic::Reached::{Silence, Yes};
use lab::traffic::{Ask, Ping, Serve};
use lab::{Cluster, Family, eventually};
use serde_yaml_ng::Value;

use crate::scene::Transport::Tcp;
use crate::scene::{at, by_programs, everywhere, expect, put};

/// A port of an echo server beside the pods' own.
const ECHO: u16 = 7;
/// Changes while connections run.
const CHANGES: u16 = 40;

fn set_port(cluster: &Cluster, port: u16) -> Result<()> {
    Ok(cluster.lab().manifests().edit("NetworkPolicy", "only-nginx-1", |policy| {
        policy["spec"]["ingress"][0]["ports"][0]["port"] = port.into();
        Some(())
    })?)
}

/// Rules don't: they let connections pass that are established.
#[test]
fn running_connection_obeys_a_changed_policy_and_resumes_when_it_is_taken_back() -> Result<()> {
    by_programs(&["cluster.yaml", "only-nginx-1.yaml"], |cluster| {
        let _echo = cluster.pod("nginx-2")?.serve(&Serve { echo: vec![ECHO], ..Serve::default() })?;
        set_port(cluster, ECHO)?;
        expect(cluster, &[("nginx-1", "nginx-2", ECHO, Tcp, Yes), ("nginx-1", "nginx-2", 80, Tcp, Silence)])?;
        for family in Family::BOTH {
            let to = at(cluster, "nginx-2", family, ECHO)?;
            let running = cluster.pod("nginx-1")?.ping(&Ping::new(to))?;
            set_port(cluster, 80)?;
            expect(cluster, &[("nginx-1", "nginx-2", 80, Tcp, Yes), ("nginx-1", "nginx-2", ECHO, Tcp, Silence)])?;
            let before = received(cluster)?;
            sleep(Duration::from_millis(600));
            // What is sent again and again arrives no more; nothing else talks to the pod now.
            ensure!(received(cluster)? == before, "segments still arrive under a policy that denies them");
            set_port(cluster, ECHO)?;
            expect(cluster, &[("nginx-1", "nginx-2", ECHO, Tcp, Yes)])?;
            let resumed = || anyhow::Ok(received_or_zero(cluster) > before + 20);
            eventually("the connection goes on", &true, resumed)?;
            let report = running.stop()?;
            ensure!(report.failures.is_empty(), "{report:?}");
        }
        Ok(())
    })
}

/// TCP segments that nginx-2 ever got.
fn received(cluster: &Cluster) -> Result<u64> {
    Ok(cluster.pod("nginx-2")?.counter("Tcp", "InSegs")?)
}

fn received_or_zero(cluster: &Cluster) -> u64 {
    received(cluster).unwrap_or(0)
}

#[test]
fn what_stays_allowed_is_not_disturbed_by_any_change() -> Result<()> {
    everywhere(&["cluster.yaml", "only-nginx-1.yaml"], |cluster| {
        let _echo = cluster.pod("nginx-2")?.serve(&Serve { echo: vec![ECHO], ..Serve::default() })?;
        add_port(cluster, ECHO)?;
        expect(cluster, &[("nginx-1", "nginx-2", ECHO, Tcp, Yes)])?;
        let nginx_1 = cluster.pod("nginx-1")?;
        let mut connections = Vec::new();
        let mut loads = Vec::new();
        for family in Family::BOTH {
            connections.push(nginx_1.ping(&Ping::new(at(cluster, "nginx-2", family, ECHO)?).connections(4))?);
            let every = Duration::from_millis(10);
            loads.push(nginx_1.http_load(&Ask::new(at(cluster, "nginx-2", family, 80)?).every(every))?);
            loads.push(nginx_1.http_load(&Ask::new(cluster.cluster_ip("nginx-2", family)?).every(every))?);
        }
        for number in 0..CHANGES {
            change(cluster, number)?;
            sleep(Duration::from_millis(60));
        }
        for connection in connections {
            let report = connection.stop()?;
            ensure!(report.failures.is_empty(), "{report:?}");
        }
        for load in loads {
            let failed: Vec<_> = load.stop()?.into_iter().filter_map(Result::err).collect();
            ensure!(failed.is_empty(), "{} requests failed, such as {}", failed.len(), failed[0]);
        }
        Ok(())
    })
}

/// Lets nginx-1 use another port of nginx-2 as well.
fn add_port(cluster: &Cluster, port: u16) -> Result<()> {
    Ok(cluster.lab().manifests().edit("NetworkPolicy", "only-nginx-1", |policy| {
        let ports = policy["spec"]["ingress"][0]["ports"].as_sequence_mut()?;
        let mut added = ports[0].clone();
        added["port"] = port.into();
        ports.push(added);
        Some(())
    })?)
}

/// Changes of every kind, none of which denies what the test does.
fn change(cluster: &Cluster, number: u16) -> Result<()> {
    let manifests = cluster.lab().manifests();
    match number % 5 {
        0 => add_port(cluster, 1_000 + number),
        1 => Ok(manifests.edit("Pod", "nginx-1", |pod| {
            pod["metadata"]["labels"]["change"] = format!("c{number}").into();
            Some(())
        })?),
        2 => Ok(manifests.edit("Namespace", "web", |namespace| {
            namespace["metadata"]["labels"]["change"] = format!("c{number}").into();
            Some(())
        })?),
        3 => put(cluster.lab(), "by-cidr.yaml"),
        _ => Ok(manifests.remove("by-cidr.yaml")?),
    }
}

#[test]
fn connection_older_than_the_policy_goes_on_if_the_policy_allows_it() -> Result<()> {
    everywhere(&["cluster.yaml"], |cluster| {
        let nginx_2 = cluster.pod("nginx-2")?;
        let _echo = nginx_2.serve(&Serve { echo: vec![ECHO], ..Serve::default() })?;
        let mut connections = Vec::new();
        for family in Family::BOTH {
            // nginx-2 is the server of the first and, once the policy isolates it, may not be reached; it is the client of
            // the second, whose replies must go on to reach it.
            connections.push((cluster.pod("monitor")?.ping(&Ping::new(at(cluster, "nginx-2", family, ECHO)?))?, false));
        }
        let _other = cluster.pod("nginx-3")?.serve(&Serve { echo: vec![ECHO], ..Serve::default() })?;
        for family in Family::BOTH {
            connections.push((nginx_2.ping(&Ping::new(at(cluster, "nginx-3", family, ECHO)?))?, true));
        }
        put(cluster.lab(), "only-nginx-1.yaml")?;
        expect(cluster, &[("nginx-1", "nginx-2", 80, Tcp, Yes), ("monitor", "nginx-2", 80, Tcp, Silence)])?;
        let before = received(cluster)?;
        let goes_on = || anyhow::Ok(received_or_zero(cluster) > before + 50);
        eventually("replies go on", &true, goes_on)?;
        // The denied ones wait in vain until the policy goes.
        cluster.lab().manifests().remove("only-nginx-1.yaml")?;
        for (connection, was_allowed) in connections {
            let report = connection.stop()?;
            ensure!(!was_allowed || report.failures.is_empty(), "{report:?}");
        }
        Ok(())
    })
}

#[test]
fn label_of_a_pod_opens_and_closes() -> Result<()> {
    everywhere(&["cluster.yaml", "only-nginx-1.yaml"], |cluster| {
        expect(cluster, &[("nginx-3", "nginx-2", 80, Tcp, Silence), ("nginx-1", "nginx-2", 80, Tcp, Yes)])?;
        relabel(cluster, "nginx-3", "nginx-1")?;
        expect(cluster, &[("nginx-3", "nginx-2", 80, Tcp, Yes)])?;
        relabel(cluster, "nginx-3", "nginx-3")?;
        expect(cluster, &[("nginx-3", "nginx-2", 80, Tcp, Silence), ("nginx-1", "nginx-2", 80, Tcp, Yes)])
    })
}

fn relabel(cluster: &Cluster, pod: &str, app: &str) -> Result<()> {
    Ok(cluster.lab().manifests().edit("Pod", pod, |object| {
        object["metadata"]["labels"]["app"] = Value::from(app);
        Some(())
    })?)
}
