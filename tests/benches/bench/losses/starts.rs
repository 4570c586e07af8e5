//! Pods that start under default deny, under fire.

use std::path::Path;

use anyhow::{Context as _, Result};
use lab::figures::Mode;
use lab::losses::{Starts, starts};
use lab::{Cluster, Host, Lab};

use super::Lost;
use crate::plan::Plan;
use crate::sluice::options;

/// Pods that start, and with `--quick`.
const PODS: u16 = 1_000;
const FEW: u16 = 50;
/// The example whose namespace `web` denies everything.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/network-policy");

/// Packets that a pod saw before its policy.
pub(super) fn cause(plan: &Plan, mode: Mode) -> Result<Lost> {
    let lab = Lab::builder().build()?;
    for file in ["cluster.yaml", "default-deny.yaml"] {
        let path = Path::new(EXAMPLE).join(file);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        lab.manifests().write(file, &text)?;
    }
    let options = options(mode).with_context(|| format!("{mode} is none of Sluice's modes"))?;
    let cluster = Cluster::start(lab, options)?;
    // From pods of the node, through their own interfaces, and from one of another, through the uplink.
    let clients: [&Host; 3] = [cluster.pod("nginx-1")?, cluster.pod("monitor")?, cluster.pod("coredns")?];
    let Starts { pods, sent, leaks } = starts(cluster.lab(), "web", &clients, if plan.quick { FEW } else { PODS })?;
    Ok(Lost { lost: leaks.values().sum(), of: format!("{sent} sent while {pods} pods started") })
}
