//! Batches of `ip` commands: one process does all of a namespace's, so a lab comes up in well under a second.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::error::{Doing, Error, Result};
use crate::netns;

/// Commands for `ip -batch`, without the word `ip`, or for another tool of iproute2 that takes them.
pub(crate) struct Batch {
    tool: &'static str,
    arguments: &'static [&'static str],
    commands: String,
}

impl Default for Batch {
    fn default() -> Self {
        Self { tool: "ip", arguments: &["-batch", "-"], commands: String::new() }
    }
}

impl Batch {
    /// Commands that don't see by an address that they are about IPv6: rules.
    pub(crate) fn of_ipv6() -> Self {
        Self { arguments: &["-6", "-batch", "-"], ..Self::default() }
    }

    /// Commands for `bridge -batch`.
    pub(crate) fn of_bridge() -> Self {
        Self { tool: "bridge", ..Self::default() }
    }

    pub(crate) fn add(&mut self, command: impl std::fmt::Display) {
        // Writing to a String can't fail.
        let _ = writeln!(self.commands, "{command}");
    }

    /// Runs the batch in the namespace that is current, up to its first error.
    pub(crate) fn run(self) -> Result<()> {
        let command = Command::new(self.tool);
        self.feed(command, "the root network namespace".into())
    }

    /// Runs the batch in a named namespace, up to its first error.
    pub(crate) fn run_in(self, name: &str) -> Result<()> {
        let mut command = Command::new(self.tool);
        netns::enter(&mut command, name, None)?;
        self.feed(command, netns::place(name))
    }

    fn feed(self, mut command: Command, place: String) -> Result<()> {
        let start = || format!("run {} (install iproute2) in {place}", self.tool);
        let mut child = command
            .args(self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .doing(start)?;
        if let Some(mut stdin) = child.stdin.take() {
            // An ip that stopped at an error has closed its end; its status says so below.
            let _ = stdin.write_all(self.commands.as_bytes());
        }
        let output = child.wait_with_output().doing(start)?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = format!("{}{}", String::from_utf8_lossy(&output.stderr), self.commands);
        Err(Error::Command {
            command: format!("{} {}", self.tool, self.arguments.join(" ")),
            place,
            status: output.status,
            stderr,
        })
    }
}
