//! Where and with what the figures were measured.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use serde::Serialize;

/// What one has to know of a run to repeat it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Environment {
    /// Day, as `2026-01-31`.
    pub date: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Commit of the sources, with `-dirty` where files differ from it.
    pub commit: String,
    /// The processor, and how many of them this machine has.
    pub cpu: String,
    /// What was typed.
    pub command: String,
}

impl Environment {
    /// This machine's, on a day.
    #[must_use]
    pub fn here(date: String, command: String) -> Self {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpus = available_parallelism().map_or(1, usize::from);
        Self {
            date,
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            commit: commit().unwrap_or_else(|| "unknown".into()),
            cpu: format!("{cpus} x {}", model(&cpu_info)),
            command,
        }
    }
}

fn model(cpu_info: &str) -> &str {
    let line = cpu_info.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name.trim())
}

fn commit() -> Option<String> {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_first_one_s_model() {
        assert_eq!(model("processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nflags: x\n"), "Some CPU @ 2.00GHz");
        assert_eq!(model(""), "unknown");
    }
}
