//! Sets of addresses, for `ipset`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{iter, thread};

use ipnetwork::IpNetwork;
use proxy_common::addr::Family;

use super::PREFIX;
use super::error::Error;
use super::policies::Members;

const TOOL: &str = "ipset";
/// As many members as the tables have addresses: a set takes memory for what it holds.
const MAX_MEMBERS: u32 = 1 << 20;
/// The smallest table a set can begin with.
const FIRST_SIZE: u32 = 64;
/// How long the kernel may take to free a rule that asked a set.
const PAUSES: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);
/// From as many changes on, a set is made anew and takes the old one's place in one step.
const MANY: usize = 256;

/// What is to change in sets, in two parts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Changes {
    /// Before the rules: what makes sets, lets more in, and what is known no more.
    widen: String,
    /// After the rules: what lets less in, what is known from now on, and empties what nobody asks any more.
    narrow: String,
}

impl Changes {
    /// Makes a set with all its members.
    pub(super) fn make(&mut self, name: impl Display, family: Family, members: &Members) {
        let (text, inet) = (&mut self.widen, inet(family));
        let size = format_args!("hashsize {FIRST_SIZE} maxelem {MAX_MEMBERS}");
        line(text, format_args!("create {name} hash:net family {inet} {size}"));
        // One of an earlier agent may still have members.
        line(text, format_args!("flush {name}"));
        for (network, holds) in members {
            line(text, format_args!("add {name} {network}{}", no_match(*holds)));
        }
    }

    /// Leads a set by `edits` to `members`.
    pub(super) fn edit(
        &mut self,
        name: impl Display,
        family: Family,
        edits: &BTreeMap<IpNetwork, Option<bool>>,
        members: &Members,
    ) {
        if edits.len() >= MANY {
            let new = format!("{name}-T");
            self.make(&new, family, members);
            line(&mut self.widen, format_args!("swap {new} {name}"));
            line(&mut self.widen, format_args!("destroy {new}"));
            return;
        }
        for (network, change) in edits {
            match change {
                Some(true) => line(&mut self.widen, format_args!("add {name} {network}")),
                Some(false) => line(&mut self.narrow, format_args!("add {name} {network} nomatch")),
                None => line(&mut self.narrow, format_args!("del {name} {network}")),
            }
        }
    }

    /// Leads the set of addresses that pods are known to have by `edits`. An address comes in when its pod's rules are there,
    /// and leaves before they go: else whoever has it is reached in between, whatever its policies say.
    pub(super) fn edit_known(&mut self, name: impl Display, edits: &BTreeMap<IpNetwork, Option<bool>>) {
        for (network, change) in edits {
            match change {
                Some(_) => line(&mut self.narrow, format_args!("add {name} {network}")),
                None => line(&mut self.widen, format_args!("del {name} {network}")),
            }
        }
    }

    /// Empties a set that nobody asks any more.
    pub(super) fn empty(&mut self, name: impl Display) {
        line(&mut self.narrow, format_args!("flush {name}"));
    }

    /// The part that comes before the rules.
    ///
    /// # Errors
    /// The tool isn't there or refuses a line, and has done those before it.
    pub(super) fn widen(&self) -> Result<(), Error> {
        restore(&self.widen)
    }

    /// The part that comes after the rules.
    ///
    /// # Errors
    /// Those of [`Changes::widen`].
    pub(super) fn narrow(&self) -> Result<(), Error> {
        restore(&self.narrow)
    }
}

/// Whether the tool is there.
///
/// # Errors
/// It isn't, or the kernel has no sets.
pub(super) fn check() -> Result<(), Error> {
    run(&["list", "-name"], "").map(drop)
}

