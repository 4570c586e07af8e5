//! Tables that no program reads, and the rules that are made of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Error, Node, Rules};
use crate::dataplane::Serves;
use crate::dataplane::ebpf::{self, Maps};
use crate::plan::{Image, PolicyImage, PolicyWrite, Write};

/// The tables and rules of one node: one agent's, until this is dropped. Dropping leaves them in place.
pub struct Dataplane {
    maps: Maps,
    rules: Rules,
}

/// Why the dataplane can't be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The tables can't.
    #[error(transparent)]
    Maps(#[from] ebpf::Error),
    /// The tools can't.
    #[error(transparent)]
    Rules(#[from] Error),
}

impl Dataplane {
    /// Takes over the tables below `bpffs`, or makes them by the kernel object, and finds the tools. What serves there goes on.
    /// `reject_denied`: the sender of what policies deny is told.
    ///
    /// # Errors
    /// The tables or the tools can't be had.
    pub fn open(object: &[u8], bpffs: &Path, reject_denied: bool) -> Result<Self, OpenError> {
        let mut rules = Rules::open()?;
        rules.reject_denied(reject_denied);
        Ok(Self { maps: Maps::open(object, bpffs)?, rules })
    }
}

impl Serves for Dataplane {
    fn maps(&self) -> &Maps {
        &self.maps
    }

    fn maps_mut(&mut self) -> &mut Maps {
        &mut self.maps
    }

    fn serve_services(&mut self, image: &Image, writes: Option<&[Write]>, node: &Node) -> Result<(), Error> {
        self.rules.sync_services(image, writes, node)
    }

    fn enforce_policies(
        &mut self,
        image: &PolicyImage,
        writes: Option<&[PolicyWrite]>,
        pods: &BTreeMap<u32, String>,
    ) -> Result<(), Error> {
        self.rules.sync_policies(image, writes, pods)
    }
}
