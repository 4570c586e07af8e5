//! Attaches the programs to interfaces as they come and goes with them.

use std::collections::{BTreeMap, BTreeSet};

use aya::Ebpf;
use aya::programs::{ProgramError, SchedClassifier};

use super::error::Error;
use super::hooks::{Direction, Hooks};
use super::pins::Pins;
use super::tcx::{self, AttachError, Hook, TcxLinks};
use super::{clsact, errno, interfaces};

/// How programs get to an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcMode {
    /// By tcx links, pinned.
    Tcx,
    /// By filters of the clsact queueing discipline.
    Clsact,
}

impl TcMode {
    /// The better one that this kernel has.
    #[must_use]
    pub fn detect() -> Self {
        if tcx::is_supported() { Self::Tcx } else { Self::Clsact }
    }
}

/// What became of a request to attach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attached {
    /// The programs run there.
    Yes,
    /// The interface has gone in the meantime.
    InterfaceGone,
}

/// The programs at the node's interfaces.
#[derive(Debug)]
pub(super) struct Devices {
    /// `None` in clsact mode, which keeps no record but the filters themselves.
    tcx: Option<TcxLinks>,
    /// What this agent has attached; earlier agents' programs at other hooks still run.
    attached: BTreeMap<u32, (String, Hooks)>,
}

impl Devices {
    pub(super) fn open(mode: TcMode, pins: &Pins) -> Result<Self, Error> {
        let tcx = match mode {
            TcMode::Tcx => Some(TcxLinks::open(pins.links(), &pins.other_links()?)?),
            TcMode::Clsact => None,
        };
        Ok(Self { tcx, attached: BTreeMap::new() })
    }

    pub(super) fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        ifindex: u32,
        ifname: &str,
        hooks: Hooks,
    ) -> Result<Attached, Error> {
        if self.attached.get(&ifindex).is_some_and(|(name, attached)| name == ifname && *attached == hooks) {
            return Ok(Attached::Yes);
        }
        for (direction, program) in hooks.programs() {
            let Some(program) = program else {
                self.detach_hook((ifindex, direction))?;
                continue;
            };
            match self.attach_hook(classifier(ebpf, program)?, ifname, (ifindex, direction)) {
                Ok(()) => {}
                Err(AttachError::Program(error)) if errno(&error) == Some(libc::ENODEV) => {
                    self.detach(ifindex)?;
                    return Ok(Attached::InterfaceGone);
                }
                Err(AttachError::Program(source)) => {
                    return Err(Error::Attach { program, target: format!("{ifname} {}", direction.name()), source });
                }
                Err(AttachError::Other(error)) => return Err(error),
            }
        }
        self.attached.insert(ifindex, (ifname.to_owned(), hooks));
        Ok(Attached::Yes)
    }

    fn attach_hook(&mut self, program: &mut SchedClassifier, ifname: &str, hook: Hook) -> Result<(), AttachError> {
        match &mut self.tcx {
            Some(links) => links.attach(program, ifname, hook),
            None => Ok(clsact::attach(program, ifname, hook.1)?),
        }
    }

    fn detach_hook(&mut self, hook: Hook) -> Result<bool, Error> {
        match &mut self.tcx {
            Some(links) => links.detach(hook),
            None => interfaces::name(hook.0)?.map_or(Ok(false), |ifname| detach_filter(&ifname, hook.1)),
        }
    }

    pub(super) fn detach(&mut self, ifindex: u32) -> Result<bool, Error> {
        self.attached.remove(&ifindex);
        let mut detached = false;
        for direction in Direction::BOTH {
            detached |= self.detach_hook((ifindex, direction))?;
        }
        Ok(detached)
    }

    pub(super) fn retain(&mut self, wanted: &BTreeSet<u32>) -> Result<(), Error> {
        self.attached.retain(|ifindex, _| wanted.contains(ifindex));
        let present: BTreeSet<u32> = match &self.tcx {
            Some(links) => links.hooks().into_iter().map(|(ifindex, _)| ifindex).collect(),
            None => interfaces::list()?.into_iter().map(|(ifindex, _)| ifindex).collect(),
        };
        for ifindex in present.difference(wanted) {
            self.detach(*ifindex)?;
        }
        Ok(())
    }
}

/// A program, in the kernel at the latest now.
fn classifier<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier, Error> {
    let error = |source| Error::Program { name, source };
    let program = ebpf.program_mut(name).ok_or(Error::Missing { kind: "program", name })?;
    let program: &mut SchedClassifier = program.try_into().map_err(error)?;
    match program.load() {
        Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(program),
        Err(source) => Err(error(source)),
    }
}

/// Takes our filter from one direction of an interface; whether there was one.
pub(super) fn detach_filter(ifname: &str, direction: Direction) -> Result<bool, Error> {
    clsact::detach(ifname, direction).map_err(|source| Error::Attach {
        program: "clsact",
        target: format!("{ifname} {}", direction.name()),
        source,
    })
}
