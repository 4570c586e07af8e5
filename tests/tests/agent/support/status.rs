//! `sluice status`, which answers whether an agent runs or not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use lab::Node;
use serde::Deserialize;

use super::{stderr, stdout};

#[derive(Deserialize, Debug)]
pub(crate) struct Status {
    pub(crate) alive: bool,
    pub(crate) agent: Option<Agent>,
    pub(crate) kernel: Option<Kernel>,
}

#[derive(Deserialize, Debug)]
pub(crate) struct Agent {
    pub(crate) pid: u32,
    pub(crate) ready: bool,
    pub(crate) devices: Vec<Device>,
    pub(crate) policy: Policy,
    pub(crate) errors: Vec<String>,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Policy {
    pub(crate) policies: usize,
    pub(crate) policed_pods: usize,
    pub(crate) generation: u32,
    pub(crate) held: Vec<Held>,
}

#[derive(Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) ip: IpAddr,
    pub(crate) device: String,
}

#[derive(Deserialize, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) role: String,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) tables: Vec<Table>,
    pub(crate) drops: Vec<Drops>,
    pub(crate) links: Vec<Link>,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) entries: u64,
}

#[derive(Deserialize, Debug, PartialEq, Eq)]
pub(crate) struct Drops {
    pub(crate) reason: String,
    pub(crate) packets: u64,
}

#[derive(Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) program: String,
    pub(crate) program_id: u32,
}

/// What it says on a node.
pub(crate) fn status(node: &Node) -> Result<Status> {
    let output = node.sluice(&["status", "-o", "json"])?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("{}{}", stdout(&output), stderr(&output)))
}

impl Status {
    pub(crate) fn agent(self) -> Result<Agent> {
        self.agent.context("the agent has told nothing")
    }

    pub(crate) fn kernel(self) -> Result<Kernel> {
        self.kernel.context("nothing is pinned")
    }
}

impl Agent {
    /// The role it gives to an interface; none where the interface isn't served.
    pub(crate) fn role(&self, device: &str) -> Option<&str> {
        self.devices.iter().find(|found| found.name == device).map(|found| found.role.as_str())
    }
}

impl Kernel {
    /// Name of each link -> its number and that of its program.
    pub(crate) fn numbers(&self) -> BTreeMap<&str, (u32, u32)> {
        self.links.iter().map(|link| (link.name.as_str(), (link.id, link.program_id))).collect()
    }

    /// Direction -> program at an interface, by the links' names, `<interface>-<index>-<direction>`.
    pub(crate) fn programs_at(&self, device: &str) -> BTreeMap<&str, &str> {
        let of_device = self.links.iter().filter(|link| link.name.rsplitn(3, '-').nth(2) == Some(device));
        let direction = |link: &Link| if link.name.ends_with("-ingress") { "ingress" } else { "egress" };
        of_device.map(|link| (direction(link), link.program.as_str())).collect()
    }
}