/// Our sets, with their members.
///
/// # Errors
/// The tool isn't there, or fails.
pub(super) fn saved() -> Result<BTreeMap<String, Members>, Error> {
    let output = run(&["save"], "")?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Removes a set.
///
/// # Errors
/// The tool isn't there, or a rule asks the set: also one that went a moment ago, as the kernel frees the rules of nftables
/// by and by.
pub(super) fn destroy(name: &str) -> Result<(), Error> {
    run(&["destroy", name], "").map(drop)
}

/// Removes all our sets, which no rule asks any more. Returns whether there were any; a tool that isn't there has none.
///
/// # Errors
/// The tool fails, or a set stays in use.
pub(super) fn remove() -> Result<bool, Error> {
    let sets = match saved() {
        Err(Error::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        sets => sets?,
    };
    for set in sets.keys() {
        let mut pauses = iter::repeat_n(PAUSE, PAUSES);
        while let Err(error) = destroy(set) {
            thread::sleep(pauses.next().ok_or(error)?);
        }
    }
    Ok(!sets.is_empty())
}

fn restore(text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Ok(());
    }
    run(&["restore", "-exist"], text).map(drop)
}

fn run(arguments: &[&str], text: &str) -> Result<Output, Error> {
    let start = |source| Error::Start { tool: TOOL, source };
    let mut command = Command::new(TOOL);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(start)?;
    // Its own message tells more than a broken pipe does.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(start)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::Refused { tool: TOOL, message: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

fn parse(text: &str) -> BTreeMap<String, Members> {
    let mut sets: BTreeMap<String, Members> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (verb, name) = (words.next(), words.next().filter(|name| name.starts_with(PREFIX)));
        let Some(name) = name else { continue };
        let members = sets.entry(name.to_owned()).or_default();
        if verb == Some("add")
            && let Some(network) = words.next().and_then(|network| network.parse().ok())
        {
            members.insert(network, words.next() != Some("nomatch"));
        }
    }
    sets
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = writeln!(text, "{line}");
}

const fn no_match(holds: bool) -> &'static str {
    if holds { "" } else { " nomatch" }
}

const fn inet(family: Family) -> &'static str {
    match family {
        Family::V4 => "inet",
        Family::V6 => "inet6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn sets_of_ours_are_read_with_what_is_not_in_them() {
        let text = "create OTHER hash:net family inet hashsize 64 maxelem 9\nadd OTHER 10.1.0.0/16\n\
                    create SLUICE-NP-CLASS4-1 hash:net family inet hashsize 64 maxelem 9 bucketsize 12 initval 0x1\n\
                    add SLUICE-NP-CLASS4-1 10.0.0.0/8\nadd SLUICE-NP-CLASS4-1 10.0.0.1 nomatch\n\
                    create SLUICE-NP-KNOWN6 hash:net family inet6 hashsize 64 maxelem 9 bucketsize 12 initval 0x1\n";
        let of_class = [(network("10.0.0.0/8"), true), (network("10.0.0.1"), false)].into();
        let sets = [("SLUICE-NP-CLASS4-1".to_owned(), of_class), ("SLUICE-NP-KNOWN6".to_owned(), Members::new())];
        assert_eq!(parse(text), sets.into());
    }

    #[test]
    fn a_set_lets_more_in_before_the_rules_change_and_less_after() {
        let mut changes = Changes::default();
        let edits =
            [(network("10.0.0.1"), Some(true)), (network("10.0.0.2"), None), (network("10.0.0.3"), Some(false))];
        changes.edit("S", Family::V4, &edits.into(), &Members::new());
        assert_eq!(changes.widen, "add S 10.0.0.1/32\n");
        assert_eq!(changes.narrow, "del S 10.0.0.2/32\nadd S 10.0.0.3/32 nomatch\n");
    }

    #[test]
    fn an_address_is_known_only_while_its_rules_are_there() {
        let mut changes = Changes::default();
        changes.edit_known("S", &[(network("10.0.0.1"), Some(true)), (network("10.0.0.2"), None)].into());
        assert_eq!(changes.widen, "del S 10.0.0.2/32\n");
        assert_eq!(changes.narrow, "add S 10.0.0.1/32\n");
    }

    #[test]
    fn many_changes_of_a_set_are_one_step() {
        let members: Members = (0..=255).map(|last| (network(&format!("10.0.0.{last}")), true)).collect();
        let edits = members.keys().map(|network| (*network, Some(true))).collect();
        let mut changes = Changes::default();
        changes.edit("S", Family::V4, &edits, &members);
        assert!(changes.widen.starts_with("create S-T hash:net family inet "), "{}", changes.widen);
        assert!(changes.widen.ends_with("add S-T 10.0.0.255/32\nswap S-T S\ndestroy S-T\n"), "{}", changes.widen);
        assert_eq!(changes.narrow, "");
    }
}
