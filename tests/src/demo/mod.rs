//! The demonstration: the Kubernetes tutorial "Using Source IP" on a lab of two nodes, with real requests.

mod case;
mod expect;
mod row;
mod table;

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use row::{Row, Seen};
pub use table::table;

use self::case::Case;
use crate::agent::{AgentOptions, Mode, SocketLb};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::id::LabId;
use crate::lab::Lab;
use crate::options::Attachment;

/// How long a change of a manifest may take to show in the traffic, before the rows are judged as they are.
const CHANGE_LIMIT: Duration = Duration::from_secs(5);
/// Pause between looks for a change.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What to demonstrate.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Directory of the manifests: Nodes, Pods and Services. It is copied; nothing is written there.
    pub manifests: PathBuf,
    /// How pods are attached.
    pub attachment: Attachment,
    /// Programs or rules.
    pub mode: Mode,
    /// Where programs translate Services.
    pub socket_lb: SocketLb,
    /// Whether the lab stays up afterwards.
    pub keep: bool,
}

/// What came of it.
pub struct Outcome {
    /// One for each Service, client and target, in the order of the requests.
    pub rows: Vec<Row>,
    /// The lab, when it stays up.
    pub kept: Option<LabId>,
}

impl Demo {
    /// Builds the lab, sends the requests, takes it down. `progress` is told each step before it begins.
    pub fn run(&self, progress: impl Fn(&str)) -> Result<Outcome> {
        progress("Building the lab: node1 and node2, a router, a client outside");
        let lab = Lab::builder().attachment(self.attachment).build()?;
        lab.manifests().copy_from(&self.manifests)?;
        progress("Starting the pods of the manifests");
        let mut cluster = Cluster::without_agents(lab)?;
        progress("Starting the agents on node1 and node2");
        cluster.start_agents(&AgentOptions { mode: self.mode, ..self.socket_lb.into() })?;
        let rows = requests(&cluster, &progress)?;
        let kept = self.keep.then(|| cluster.lab().id());
        if self.keep {
            cluster.keep()?;
        } else {
            progress("Removing the lab");
        }
        Ok(Outcome { rows, kept })
    }
}

fn requests(cluster: &Cluster, progress: &impl Fn(&str)) -> Result<Vec<Row>> {
    let cases = Case::all(cluster)?;
    let pod = pod_to_flip(cluster)?;
    progress("Sending requests to every Service");
    let mut rows = check(cluster, &cases, "all pods ready")?;
    for (ready, step, traffic) in
        [(false, format!("{pod} not ready"), "leaves"), (true, format!("{pod} ready again"), "returns to")]
    {
        progress(&format!("Setting the Ready condition of {pod} to {ready} in its manifest"));
        cluster.lab().manifests().set_ready(&pod, ready)?;
        let changed = Instant::now();
        if follow(cluster, &cases, &step)? {
            progress(&format!("Traffic {traffic} {pod}, seen after {} ms", changed.elapsed().as_millis()));
        }
        rows.extend(check(cluster, &cases, &step)?);
    }
    Ok(rows)
}

/// The first Pod, by name, that a Service selects.
fn pod_to_flip(cluster: &Cluster) -> Result<String> {
    let manifests = cluster.lab().manifests();
    let services = manifests.services()?;
    let pods = manifests.pods()?;
    let selected = pods.iter().filter(|pod| services.iter().any(|service| service.selects(pod)));
    selected.map(|pod| pod.name().to_owned()).min().ok_or_else(|| Error::Unknown {
        what: "Pod",
        name: "of a Service".into(),
        have: "is none that a Service selects".into(),
    })
}

fn check(cluster: &Cluster, cases: &[Case], step: &str) -> Result<Vec<Row>> {
    cases.iter().map(|case| case.check(cluster, step)).collect()
}

/// Waits until traffic to the first Service is as the manifests now want it; whether it came to that. Each of the cases
/// of one Service and family sees another node's agent, and neither agent is told when the other is done.
fn follow(cluster: &Cluster, cases: &[Case], step: &str) -> Result<bool> {
    let of_first = |case: &&Case| case.service.name() == cases[0].service.name() && case.family == cases[0].family;
    let mut waiting: Vec<_> = cases.iter().filter(of_first).collect();
    let deadline = Instant::now() + CHANGE_LIMIT;
    while Instant::now() < deadline {
        while let Some(case) = waiting.last() {
            if !case.check(cluster, step)?.pass {
                break;
            }
            waiting.pop();
        }
        if waiting.is_empty() {
            return Ok(true);
        }
        sleep(LOOK_EVERY);
    }
    Ok(false)
}
