//! One pod takes the place of another, as a Deployment's rolling update has it.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use lab::{Cluster, eventually};

/// A connection request that was on its way when the tables changed has arrived after this.
const ON_THE_WAY: Duration = Duration::from_millis(100);

/// Waits until a pod that drains has no connection any more, then ends it: what a grace period is for.
pub(crate) fn end_when_drained(cluster: &mut Cluster, name: &str) -> Result<()> {
    sleep(ON_THE_WAY);
    let pod = cluster.pod(name)?;
    let established = || pod.run(&["ss", "-Htn", "state", "established"]);
    eventually(&format!("connections of {name}"), &String::new(), established)?;
    Ok(cluster.remove_pod(name)?)
}
