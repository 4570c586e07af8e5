//! One node's policies, plan, and tables.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use k8s_openapi::api::core::v1 as api;
use lab::policy::Settings;
use proxy_common::addr::Addr;
use proxy_common::plain::PlainTables;
use proxy_common::tables::{Address, address_flags};
use proxy_user::model::{Policies, PolicyMode};
use proxy_user::plan::{BlockPrefix, PolicyImage, PolicyPlan, PolicyWrite};

pub(super) struct Node {
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) policies: Policies,
    pub(super) plan: PolicyPlan,
    pub(super) tables: PlainTables,
    /// What the last update wrote.
    pub(super) writes: Vec<PolicyWrite>,
    /// What the writes made of the tables.
    written: PolicyImage,
}

impl Node {
    pub(super) fn new(node: &api::Node, settings: Settings) -> Self {
        let name = node.metadata.name.clone().unwrap_or_default();
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let addresses: Vec<IpAddr> = addresses.filter_map(|address| address.address.parse().ok()).collect();
        let is_node = |ip: &IpAddr| (Addr::from(*ip), Address { flags: address_flags::NODE });
        let tables = PlainTables { addresses: addresses.iter().map(is_node).collect(), ..PlainTables::default() };
        let mode = if settings.audit { PolicyMode::Audit } else { PolicyMode::Enforce };
        Self {
            policies: Policies::new(name.clone(), mode),
            plan: PolicyPlan::adopt(PolicyImage::default(), settings.hold_unknown),
            name,
            addresses,
            tables,
            writes: Vec::new(),
            written: PolicyImage::default(),
        }
    }

    /// Carries out what the plan says, and says whether that leads where it says it does.
    pub(super) fn update(&mut self) -> Result<(), String> {
        self.writes = self.plan.update(&mut self.policies);
        for write in &self.writes {
            self.written.apply(write);
        }
        if self.written != *self.plan.image() {
            return Err(format!("{}: the writes don't lead to the image of the plan", self.name));
        }
        if let Some(again) = self.plan.update(&mut self.policies).first() {
            return Err(format!("{}: nothing changed, and yet {again:?}", self.name));
        }
        if let Some(refused) = self.plan.refused().next() {
            return Err(format!("{}: {refused}", self.name));
        }
        let image = &self.written;
        self.tables.generation = image.generation;
        self.tables.pod_network = image.pod_network;
        self.tables.identities = image.identities.clone();
        self.tables.blocks = image.blocks.iter().map(|(prefix, block)| (network(prefix), *block)).collect();
        self.tables.rules = image.rules.iter().map(|(prefix, rule)| ((prefix.key, prefix.bits), *rule)).collect();
        Ok(())
    }

    /// Namespace and name of a policy.
    pub(super) fn policy_name(&self, number: u32) -> Option<(String, String)> {
        let name = self.written.names.get(&number)?;
        Some((text(&name.namespace), text(&name.name)))
    }
}

/// The network of a key of `BLOCKS`.
fn network(prefix: &BlockPrefix) -> IpNetwork {
    let addr = IpAddr::from(prefix.addr);
    let before = if addr.is_ipv4() && prefix.bits >= 96 { 96 } else { 0 };
    let addr = match addr {
        IpAddr::V4(ip) if before == 0 => IpAddr::V6(ip.to_ipv6_mapped()),
        addr => addr,
    };
    IpNetwork::new(addr, (prefix.bits - before) as u8).unwrap()
}

/// A name without the zero bytes it is padded with.
pub(super) fn text(padded: &[u8]) -> String {
    String::from_utf8_lossy(padded).trim_end_matches('\0').to_owned()
}
