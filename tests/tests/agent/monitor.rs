//! `sluice monitor` on real drops.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lab::traffic::Ask;
use lab::{Cluster, Family, Lab, Node, Process, SocketLb};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

use crate::support::objects::{HTTP, client, file, pod, service};
use crate::support::policies::only;
use crate::support::{LIMIT, eventually, stderr, stdout};

const AT_ONCE: Duration = Duration::from_millis(500);

/// A pod, and a Service in another namespace that nobody serves.
fn cluster() -> Result<Cluster> {
    let lab = Lab::builder().nodes(1).build()?;
    let mut idle =
        service("idle", 12, &json!([{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]));
    idle["metadata"]["namespace"] = "quiet".into();
    lab.manifests().write("objects.yaml", &file(&[idle, client("asker", 1, 20), client("other", 1, 21)]))?;
    Ok(Cluster::start(lab, SocketLb::Off)?)
}

/// Somebody who listens, until this is dropped.
struct Monitor(Process);

impl Monitor {
    fn start(node: &Node, arguments: &[&str]) -> Result<Self> {
        Ok(Self(node.spawn_sluice(&[&["monitor"], arguments].concat())?))
    }

    /// What it has printed, of lines that are complete.
    fn lines(&self) -> Vec<String> {
        let log = self.0.log();
        log.rsplit_once('\n').map_or("", |(lines, _)| lines).lines().map(ToOwned::to_owned).collect()
    }

    fn verdicts(&self) -> Result<Vec<Value>> {
        self.lines().iter().map(|line| serde_json::from_str(line).with_context(|| line.clone())).collect()
    }

    /// Has `cause` come about until a line is printed.
    fn wait(&self, mut cause: impl FnMut() -> Result<()>) -> Result<()> {
        let started = Instant::now();
        while self.lines().is_empty() {
            ensure!(started.elapsed() < LIMIT, "nothing was printed");
            cause()?;
        }
        Ok(())
    }
}

fn refused(cluster: &Cluster, pod: &str, to: SocketAddr) -> Result<()> {
    let error = cluster.pod(pod)?.http(&Ask::new(to).timeout(AT_ONCE)).err().context("it answered")?;
    ensure!(error.errno() == Some("ECONNREFUSED"), "{error}");
    Ok(())
}

/// Does it on each CPU that this process may use; returns how many there are.
fn on_each_cpu(mut work: impl FnMut() -> io::Result<()>) -> io::Result<u64> {
    let all = sched_getaffinity(None)?;
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).collect();
    for cpu in &cpus {
        let mut only = CpuSet::new();
        only.set(*cpu);
        sched_setaffinity(None, &only)?;
        work()?;
    }
    Ok(cpus.len() as u64)
}

fn send(to: SocketAddr, datagrams: u64) -> io::Result<()> {
    // Unconnected, so that no refusal comes back between two datagrams.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    (0..datagrams).try_for_each(|_| socket.send_to(b"x", to).map(drop))
}

#[test]
fn a_drop_is_shown_with_the_names_of_pod_service_and_reason() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    for family in Family::BOTH {
        let (to, from) = (cluster.cluster_ip("idle", family)?, cluster.pod("asker")?.addresses().of(family));
        let (json, text) = (Monitor::start(node, &["-o", "json"])?, Monitor::start(node, &["--drops"])?);
        json.wait(|| refused(&cluster, "asker", to))?;
        text.wait(|| refused(&cluster, "asker", to))?;
        let verdict = &json.verdicts()?[0];
        assert_eq!((&verdict["verdict"], &verdict["reason"]), (&"Drop".into(), &"NoEndpoints".into()), "{verdict}");
        assert_eq!(verdict["message"], "no endpoint of the Service is ready", "{verdict}");
        let source = &verdict["source"];
        assert_eq!(
            (&source["pod"]["name"], &source["address"]),
            (&"asker".into(), &from.to_string().into()),
            "{verdict}"
        );
        assert_eq!(verdict["destination"], json!({"address": to.ip().to_string(), "port": 80}), "{verdict}");
        let service = &verdict["service"];
        assert_eq!(
            (&service["namespace"], &service["name"], &service["portName"]),
            (&"quiet".into(), &"idle".into(), &"http".into())
        );
        assert_eq!((&verdict["protocol"], &verdict["tcpFlags"]), (&"TCP".into(), &json!(["SYN"])), "{verdict}");
        let interface = verdict["interface"].as_str().context("no interface")?;
        assert!(node.run(&["ip", "link"])?.contains(interface), "{interface}");
        let time: jiff::Timestamp = verdict["time"].as_str().context("no time")?.parse()?;
        assert!(time.duration_until(jiff::Timestamp::now()).abs() < jiff::SignedDuration::from_secs(60), "{time}");
        let line = &text.lines()[0];
        let said = format!(
            " DROP NoEndpoints default/asker ({}:",
            if family == Family::V6 { format!("[{from}]") } else { from.to_string() }
        );
        assert!(line.contains(&said) && line.contains("(Service quiet/idle:http) TCP SYN on "), "{line}");
    }
    Ok(())
}

