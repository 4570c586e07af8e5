//! What the machine must have for the agent to work: privileges, mounts and kernel features, each with what is wrong
//! and how to mend it.
//!
//! Kernel features are tried, never concluded from a version: distributions add and remove them.

mod cni;
mod kernel;
mod memory;
mod mounted;
mod network;
mod privileges;
mod tools;

use std::path::PathBuf;

#[cfg(test)]
pub(crate) use self::kernel::load_for;
use serde::Serialize;

use crate::config::{Config, DataplaneMode, Mode, Picked, SocketLb};

/// What the checks are made for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needs {
    /// The dataplane that is asked for.
    pub mode: Mode,
    /// Directory for maps and links.
    pub bpffs: PathBuf,
    /// cgroup v2 directory to attach socket programs to; `None`: the mounted one.
    pub cgroup: Option<PathBuf>,
    /// Whether socket programs are wanted.
    pub socket_lb: SocketLb,
}

impl From<&Config> for Needs {
    fn from(config: &Config) -> Self {
        Self {
            mode: config.mode,
            bpffs: config.bpffs.clone(),
            cgroup: config.cgroup.clone(),
            socket_lb: config.socket_lb,
        }
    }
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// The agent works, and something won't work as well as it could.
    Warn,
    /// The agent can't work.
    Fail,
}

/// One thing looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// How to mend it, unless it is as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, found: found.into(), mend: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, mend: &'static str) -> Self {
        Self { name, outcome: Outcome::Warn, found: found.into(), mend: Some(mend) }
    }

    fn fail(name: &'static str, found: impl Into<String>, mend: &'static str) -> Self {
        Self { name, outcome: Outcome::Fail, found: found.into(), mend: Some(mend) }
    }
}

/// The agent can't work on this machine as it is.
#[derive(Debug, thiserror::Error)]
#[error("this machine lacks what the agent needs:\n{}", lines(.0))]
pub struct Unfit(Vec<Check>);

fn lines(failures: &[Check]) -> String {
    let line = |check: &Check| format!("  {}: {}; {}", check.name, check.found, check.mend.unwrap_or_default());
    failures.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Makes every check, and changes nothing. Without privileges the kernel's features can't be tried and aren't listed.
#[must_use]
pub fn preflight(needs: &Needs) -> Vec<Check> {
    let picked = pick(needs);
    let mut checks = vec![kernel::release()];
    checks.extend(picked.iter().map(|Picked { mode, reason }| Check::ok("mode", format!("{mode}: {reason}"))));
    checks.extend(privileges::checks());
    let privileged = privileges::are_held();
    checks.push(mounted::bpffs(&needs.bpffs));
    match mode(needs, picked.as_ref()) {
        DataplaneMode::Ebpf => checks.extend(of_programs(needs, privileged).into_iter().chain(kernel::settings())),
        DataplaneMode::Iptables => {
            checks.extend(privileged.then(kernel::tables));
            checks.push(tools::check());
        }
    }
    checks.push(memory::check());
    checks.extend(network::checks(mode(needs, picked.as_ref())));
    checks
}

/// What only programs need.
fn of_programs(needs: &Needs, privileged: bool) -> Vec<Check> {
    let features = privileged.then(|| kernel::features(needs.socket_lb));
    std::iter::once(mounted::cgroup(needs)).chain(features.into_iter().flatten()).collect()
}

fn mode(needs: &Needs, picked: Option<&Picked>) -> DataplaneMode {
    match needs.mode {
        Mode::Iptables => DataplaneMode::Iptables,
        Mode::Ebpf | Mode::Auto => picked.map_or(DataplaneMode::Ebpf, |picked| picked.mode),
    }
}

/// Programs, or rules where programs fail a check; `None` where the configuration leaves no choice. Changes nothing.
#[must_use]
pub fn pick(needs: &Needs) -> Option<Picked> {
    if needs.mode != Mode::Auto {
        return None;
    }
    let mut lacking = of_programs(needs, privileges::are_held());
    lacking.retain(|check| check.outcome == Outcome::Fail);
    let lacking: Vec<_> = lacking.iter().map(|check| format!("{}: {}", check.name, check.found)).collect();
    Some(if lacking.is_empty() {
        Picked { mode: DataplaneMode::Ebpf, reason: "this machine has all that programs need".into() }
    } else {
        Picked { mode: DataplaneMode::Iptables, reason: format!("programs can't serve here: {}", lacking.join("; ")) }
    })
}

/// Whether the plugin that attaches this node's pods can be served. The agent starts whatever this says: a sign may be all
/// that is left of a plugin, and the node's own traffic can be served under any.
#[must_use]
pub fn network_plugin() -> Check {
    cni::check()
}

/// Makes every check before the agent starts: what is only worth a warning is logged, what failed is the error.
pub fn require(needs: &Needs) -> Result<(), Unfit> {
    let checks = preflight(needs);
    let plugin = network_plugin();
    if plugin.outcome != Outcome::Ok {
        tracing::warn!(
            found = plugin.found,
            mend = plugin.mend,
            "the network plugin of this node's pods can't be served"
        );
    }
    for Check { name, found, mend, .. } in checks.iter().filter(|check| check.outcome == Outcome::Warn) {
        tracing::warn!(check = name, found, mend, "this machine could serve Services better");
    }
    let failures: Vec<_> = checks.into_iter().filter(|check| check.outcome == Outcome::Fail).collect();
    if failures.is_empty() { Ok(()) } else { Err(Unfit(failures)) }
}

#[cfg(test)]
mod tests;
