//! The tables as BPF maps, and the programs that read them.
//!
//! Maps and links are pinned: the dataplane goes on while no agent runs. A starting agent opens it ([`Dataplane::open`]),
//! reads what the tables hold, brings them to what they should hold, and only then attaches its own programs, which take
//! the place of an earlier agent's in one step each: no packet meets a hook without a program, or a program without its
//! tables. Not here: what the tables should hold (`plan`), which interface is what (`node`).

mod batch;
mod cgroup;
pub mod cleanup;
mod clsact;
mod devices;
mod error;
mod events;
mod found;
mod history;
mod hits;
mod hooks;
mod interfaces;
mod layout;
mod load;
mod log;
mod maps;
mod mount;
mod pinned_link;
mod pins;
mod policy;
pub mod read;
mod single;
mod sweep;
mod sys;
mod sysctl;
mod table;
mod takeover;
mod tcx;
#[cfg(test)]
mod testing;
mod trie;
mod unhook;
mod upgrade;
mod write;

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use aya::Ebpf;
use aya::programs::{ProgramError, SchedClassifier, TcError};
use proxy_common::tables::{self, FlowKey, FlowRecord};

pub use aya_log::Level;
pub use devices::{Attached, TcMode};
pub use error::Error;
pub use events::{EventSwitch, Events};
pub use hooks::Hooks;
pub use load::Globals;
pub use log::ProgramLog;
pub use maps::Maps;
pub use sweep::{Sweeper, Swept};
pub use takeover::{Left, TakeoverSwitch};
pub use write::{Unfinished, WriteError};

use self::found::FoundMaps;
use self::maps::Prepared;

/// How to open the dataplane.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The kernel object: an ELF file.
    pub object: &'a [u8],
    /// Directory of the pins; a BPF file system is mounted when it isn't on one.
    pub bpffs: &'a Path,
    /// How programs get to interfaces; [`TcMode::detect`].
    pub tc_mode: TcMode,
    /// Load the socket programs too.
    pub socket_lb: bool,
    /// What the programs themselves log; `None`, off, costs them nothing.
    pub bpf_log_level: Option<Level>,
    /// Constants of the programs.
    pub globals: Globals,
}

/// Tables and programs of one node: one agent's, until this is dropped. Dropping leaves them in place.
pub struct Dataplane {
    maps: Maps,
    flows: upgrade::FlowTables,
    devices: devices::Devices,
    ebpf: Ebpf,
}

/// The tables are there with programs and without, and are used alike.
impl Deref for Dataplane {
    type Target = Maps;

    fn deref(&self) -> &Maps {
        &self.maps
    }
}

impl DerefMut for Dataplane {
    fn deref_mut(&mut self) -> &mut Maps {
        &mut self.maps
    }
}

impl Dataplane {
    /// Takes over the pinned maps, or makes them, and loads the programs. Attaches nothing: an earlier agent's programs
    /// stay in force. Where that is of the table version before or after this one, what both have in common is taken over,
    /// and the flows of the version before ([`Dataplane::copy_flows`]).
    pub fn open(options: &Options<'_>) -> Result<Self, Error> {
        let Prepared { pins, upgrade, .. } = maps::prepare(options.object, options.bpffs)?;
        let mut ebpf = load::load(options.object, &pins, &options.globals, options.bpf_log_level, options.socket_lb)?;
        let mut found = FoundMaps::of(&mut ebpf);
        let flows =
            [table::Table::take(&mut found, tables::FLOWS)?, table::Table::take(&mut found, tables::FLOWS_NEW)?];
        let devices = devices::Devices::open(options.tc_mode, &pins)?;
        let mut dataplane = Self { maps: Maps::take(&mut found, pins, upgrade)?, flows, devices, ebpf };
        dataplane.copy_flows()?;
        Ok(dataplane)
    }

    /// Brings over the flows that programs of the previous table version wrote since the last time: right before ours take
    /// their place, and right after. Nothing to do where there is no such version.
    pub fn copy_flows(&mut self) -> Result<(), Error> {
        self.maps.upgrade.as_mut().map_or(Ok(()), |upgrade| upgrade.copy_flows(&mut self.flows))
    }

