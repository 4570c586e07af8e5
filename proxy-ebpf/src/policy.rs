//! The verdict's look-ups, on the maps, and the verdict itself.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::maps::lpm_trie::Key;
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::policy::{PolicyTables, Question, Ruling, judge};
use proxy_common::service::ServiceTables as _;
use proxy_common::tables::{Block, Identity, Rule, RuleKey, address_flags};

use crate::maps::{BLOCKS, IDENTITIES, POD_NETWORK, POLICY_GENERATION, RULE_HITS, RULES, scratch};
use crate::tables::Maps;

/// Bits of an address in `BLOCKS`.
const ADDR_BITS: u32 = size_of::<Addr>() as u32 * 8;

impl PolicyTables for Maps {
    #[inline(always)]
    fn generation(&self) -> u32 {
        POLICY_GENERATION.get(0).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn pod_network_flags(&self) -> u32 {
        POD_NETWORK.get(0).map_or(0, |network| network.flags)
    }

    #[inline(always)]
    fn in_pod_network(&self, addr: &Addr) -> bool {
        POD_NETWORK.get(0).is_some_and(|network| network.contains(addr))
    }

    #[inline(always)]
    fn identity(&self, addr: &Addr) -> Option<Identity> {
        // SAFETY: the kernel keeps the element's memory readable until the program ends, and it is copied at once.
        unsafe { IDENTITIES.get(addr) }.copied()
    }

    #[inline(always)]
    fn block(&self, addr: &Addr) -> Option<Block> {
        BLOCKS.get(Key::new(ADDR_BITS, *addr)).copied()
    }

    #[inline(always)]
    fn rule(&self, key: &RuleKey) -> Option<Rule> {
        RULES.get(Key::new(RuleKey::BITS, *key)).copied()
    }

    #[inline(always)]
    fn is_node(&self, addr: &Addr) -> bool {
        self.address(addr).is_some_and(|address| address.is(address_flags::NODE))
    }

    #[inline(always)]
    fn judge(&self, question: &Question, ruling: &mut Ruling) -> Result<(), Reason> {
        let Some(scratch) = scratch() else { return Err(Reason::PolicyChanging) };
        // SAFETY: this CPU's, and nobody else holds a reference into these two fields.
        unsafe { (*scratch).question = *question };
        let number = judge_question();
        // SAFETY: as above.
        *ruling = unsafe { (*scratch).ruling };
        match number {
            PASSES => Ok(()),
            EGRESS => Err(Reason::PolicyEgress),
            INGRESS => Err(Reason::PolicyIngress),
            UNKNOWN => Err(Reason::UnknownPod),
            _ => Err(Reason::PolicyChanging),
        }
    }
}

const PASSES: u32 = 0;
const EGRESS: u32 = Reason::PolicyEgress.number();
const INGRESS: u32 = Reason::PolicyIngress.number();
const UNKNOWN: u32 = Reason::UnknownPod.number();

/// Answers the question in the scratch by a ruling there. Returns the reason's number. A function that the verifier looks
/// at by itself and once, for all who ask.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn judge_question() -> u32 {
    let Some(scratch) = scratch() else { return Reason::PolicyChanging.number() };
    // SAFETY: this CPU's; whoever asks holds no reference into these two fields.
    let (question, ruling) = unsafe { (&(*scratch).question, &mut (*scratch).ruling) };
    match judge(&Maps, question, ruling) {
        Ok(()) => {
            count(&ruling.egress);
            count(&ruling.ingress);
            PASSES
        }
        Err(reason) => reason.number(),
    }
}

/// Counts a verdict by the rule that allowed it, if it took one.
#[inline(never)]
fn count(rule: &Rule) {
    if rule.policy == 0 {
        return;
    }
    match RULE_HITS.get_ptr_mut(rule) {
        // SAFETY: an element stays readable and writable until the program ends, and only this CPU writes its part.
        Some(hits) => unsafe { *hits += 1 },
        // Of two CPUs that were first at once, one isn't counted; nor is any in a full table.
        None => drop(RULE_HITS.insert(rule, 1, u64::from(BPF_NOEXIST))),
    }
}
