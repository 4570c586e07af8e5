//! The tools that write rules and sets of addresses.

use std::process::{Command, Stdio};

use super::Check;

const NAME: &str = "iptables tools";
const TOOLS: [&str; 5] = ["iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore", "ipset"];

pub(super) fn check() -> Check {
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| version(tool).is_none()).collect();
    if !missing.is_empty() {
        let mend = "install the packages iptables (1.8 is the oldest one tried) and ipset";
        return Check::fail(NAME, format!("no {}", missing.join(", ")), mend);
    }
    Check::ok(NAME, version(TOOLS[1]).unwrap_or_default())
}

/// What a tool says of itself; `None` where it isn't there.
fn version(tool: &str) -> Option<String> {
    let output = Command::new(tool).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