    /// Has the programs run at an interface, in the place of an earlier agent's, and makes its reverse path test loose if
    /// it is strict and the interface is no pod's. Costs nothing when they already do.
    pub fn attach_device(&mut self, ifindex: u32, ifname: &str, hooks: Hooks) -> Result<Attached, Error> {
        let attached = self.devices.attach(&mut self.ebpf, ifindex, ifname, hooks)?;
        if attached == Attached::Yes {
            // Pods are not given more room to lie: what comes from them keeps its source.
            if hooks != Hooks::Pod {
                sysctl::loosen_reverse_path(&self.maps.pins.sysctls(), ifname)?;
            }
            if hooks == Hooks::Loopback {
                sysctl::open_loopback(&self.maps.pins.sysctls())?;
            }
        }
        Ok(attached)
    }

    /// Takes our programs from an interface; whether there were any.
    pub fn detach_device(&mut self, ifindex: u32) -> Result<bool, Error> {
        self.devices.detach(ifindex)
    }

    /// Takes our programs from every interface but these.
    pub fn retain_devices(&mut self, wanted: &BTreeSet<u32>) -> Result<(), Error> {
        self.devices.retain(wanted)
    }

    /// Has packets from and to `127.0.0.0/8` pass any interface, as node ports on loopback need it in iptables mode; off, it is
    /// as it was before. [`cleanup`] puts it back too.
    pub fn route_localnet(&self, on: bool) -> Result<(), Error> {
        sysctl::route_localnet(&self.pins.sysctls(), on)
    }

    /// Has the socket programs run for all processes below a cgroup v2 directory, in the place of an earlier agent's.
    /// Takes [`Options::socket_lb`].
    pub fn attach_sockets(&mut self, cgroup: &Path) -> Result<(), Error> {
        cgroup::attach(&mut self.ebpf, cgroup, &self.maps.pins.links(), &self.maps.pins.other_links()?)
    }

    /// Takes the socket programs away, an earlier agent's too; whether there were any.
    pub fn detach_sockets(&mut self) -> Result<bool, Error> {
        cgroup::detach(&self.maps.pins.links())
    }

    /// Removes links and maps of agents with other layouts, whose last flows are brought over before. For when our programs
    /// have taken the place of theirs.
    pub fn remove_other_versions(&mut self) -> Result<(), Error> {
        self.copy_flows()?;
        self.maps.remove_other_versions()
    }

    /// What removes flows that are over.
    pub fn sweeper(&self) -> Result<Sweeper, Error> {
        let table = |table: &table::Table<FlowKey, FlowRecord>| {
            let fd = table.fd().try_clone_to_owned();
            fd.map(|fd| (table.name(), fd)).map_err(|source| Error::Read { table: table.name(), source })
        };
        let [established, half_open] = &self.flows;
        Ok(Sweeper { program: self.sweep_program()?, established: table(established)?, half_open: table(half_open)? })
    }

    fn sweep_program(&self) -> Result<OwnedFd, Error> {
        let name = hooks::SWEEP_PROGRAM;
        let error = |source| Error::Program { name, source };
        let program = self.ebpf.program(name).ok_or(Error::Missing { kind: "program", name })?;
        let program: &SchedClassifier = program.try_into().map_err(error)?;
        program.fd().map_err(error)?.as_fd().try_clone_to_owned().map_err(|source| error(source.into()))
    }

    /// What passes on the programs' own log; `None` when none of them logs. Once only.
    pub fn program_log(&mut self) -> Result<Option<ProgramLog>, Error> {
        ProgramLog::take(&mut self.ebpf)
    }

    /// What tells the programs whether connections of another proxy are alive. Once only.
    pub fn takeover(&mut self) -> Result<TakeoverSwitch, Error> {
        TakeoverSwitch::take(&mut self.ebpf)
    }

    /// What the programs tell of packets, and what has them tell it. Once only.
    pub fn events(&mut self) -> Result<(Events, EventSwitch), Error> {
        events::take(&mut self.ebpf)
    }
}

/// Names of the interfaces of the calling thread's network namespace.
///
/// # Errors
/// The kernel doesn't list them.
pub fn interface_names() -> Result<Vec<String>, Error> {
    Ok(interfaces::list()?.into_iter().map(|(_, name)| name).collect())
}

/// The error number of a refused attachment, if the kernel gave one.
fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::IOError(error) | ProgramError::TcError(TcError::IoError(error)) => error.raw_os_error(),
        ProgramError::NetlinkError(error) | ProgramError::TcError(TcError::NetlinkError(error)) => error.raw_os_error(),
        _ => None,
    }
}
