//! The pods of `examples/network-policy`, and who of them reaches whom.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::traffic::{Probe, Reached, Target};
use lab::{Cluster, Family, Host, Lab, Serving, eventually};

use crate::checksums;

/// How long silence is listened to: many times what an answer takes, less than it takes TCP to try again.
pub(crate) const SILENCE: Duration = Duration::from_millis(700);

/// Tells a story in every configuration, in a lab with these files of the example; the client outside knows the way to
/// the pods.
pub(crate) fn everywhere(files: &[&str], story: impl Fn(&mut Cluster) -> Result<()>) -> Result<()> {
    tell(Serving::all(), files, story)
}

/// The same where programs serve: for what rules don't do, each time with the reason.
pub(crate) fn by_programs(files: &[&str], story: impl Fn(&mut Cluster) -> Result<()>) -> Result<()> {
    tell(Serving::by_programs(), files, story)
}

fn tell(
    servings: impl Iterator<Item = Serving>,
    files: &[&str],
    story: impl Fn(&mut Cluster) -> Result<()>,
) -> Result<()> {
    for serving in servings {
        let tell = || {
            let lab = Lab::builder().attachment(serving.attachment).build()?;
            for file in files {
                put(&lab, file)?;
            }
            let mut cluster = Cluster::start(lab, serving)?;
            story(&mut cluster)?;
            checksums::were_right(&cluster)
        };
        // Shown when an assertion fails.
        println!("{serving}");
        tell().with_context(|| serving.to_string())?;
    }
    Ok(())
}

/// Puts a file of the example into a lab's manifests.
pub(crate) fn put(lab: &Lab, file: &str) -> Result<()> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/network-policy")).join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(lab.manifests().write(file, &text)?)
}

/// A port of a pod.
pub(crate) fn at(cluster: &Cluster, pod: &str, family: Family, port: u16) -> Result<SocketAddr> {
    Ok(SocketAddr::new(cluster.pod(pod)?.addresses().of(family), port))
}

/// What becomes of one TCP connection.
pub(crate) fn tcp(from: &Host, to: SocketAddr) -> Result<Reached> {
    one(from, Target { to, udp: false })
}

fn one(from: &Host, target: Target) -> Result<Reached> {
    Ok(from.probe(&Probe { targets: vec![target], timeout: SILENCE })?[0])
}

/// An expectation: from which host, to which pod's port over which protocol, and what comes of it.
pub(crate) type Row = (&'static str, &'static str, u16, Transport, Reached);

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Tcp,
    Udp,
}

/// Waits until all of the rows are true in both families, at the same time.
pub(crate) fn expect(cluster: &Cluster, rows: &[Row]) -> Result<()> {
    let expected: Vec<String> =
        Family::BOTH.into_iter().flat_map(|family| rows.iter().map(move |row| describe(family, row, row.4))).collect();
    let look = || -> Result<Vec<String>> {
        let mut seen = Vec::new();
        for family in Family::BOTH {
            seen.extend(look(cluster, family, rows)?);
        }
        Ok(seen)
    };
    eventually("who reaches whom", &expected, look)?;
    Ok(())
}

/// All at once: most of the time is spent listening to silence.
fn look(cluster: &Cluster, family: Family, rows: &[Row]) -> Result<Vec<String>> {
    thread::scope(|scope| {
        let tries: Vec<_> = rows.iter().map(|row| scope.spawn(move || try_row(cluster, family, row))).collect();
        tries.into_iter().map(|one| one.join().expect("a try doesn't panic")).collect()
    })
}

fn try_row(cluster: &Cluster, family: Family, row: &Row) -> Result<String> {
    let to = SocketAddr::new(address(cluster, row.1, family)?, row.2);
    let reached = one(host(cluster, row.0)?, Target { to, udp: row.3 == Transport::Udp })?;
    Ok(describe(family, row, reached))
}

fn describe(family: Family, row: &Row, reached: Reached) -> String {
    let (from, to, port, transport, _) = row;
    format!("{from} -> {to}:{port} {transport:?} {family}: {reached:?}")
}

/// A pod, a node, or the client outside, by name.
fn host<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a Host> {
    match name {
        "client" => Ok(cluster.lab().client()),
        node if node.starts_with("node") => Ok(cluster.lab().node(node)?),
        pod => Ok(cluster.pod(pod)?),
    }
}

/// Address of a pod, or cluster address of a Service with the prefix `svc/`.
fn address(cluster: &Cluster, name: &str, family: Family) -> Result<IpAddr> {
    match name.strip_prefix("svc/") {
        Some(service) => Ok(cluster.cluster_ip(service, family)?.ip()),
        None => Ok(cluster.pod(name)?.addresses().of(family)),
    }
}