/// A web server, `asker` that its policy lets in, and `stranger` that it doesn't.
fn policed_cluster() -> Result<Cluster> {
    let lab = Lab::builder().nodes(1).build()?;
    let mut stranger = client("stranger", 1, 21);
    stranger["metadata"]["labels"]["app"] = "stranger".into();
    let pods = [pod("web-1", "web", 1, 10), client("asker", 1, 20), stranger];
    lab.manifests().write("pods.yaml", &file(&pods))?;
    lab.manifests().write("policy.yaml", &file(&[only("web", "web", "client", HTTP)]))?;
    Ok(Cluster::start(lab, SocketLb::On)?)
}

/// What is shown first of a pod's requests to `web-1`, and what `explain` says of them.
fn shown_and_explained(cluster: &Cluster, pod: &str, family: Family, only: &[&str]) -> Result<[Value; 2]> {
    let node = cluster.lab().node("node1")?;
    let to = SocketAddr::new(cluster.pod("web-1")?.addresses().of(family), HTTP);
    let monitor = Monitor::start(node, &[&["-o", "json", "--pod", pod], only].concat())?;
    monitor.wait(|| {
        // Answered or not, by which of the verdicts that are asked for it is.
        drop(cluster.pod(pod)?.http(&Ask::new(to).timeout(AT_ONCE)));
        Ok(())
    })?;
    let (ip, port) = (to.ip().to_string(), HTTP.to_string());
    let output = node.sluice(&["explain", "--from", pod, "--to", &ip, "--port", &port, "-o", "json"])?;
    let explained: Value = serde_json::from_str(&stdout(&output)).with_context(|| stderr(&output))?;
    Ok([monitor.verdicts()?.swap_remove(0), explained["policy"][0].clone()])
}

#[test]
fn what_policies_deny_allow_and_audit_is_shown_as_it_is_explained() -> Result<()> {
    let cluster = policed_cluster()?;
    let web = json!({"namespace": "default", "policy": "web"});
    let rule = json!({"namespace": "default", "policy": "web", "rule": "ingress[0]"});
    for family in Family::BOTH {
        let [shown, explained] = shown_and_explained(&cluster, "stranger", family, &["--drops"])?;
        assert_eq!((&shown["verdict"], &shown["reason"]), (&"Drop".into(), &"PolicyIngress".into()), "{shown}");
        assert_eq!((&shown["isolatedBy"], shown.get("ingressRule")), (&json!([web]), None), "{shown}");
        assert_eq!(shown["destination"]["pod"]["name"], "web-1", "{shown}");
        assert_eq!((&explained["verdict"], &explained["reason"]), (&"Denied".into(), &"PolicyIngress".into()));
        assert_eq!(explained["message"], shown["message"]);

        let [shown, explained] = shown_and_explained(&cluster, "asker", family, &["--policy", "web"])?;
        assert_eq!((&shown["verdict"], shown.get("reason")), (&"Allow".into(), None), "{shown}");
        assert_eq!((&shown["ingressRule"], shown.get("isolatedBy")), (&rule, None), "{shown}");
        assert_eq!(
            (&explained["verdict"], &explained["ingress"]["rule"]["rule"]),
            (&"Allowed".into(), &"ingress[0]".into())
        );
    }
    cluster.lab().manifests().edit("NetworkPolicy", "web", |policy| {
        policy["metadata"]["annotations"] =
            serde_yaml_ng::Value::Mapping([("sluice.io/policy-mode".into(), "audit".into())].into_iter().collect());
        Some(())
    })?;
    for family in Family::BOTH {
        let [shown, explained] = shown_and_explained(&cluster, "stranger", family, &["--audit"])?;
        assert_eq!((&shown["verdict"], &shown["reason"]), (&"Audit".into(), &"PolicyIngress".into()), "{shown}");
        assert_eq!(shown["isolatedBy"], json!([web]), "{shown}");
        assert_eq!((&explained["verdict"], &explained["ingress"]["audit"]), (&"Audited".into(), &true.into()));
    }
    Ok(())
}

