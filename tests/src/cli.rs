//! The `sluice` command line, as an administrator of a node types it.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Doing, Error, Result};
use crate::host::Host;
use crate::netns;
use crate::process::Process;
use crate::programs;
use crate::wait::patient;

/// How long a command may take until it is ended with exit code 124.
const LIMIT: Duration = Duration::from_secs(30);

impl Host {
    /// Runs `sluice` to its end, whatever that is. On a node, commands look at the tables of the node's own agent.
    pub fn sluice(&self, arguments: &[&str]) -> Result<Output> {
        self.sluice_under(&[], arguments)
    }

    /// The same through another command that runs it, such as `setpriv`.
    pub fn sluice_under(&self, wrapper: &[&str], arguments: &[&str]) -> Result<Output> {
        let mut command = self.command("timeout")?;
        command
            .arg(patient(LIMIT).as_secs().to_string())
            .args(wrapper)
            .arg(programs::sluice()?)
            .args(arguments)
            .stdin(Stdio::null());
        if let Some(bpffs) = self.bpffs() {
            command.env("SLUICE_BPFFS", bpffs);
        }
        command.output().doing(|| format!("run `sluice {}` on {self}", arguments.join(" ")))
    }

    /// Starts a `sluice` command that runs until the returned handle is dropped; its output goes to a log.
    pub fn spawn_sluice(&self, arguments: &[&str]) -> Result<Process> {
        let mut command = self.command(programs::sluice()?)?;
        command.args(arguments);
        if let Some(bpffs) = self.bpffs() {
            command.env("SLUICE_BPFFS", bpffs);
        }
        Process::start(self, arguments.first().unwrap_or(&"sluice"), command)
    }

    /// The endpoints of a Service in one of the sets that a node's tables have, of all its ports and families; none of a
    /// Service that isn't served.
    pub fn backends(&self, service: &str, set: EndpointSet) -> Result<BTreeSet<SocketAddr>> {
        let arguments = ["get", "backends", "-o", "json"];
        let command = || format!("sluice {}", arguments.join(" "));
        let output = self.sluice(&arguments)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Command {
                command: command(),
                place: netns::place(&self.netns()),
                status: output.status,
                stderr,
            });
        }
        let list: BackendList = serde_json::from_slice(&output.stdout)
            .map_err(io::Error::from)
            .doing(|| format!("read what `{}` printed", command()))?;
        Ok(list
            .items
            .into_iter()
            .filter(|backend| backend.name == service && backend.set == set)
            .map(|backend| backend.address)
            .collect())
    }
}

/// A set of endpoints that a Service port chooses from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub enum EndpointSet {
    /// Those of the cluster.
    Cluster,
    /// Those of the node.
    Local,
}

#[derive(Deserialize)]
struct BackendList {
    items: Vec<Backend>,
}

#[derive(Deserialize)]
struct Backend {
    name: String,
    set: EndpointSet,
    address: SocketAddr,
}
