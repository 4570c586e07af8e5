//! One direction of NetworkPolicy, asked alone.

use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::policy::{self, PolicyTables, Question, Ruling};
use proxy_common::tables::{Block, Identity, Policing, Rule, RuleKey};

use crate::cli::policies::Direction;
use crate::dataplane::ebpf::read::Overlay;

/// The tables with what isolates pods in one direction only. The verdict ends with the first direction that denies: so each
/// is asked alone.
pub(super) struct OneSide<'a> {
    pub(super) tables: &'a Overlay<'a>,
    pub(super) direction: Direction,
}

impl OneSide<'_> {
    const fn only(&self, policing: Policing) -> Policing {
        match self.direction {
            Direction::Ingress => Policing { egress: 0, ..policing },
            Direction::Egress => Policing { ingress: 0, ..policing },
        }
    }
}

impl PolicyTables for OneSide<'_> {
    fn generation(&self) -> u32 {
        self.tables.generation()
    }
    fn pod_network_flags(&self) -> u32 {
        self.tables.pod_network_flags()
    }
    fn in_pod_network(&self, addr: &Addr) -> bool {
        self.tables.in_pod_network(addr)
    }
    fn identity(&self, addr: &Addr) -> Option<Identity> {
        let identity = self.tables.identity(addr)?;
        Some(Identity { last: self.only(identity.last), next: self.only(identity.next), ..identity })
    }
    fn block(&self, addr: &Addr) -> Option<Block> {
        self.tables.block(addr)
    }
    fn rule(&self, key: &RuleKey) -> Option<Rule> {
        self.tables.rule(key)
    }
    fn is_node(&self, addr: &Addr) -> bool {
        self.tables.is_node(addr)
    }
    fn judge(&self, question: &Question, ruling: &mut Ruling) -> Result<(), Reason> {
        policy::judge(self, question, ruling)
    }
}
