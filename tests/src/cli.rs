//! The `sluice` command line, as an administrator of a node types it.

use std::process::{Output, Stdio};

use crate::error::{Doing, Result};
use crate::host::Host;
use crate::programs;

/// How long a command may take until it is ended with exit code 124, in seconds.
const LIMIT: &str = "30";

impl Host {
    /// Runs `sluice` to its end, whatever that is. On a node, commands look at the tables of the node's own agent.
    pub fn sluice(&self, arguments: &[&str]) -> Result<Output> {
        self.sluice_under(&[], arguments)
    }

    /// The same through another command that runs it, such as `setpriv`.
    pub fn sluice_under(&self, wrapper: &[&str], arguments: &[&str]) -> Result<Output> {
        let mut command = self.command("timeout")?;
        command.arg(LIMIT).args(wrapper).arg(programs::sluice()?).args(arguments).stdin(Stdio::null());
        if let Some(bpffs) = self.bpffs() {
            command.env("SLUICE_BPFFS", bpffs);
        }
        command.output().doing(|| format!("run `sluice {}` on {self}", arguments.join(" ")))
    }
}
