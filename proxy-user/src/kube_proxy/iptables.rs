//! iptables in each of its two backends, for each family, by its own tools.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use super::chains::Chains;

/// A backend and family of iptables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Iptables {
    /// The tools' names up to the last dash.
    tool: String,
    pub(super) chains: Chains,
}

impl Iptables {
    /// Each that has chains of kube-proxy's, and whether any could be asked.
    pub(super) fn find(translates: bool) -> (Vec<Self>, bool) {
        let mut found = Vec::new();
        let mut asked = false;
        for family in ["iptables", "ip6tables"] {
            let mut saved: Vec<_> =
                ["nft", "legacy"].into_iter().filter_map(|backend| save(&format!("{family}-{backend}"))).collect();
            if saved.is_empty() {
                // A distribution with one backend need not say which.
                saved.extend(save(family));
            }
            asked |= !saved.is_empty();
            let all = saved.into_iter().map(|(tool, text)| Self { tool, chains: Chains::find(&text, translates) });
            found.extend(all.filter(|it| it.chains != Chains::default()));
        }
        (found, asked)
    }

    /// Where the chains are, for people.
    pub(super) fn place(&self) -> &str {
        &self.tool
    }

    /// Removes them, table by table: one table changes as a whole.
    pub(super) fn remove(&self) -> io::Result<()> {
        let program = format!("{}-restore", self.tool);
        let mut command = Command::new(&program);
        // Another program may hold the lock of the legacy backend: kube-proxy waits as long for it.
        command.args(["--noflush", "--wait", "5"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        // Its own message tells more than a broken pipe does.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(self.chains.removal.as_bytes()));
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// The rules that a tool knows; `None` where it isn't installed or fails.
fn save(tool: &str) -> Option<(String, String)> {
    let output = Command::new(format!("{tool}-save")).stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| (tool.to_owned(), String::from_utf8_lossy(&output.stdout).into_owned()))
}
