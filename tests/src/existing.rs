//! Labs that another process made: listing them, running programs in them, removing them.

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::claim;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::id::LabId;
use crate::netns;
use crate::programs;

/// Every lab on this machine with the names of its hosts.
pub fn list() -> Result<Vec<(LabId, Vec<String>)>> {
    Ok(claim::all()?.into_iter().map(|id| (id, Host::names(id))).collect())
}

/// The lab of a number, or the only one there is.
pub fn find(number: Option<u32>) -> Result<LabId> {
    let all = claim::all()?;
    let found = match (number, all.as_slice()) {
        (Some(number), all) => all.iter().find(|id| id.0 == number),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.copied().ok_or_else(|| {
        let names: Vec<_> = all.iter().map(ToString::to_string).collect();
        let have = if names.is_empty() { "is none".into() } else { format!("are {}", names.join(", ")) };
        match number {
            Some(number) => Error::Unknown { what: "lab", name: number.to_string(), have },
            None => Error::WhichLab(have),
        }
    })
}

/// Removes a lab that no process uses.
pub fn down(id: LabId) -> Result<()> {
    claim::remove(id)
}

/// Turns this process into `program` on a host; returns only when that fails.
///
/// The program's directory search starts where `sluice` is built, and `SLUICE_BPFFS` names the node's own bpffs.
pub fn exec(host: &Host, program: &str, arguments: &[String]) -> Result<std::convert::Infallible> {
    let mut command = Command::new(program);
    command.args(arguments);
    netns::enter(&mut command, &host.netns(), Some(&host.cgroup().to_path_buf()))?;
    if let Some(bpffs) = host.bpffs() {
        command.env("SLUICE_BPFFS", bpffs);
    }
    if let Ok(sluice) = programs::sluice() {
        let built = sluice.parent().map(ToOwned::to_owned);
        let path = env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = env::join_paths(built.into_iter().chain(env::split_paths(&path))) {
            command.env("PATH", path);
        }
    }
    let source: io::Error = command.exec();
    Err(Error::System { action: format!("run {program} on {host}"), source })
}
