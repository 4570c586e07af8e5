//! What the agent sees of either dataplane.

use std::collections::BTreeMap;

use super::ebpf::{self, Maps};
use super::iptables::{self, Node};
use crate::plan::{Image, PolicyImage, PolicyWrite, Write};

/// A dataplane: tables, and what is made of them where no programs read them.
pub trait Serves {
    /// The tables.
    fn maps(&self) -> &Maps;

    /// The tables.
    fn maps_mut(&mut self) -> &mut Maps;

    /// Serves Services as `image`, which the tables hold after `writes`; `None`: nothing is known of what was served before.
    ///
    /// # Errors
    /// Not all of it is in force. The next time nothing is known.
    fn serve_services(&mut self, image: &Image, writes: Option<&[Write]>, node: &Node) -> Result<(), iptables::Error>;

    /// Enforces policies as `image`, in the same way; `pods` are the names of pods' interfaces, by index.
    ///
    /// # Errors
    /// As for Services.
    fn enforce_policies(
        &mut self,
        image: &PolicyImage,
        writes: Option<&[PolicyWrite]>,
        pods: &BTreeMap<u32, String>,
    ) -> Result<(), iptables::Error>;
}

/// Programs read the tables: what is written is in force.
impl Serves for ebpf::Dataplane {
    fn maps(&self) -> &Maps {
        self
    }

    fn maps_mut(&mut self) -> &mut Maps {
        self
    }

    fn serve_services(&mut self, _: &Image, _: Option<&[Write]>, _: &Node) -> Result<(), iptables::Error> {
        Ok(())
    }

    fn enforce_policies(
        &mut self,
        _: &PolicyImage,
        _: Option<&[PolicyWrite]>,
        _: &BTreeMap<u32, String>,
    ) -> Result<(), iptables::Error> {
        Ok(())
    }
}

/// Either, as the configuration has it.
pub enum Dataplane {
    /// Programs.
    Ebpf(Box<ebpf::Dataplane>),
    /// Rules.
    Iptables(Box<iptables::Dataplane>),
}

impl Serves for Dataplane {
    fn maps(&self) -> &Maps {
        match self {
            Self::Ebpf(programs) => programs.maps(),
            Self::Iptables(rules) => rules.maps(),
        }
    }

    fn maps_mut(&mut self) -> &mut Maps {
        match self {
            Self::Ebpf(programs) => programs.maps_mut(),
            Self::Iptables(rules) => rules.maps_mut(),
        }
    }

    fn serve_services(&mut self, image: &Image, writes: Option<&[Write]>, node: &Node) -> Result<(), iptables::Error> {
        match self {
            Self::Ebpf(programs) => programs.serve_services(image, writes, node),
            Self::Iptables(rules) => rules.serve_services(image, writes, node),
        }
    }

    fn enforce_policies(
        &mut self,
        image: &PolicyImage,
        writes: Option<&[PolicyWrite]>,
        pods: &BTreeMap<u32, String>,
    ) -> Result<(), iptables::Error> {
        match self {
            Self::Ebpf(programs) => programs.enforce_policies(image, writes, pods),
            Self::Iptables(rules) => rules.enforce_policies(image, writes, pods),
        }
    }
}
