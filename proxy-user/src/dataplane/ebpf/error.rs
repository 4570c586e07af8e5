//! What can go wrong between the agent and the kernel.

use std::io;
use std::path::PathBuf;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;
use aya_obj::ParseError;

/// Error of the eBPF dataplane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pins' file system is not there and can't be made.
    #[error("no BPF file system at {}: {action} failed; mount one (`mount -t bpf bpf {0}`) or name another with --bpffs", path.display())]
    Bpffs {
        /// `--bpffs`.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process holds the pins.
    #[error(
        "{} is in use by another agent; stop that one, or give this one a directory of its own with --bpffs",
        path.display()
    )]
    Locked {
        /// `--bpffs`.
        path: PathBuf,
    },
    /// An entry of the pins' file system can't be listed, made, renamed or removed.
    #[error("cannot {action} {}", path.display())]
    Pin {
        /// What was tried.
        action: &'static str,
        /// The entry.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel object is damaged.
    #[error("cannot read the kernel object; build it with `cargo xtask build`")]
    Object(#[source] ParseError),
    /// The kernel object lacks a map or program this agent needs: the two are of different builds.
    #[error("the kernel object has no {kind} {name}; build agent and object together with `cargo xtask build`")]
    Missing {
        /// `map` or `program`.
        kind: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// A pinned map is not what this agent would have made.
    #[error(
        "pinned map {}: {property} is {got}, this agent needs {want}; run the agent that made it, or `sluice cleanup`",
        path.display()
    )]
    MapLayout {
        /// Where it is pinned.
        path: PathBuf,
        /// What differs.
        property: &'static str,
        /// As pinned.
        got: u32,
        /// As in the kernel object.
        want: u32,
    },
    /// The kernel refuses a map.
    #[error("map {name}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// The kernel refuses the object.
    #[error("cannot load the kernel object")]
    Load(#[source] EbpfError),
    /// The kernel refuses a program; for the verifier's refusal, its whole log is part of the source.
    #[error("cannot load program {name}")]
    Program {
        /// Its name.
        name: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// A program can't be attached.
    #[error("cannot attach program {program} to {target}")]
    Attach {
        /// Name of the program.
        program: &'static str,
        /// Interface and direction, or path of the control group.
        target: String,
        /// Why.
        source: ProgramError,
    },
    /// A pinned link can't be taken over or given another program.
    #[error("cannot {action} the pinned link {}", path.display())]
    Link {
        /// What was tried.
        action: &'static str,
        /// Where it is pinned.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The control group can't be opened.
    #[error("cannot open the control group {}; name the cgroup v2 mount with --cgroup", path.display())]
    Cgroup {
        /// `--cgroup`.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The interfaces of the node can't be listed.
    #[error("cannot list the interfaces of this network namespace")]
    Interfaces(#[source] io::Error),
    /// The programs' log can't be read.
    #[error("cannot read the log of the kernel programs")]
    Log(#[source] aya_log::Error),
    /// The programs' log has no descriptor to wait on.
    #[error("cannot wait for the log of the kernel programs")]
    LogWait(#[source] io::Error),
    /// The ring of events has no descriptor to wait on.
    #[error("cannot wait for the events of the kernel programs")]
    EventWait(#[source] io::Error),
    /// A table can't be read.
    #[error("cannot read table {table}")]
    Read {
        /// Its name.
        table: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A run of the program that removes flows failed.
    #[error("cannot run program sweep_flows")]
    Sweep(#[source] io::Error),
    /// A kernel setting can't be read or changed.
    #[error("cannot {action} {}", path.display())]
    Sysctl {
        /// What was tried.
        action: &'static str,
        /// File under /proc/sys.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
