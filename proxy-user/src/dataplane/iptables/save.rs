//! The rules that there are, as `iptables-save` and `ip6tables-save` print them.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use proxy_common::addr::Family;

use super::PREFIX;
use super::error::Error;
use super::restore::{Table, runs};

/// What there is of ours in one table of one family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Saved {
    /// Our chains, each with its rules (`-A CHAIN ...`) in their order.
    pub(super) chains: BTreeMap<String, Vec<String>>,
    /// Rules of chains that are not ours and lead to one of ours.
    pub(super) jumps: Vec<String>,
}

impl Saved {
    /// Whether the tool of a family is there.
    ///
    /// # Errors
    /// It isn't.
    pub(super) fn check(family: Family) -> Result<(), Error> {
        runs(tool(family))
    }

    /// Asks for it.
    ///
    /// # Errors
    /// The tool isn't there, or fails.
    pub(super) fn read(family: Family, table: Table) -> Result<Self, Error> {
        let tool = tool(family);
        let output = Command::new(tool).args(["-t", table.name()]).stdin(Stdio::null()).output();
        let output = output.map_err(|source| Error::Start { tool, source })?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Refused { tool, message });
        }
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn parse(text: &str) -> Self {
        let mut saved = Self::default();
        for line in text.lines() {
            if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                if name.starts_with(PREFIX) {
                    saved.chains.entry(name.to_owned()).or_default();
                }
            } else if let Some(rule) = line.strip_prefix("-A ") {
                let chain = rule.split(' ').next().unwrap_or_default();
                if chain.starts_with(PREFIX) {
                    saved.chains.entry(chain.to_owned()).or_default().push(line.to_owned());
                } else if target(rule).is_some_and(|target| target.starts_with(PREFIX)) {
                    saved.jumps.push(line.to_owned());
                }
            }
        }
        saved
    }
}

/// The tool of a family.
const fn tool(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-save",
        Family::V6 => "ip6tables-save",
    }
}

/// Where a rule leads. A comment may have anything in it, so only the last one counts.
fn target(rule: &str) -> Option<&str> {
    let (_, target) = rule.rsplit_once(" -j ")?;
    target.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_told_from_what_is_not() {
        let text = "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:SLUICE-SERVICES - [0:0]\n:SLUICE-EMPTY - [0:0]\n\
                    -A PREROUTING -j KUBE-SERVICES\n-A PREROUTING -m comment --comment x -j SLUICE-SERVICES\n\
                    -A SLUICE-SERVICES -j RETURN\nCOMMIT\n";
        let saved = Saved::parse(text);
        let chains = [("SLUICE-EMPTY", vec![]), ("SLUICE-SERVICES", vec!["-A SLUICE-SERVICES -j RETURN".to_owned()])];
        assert_eq!(saved.chains, chains.map(|(name, rules)| (name.to_owned(), rules)).into());
        assert_eq!(saved.jumps, ["-A PREROUTING -m comment --comment x -j SLUICE-SERVICES"]);
    }
}
