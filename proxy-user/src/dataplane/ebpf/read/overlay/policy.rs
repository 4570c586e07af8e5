//! The verdict of NetworkPolicy on the pinned tables.

use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::policy::{self, PolicyTables, Question, Ruling};
use proxy_common::service::ServiceTables as _;
use proxy_common::tables::{Block, Identity, PodNetwork, Rule, RuleKey, address_flags};

use super::Overlay;

impl Overlay<'_> {
    fn pod_network(&self) -> Option<PodNetwork> {
        self.seen(self.pinned.policies.pod_network().map(Some))
    }
}

impl PolicyTables for Overlay<'_> {
    fn generation(&self) -> u32 {
        self.seen(self.pinned.policies.generation().map(Some)).unwrap_or_default()
    }
    fn pod_network_flags(&self) -> u32 {
        self.pod_network().unwrap_or_default().flags
    }
    fn in_pod_network(&self, addr: &Addr) -> bool {
        self.pod_network().is_some_and(|network| network.contains(addr))
    }
    fn identity(&self, addr: &Addr) -> Option<Identity> {
        self.seen(self.pinned.policies.identities.get(addr))
    }
    fn block(&self, addr: &Addr) -> Option<Block> {
        self.seen(self.pinned.policies.blocks.longest(addr))
    }
    fn rule(&self, key: &RuleKey) -> Option<Rule> {
        self.seen(self.pinned.policies.rules.longest(key))
    }
    fn is_node(&self, addr: &Addr) -> bool {
        self.address(addr).is_some_and(|address| address.is(address_flags::NODE))
    }
    fn judge(&self, question: &Question, ruling: &mut Ruling) -> Result<(), Reason> {
        policy::judge(self, question, ruling)
    }
}
