//! cargo-deny: licences, sources and advisories of what we depend on, by `deny.toml`.

use std::process::Command;

use super::command;
use crate::tally::Tally;
use crate::{process, workspace};

pub(super) fn check() -> Tally {
    let mut tally =
        command("dependencies", cargo_deny().args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]));
    // The advisories are a database on the network; without it the rest can still be judged.
    if process::succeeds(cargo_deny().args(["fetch", "db"])) {
        tally += command("advisories", cargo_deny().args(["check", "--disable-fetch", "advisories"]));
    } else {
        println!("lint: advisories: not checked, their database can't be reached");
    }
    tally
}

fn cargo_deny() -> Command {
    let mut command = Command::new(workspace::tools().join("bin/cargo-deny"));
    command.current_dir(workspace::root()).args(["--log-level", "warn"]);
    command
}