#[test]
fn what_no_rule_had_to_allow_is_not_shown() -> Result<()> {
    let cluster = policed_cluster()?;
    let node = cluster.lab().node("node1")?;
    let monitor = Monitor::start(node, &["-o", "json"])?;
    let web = SocketAddr::new(cluster.pod("web-1")?.addresses().v4.into(), HTTP);
    monitor.wait(|| {
        node.http(&Ask::new(web))?;
        cluster.pod("asker")?.http(&Ask::new(web))?;
        Ok(())
    })?;
    let asker = json!({"namespace": "default", "name": "asker"});
    for verdict in monitor.verdicts()? {
        assert_eq!(verdict["source"]["pod"], asker, "a probe's reply: {verdict}");
    }
    Ok(())
}

#[test]
fn only_what_was_asked_for_is_shown() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    let to = cluster.cluster_ip("idle", Family::V4)?;
    let others = [&["--audit"][..], &["--pod", "quiet/asker"], &["--policy", "deny-all"], &["--pod", "10.96.0.13"]];
    let others = others.map(|arguments| Monitor::start(node, arguments)).into_iter().collect::<Result<Vec<_>>>()?;
    let wanted = Monitor::start(node, &["--drops", "--pod", "default/other", "-o", "json"])?;
    let by_address = Monitor::start(node, &["--pod", "10.96.0.12"])?;
    let both = || {
        refused(&cluster, "asker", to)?;
        refused(&cluster, "other", to)
    };
    by_address.wait(both)?;
    wanted.wait(both)?;
    both()?;
    for verdict in wanted.verdicts()? {
        assert_eq!(verdict["source"]["pod"], json!({"namespace": "default", "name": "other"}), "{verdict}");
    }
    assert!(
        others.iter().all(|other| other.lines().is_empty()),
        "{:?}",
        others.iter().map(Monitor::lines).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn a_flood_is_shown_or_counted_and_what_comes_after_it_is_shown() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    let to = SocketAddr::new(cluster.cluster_ip("idle", Family::V4)?.ip(), 53);
    let monitor = Monitor::start(node, &["-o", "json"])?;
    let asker = cluster.pod("asker")?;
    let sent = Cell::new(0);
    let flood = |datagrams: u64| -> Result<()> {
        let cpus = asker.inside(|| on_each_cpu(|| send(to, datagrams)))??;
        sent.set(sent.get() + cpus * datagrams);
        Ok(())
    };
    monitor.wait(|| flood(1))?;
    flood(10_000)?;
    // What a CPU left out it tells with the next that it doesn't.
    eventually("nine tenths of a flood are shown or counted", &true, || {
        flood(10)?;
        let lines = monitor.verdicts()?;
        let told: u64 = lines.iter().map(|line| line["notShown"].as_u64().unwrap_or(1)).sum();
        Ok(told >= sent.get() / 10 * 9)
    })?;
    // After it, all is as before.
    let http = cluster.cluster_ip("idle", Family::V4)?;
    eventually("a single drop is shown again", &true, || {
        refused(&cluster, "asker", http)?;
        Ok(monitor.verdicts()?.iter().any(|verdict| verdict["destination"]["port"] == 80))
    })?;
    Ok(())
}

#[test]
fn without_an_agent_it_says_so_and_when_the_agent_ends_it_ends() -> Result<()> {
    let mut cluster = cluster()?;
    let to = cluster.cluster_ip("idle", Family::V4)?;
    let mut monitors = Vec::new();
    for restarted in [false, true] {
        let monitor = Monitor::start(cluster.lab().node("node1")?, &[])?;
        monitor.wait(|| refused(&cluster, "asker", to))?;
        monitors.push(monitor);
        if !restarted {
            // What a killed agent leaves is no hindrance to the next.
            cluster.agents()[0].kill()?;
            cluster.agents()[0].restart()?;
        }
    }
    cluster.agents()[0].terminate()?;
    for mut monitor in monitors {
        assert_eq!(monitor.0.wait(LIMIT)?.code(), Some(1));
        assert!(monitor.0.log().contains("error: the agent has ended"), "{}", monitor.0.log());
    }
    let output = cluster.lab().node("node1")?.sluice(&["monitor"])?;
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    assert!(stderr(&output).starts_with("error: no agent runs for "), "{}", stderr(&output));
    Ok(())
}

#[test]
fn it_ends_with_whoever_reads_it_though_nothing_happens() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    let reader_goes = ["sh", "-c", "\"$@\" | true", "sh"];
    let output = node.sluice_under(&reader_goes, &["monitor", "--audit"])?;
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    Ok(())
}
