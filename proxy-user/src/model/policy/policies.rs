//! What the NetworkPolicies of a cluster make of the addresses of its pods, as one node sees it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::model::Change;

/// Whether what policies deny is denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PolicyMode {
    /// It is.
    #[default]
    Enforce,
    /// It is reported and passes, whichever policy denies it.
    Audit,
}

/// The objects that policy is about, and what follows from them.
#[derive(Debug)]
pub struct Policies {
    node_name: String,
    mode: PolicyMode,
    interfaces: BTreeMap<IpAddr, u32>,
}

impl Policies {
    /// No policy, seen from the node `node_name`.
    #[must_use]
    pub fn new(node_name: impl Into<String>, mode: PolicyMode) -> Self {
        Self { node_name: node_name.into(), mode, interfaces: BTreeMap::new() }
    }

    /// Takes in a change of a Pod, Namespace, Node or NetworkPolicy; others don't matter.
    pub fn apply(&mut self, change: &Change) {
        let _ = change;
    }

    /// The index of the interface that each address of this node's pods is behind, of those that are known.
    pub fn set_interfaces(&mut self, interfaces: BTreeMap<IpAddr, u32>) {
        self.interfaces = interfaces;
    }

    /// What of the policies can't be used, each naming the object and the field.
    pub fn defects(&self) -> impl Iterator<Item = String> + '_ {
        let Self { node_name, mode, .. } = self;
        let _ = (node_name, mode);
        std::iter::empty()
    }
}
