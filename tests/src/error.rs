//! What can go wrong in the lab: each error says what was done, where, and what helps.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::traffic::Failure;

/// The lab's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A lab that could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not root.
    #[error("the lab makes network namespaces, cgroups and mounts, which takes root: run it with sudo -E")]
    NotRoot,
    /// A call to the kernel or to a file failed.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried, with the object's name.
        action: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A command ended with an error.
    #[error("`{command}` in {place}: {status}\n{stderr}")]
    Command {
        /// Program and arguments.
        command: String,
        /// Network namespace it ran in, and how to look around there.
        place: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// No cgroup v2 file system.
    #[error("no cgroup2 in /proc/self/mounts: mount it (mount -t cgroup2 none /sys/fs/cgroup/unified)")]
    NoCgroup2,
    /// A program that the lab starts has not been built.
    #[error("{name} is neither {variable} nor beside {beside}: build it with `{build}`")]
    MissingProgram {
        /// Name of the program.
        name: &'static str,
        /// Environment variable that would name it.
        variable: &'static str,
        /// Where it was looked for.
        beside: PathBuf,
        /// Command that builds it.
        build: &'static str,
    },
    /// A program was started and did not get ready.
    #[error("{what} is not ready: {why}; its log {log}:\n{tail}", log = log.display())]
    NotReady {
        /// Program and the host it runs on.
        what: String,
        /// It ended, or time ran out.
        why: String,
        /// File with its output.
        log: PathBuf,
        /// The end of that file.
        tail: String,
    },
    /// What was waited for did not come about.
    #[error("{what}: {seen} after {limit:?}, expected {expected}")]
    Never {
        /// What was looked at.
        what: String,
        /// What it was at last.
        seen: String,
        /// What it should have become.
        expected: String,
        /// How long it had.
        limit: Duration,
    },
    /// A request got no answer.
    #[error("{from} asked {to}: {failure}")]
    Traffic {
        /// Host that asked.
        from: String,
        /// Address it asked.
        to: String,
        /// What its socket said.
        failure: Failure,
    },
    /// Another lab's or host's name, or none of this lab's.
    #[error("no {what} {name:?}: there {have}")]
    Unknown {
        /// Lab, node, pod, Service or host.
        what: &'static str,
        /// Name that was asked for.
        name: String,
        /// What there is.
        have: String,
    },
    /// No lab was named, and there isn't exactly one.
    #[error("which lab? There {0}; name it by its number")]
    WhichLab(String),
    /// `down` of a lab whose process still runs.
    #[error("lab {0} belongs to a running process: end that process (Ctrl-C), it removes its lab")]
    InUse(u32),
    /// A manifest that the lab can't use.
    #[error("{file}: {object}: {problem}", file = file.display())]
    Manifest {
        /// File name.
        file: PathBuf,
        /// Kind and name, or the number of the document.
        object: String,
        /// Field, and what is wrong with it.
        problem: String,
    },
}

impl Error {
    /// The kernel's name of a failed request's error (`ECONNREFUSED`), or `timeout`.
    #[must_use]
    pub fn errno(&self) -> Option<&str> {
        match self {
            Self::Traffic { failure, .. } => Some(&failure.error),
            _ => None,
        }
    }
}

/// Adds what was tried to an error of the kernel.
pub(crate) trait Doing<T> {
    /// `action` completes "cannot ...".
    fn doing(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::System { action: action(), source: error.into() })
    }
}
