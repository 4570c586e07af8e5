//! Where the programs are that the lab starts: named by a variable, or built beside the running one.

use std::env;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// Path of the agent that suites run.
pub fn sluice() -> Result<PathBuf> {
    find("sluice", "SLUICE_BIN", "cargo xtask build")
}

/// The servers and clients that make the lab's traffic.
pub(crate) fn traffic() -> Result<PathBuf> {
    find("lab-traffic", "LAB_TRAFFIC_BIN", "cargo build -p sluice-tests --bin lab-traffic")
}

fn find(name: &'static str, variable: &'static str, build: &'static str) -> Result<PathBuf> {
    if let Some(named) = env::var_os(variable).map(PathBuf::from) {
        if named.is_file() {
            return Ok(named);
        }
        return Err(Error::MissingProgram { name, variable, beside: named, build });
    }
    // Tests run in target/debug/deps, other programs in target/debug.
    let running = env::current_exe().unwrap_or_default();
    let beside = running.ancestors().skip(1).take(2).map(|dir| dir.join(name));
    beside.into_iter().find(|path| path.is_file()).ok_or(Error::MissingProgram {
        name,
        variable,
        beside: running,
        build,
    })
}
