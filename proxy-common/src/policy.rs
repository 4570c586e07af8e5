//! Whether NetworkPolicy lets a packet pass, and by which rules.
//!
//! Both ends decide: the egress of a source that is a pod of this node, and the ingress of such a destination. The other
//! ends are other nodes' affair. An isolated direction passes what some rule of some policy that isolates it allows
//! (NetworkPolicy v1 knows no rule that denies).

use crate::addr::{Addr, Port};
use crate::drop::Reason;
use crate::tables::{Block, Identity, Policing, Rule, RuleKey, pod_network_flags};

/// Look-ups a verdict needs.
pub trait PolicyTables {
    /// Value of `POLICY_GENERATION`.
    fn generation(&self) -> u32;
    /// [`crate::tables::PodNetwork::flags`].
    fn pod_network_flags(&self) -> u32;
    /// [`crate::tables::PodNetwork::contains`].
    fn in_pod_network(&self, addr: &Addr) -> bool;
    /// Entry of `IDENTITIES`.
    fn identity(&self, addr: &Addr) -> Option<Identity>;
    /// Entry of `BLOCKS` with the longest prefix.
    fn block(&self, addr: &Addr) -> Option<Block>;
    /// Entry of `RULES` with the longest prefix.
    fn rule(&self, key: &RuleKey) -> Option<Rule>;
    /// Whether an address is one of the node's own (`ADDRESSES`).
    fn is_node(&self, addr: &Addr) -> bool;
    /// Takes the verdict: [`judge`], wherever a kernel program may have the room for it.
    ///
    /// # Errors
    /// Those of [`judge`].
    fn judge(&self, question: &Question, ruling: &mut Ruling) -> Result<(), Reason>;
}

/// What is to be judged: a packet in the direction of its flow's first, with the ends that the pods see.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Question {
    /// The client's own address, before any translation.
    pub src: Addr,
    /// The address it gets to: the pod behind a Service.
    pub dst: Addr,
    /// IP protocol number.
    pub protocol: u32,
    /// Destination port there; 0 of a protocol without.
    pub port: Port,
    /// Not 0 where a source that is the node's can be believed, because the packet comes by no interface.
    pub from_node: u16,
}

/// The verdict's reasons. What no rule was needed for has number 0 there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Ruling {
    /// The generation it was taken in.
    pub generation: u32,
    /// [`ruling_flags`].
    pub flags: u32,
    /// The rule that lets the source send it.
    pub egress: Rule,
    /// The rule that lets the destination have it.
    pub ingress: Rule,
}

impl Ruling {
    /// Nothing is said yet, but that it is said in a generation.
    #[inline(always)]
    fn begun(generation: u32) -> Self {
        let zero = zero();
        let none = Rule { policy: zero, index: zero };
        Self { generation, flags: zero, egress: none, ingress: none }
    }
}

/// A zero that the compiler doesn't know for one: what it takes for a fill with zeroes becomes a loop over bytes in the
/// kernel programs.
#[inline(always)]
fn zero() -> u32 {
    core::hint::black_box(0)
}

/// Bits of [`Ruling::flags`].
pub mod ruling_flags {
    /// An end is policed: what passes is to be remembered, so that its replies pass too.
    pub const POLICED: u32 = 1 << 0;
    /// The destination is a pod of this node.
    pub const TO_POD: u32 = 1 << 1;
    /// Would not pass the source's egress, were it enforced.
    pub const AUDIT_EGRESS: u32 = 1 << 2;
    /// Would not pass the destination's ingress, were it enforced.
    pub const AUDIT_INGRESS: u32 = 1 << 3;
}

/// Number of the class that is everybody's.
pub const EVERYBODY: u32 = 0;

/// Times a verdict begins again because the policies changed under it.
const ATTEMPTS: u32 = 3;

/// Takes the verdict.
///
/// # Errors
/// [`Reason::PolicyEgress`], [`Reason::PolicyIngress`]; [`Reason::UnknownPod`] where an end is an address of this node's pods
/// that no pod is known to have; [`Reason::PolicyChanging`].
#[inline(always)]
pub fn judge(tables: &impl PolicyTables, question: &Question, ruling: &mut Ruling) -> Result<(), Reason> {
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        attempt += 1;
        let generation = tables.generation();
        *ruling = Ruling::begun(generation);
        let verdict = judge_in(tables, question, ruling);
        // Entries hold two generations: what was read was this one's as long as no other has begun.
        if tables.generation() == generation {
            return verdict;
        }
    }
    Err(Reason::PolicyChanging)
}

#[inline(never)]
fn judge_in(tables: &impl PolicyTables, question: &Question, ruling: &mut Ruling) -> Result<(), Reason> {
    let (mut source, mut destination) = (End::unknown(), End::unknown());
    end(tables, &question.src, ruling.generation, &mut source)?;
    let by_node = || question.from_node != 0 && tables.is_node(&question.src);
    if let Err(held) = end(tables, &question.dst, ruling.generation, &mut destination)
        && !by_node()
    {
        return Err(held);
    }
    if destination.local {
        ruling.flags |= ruling_flags::TO_POD;
    }
    if (source.local && source.policing.is_policed()) || (destination.local && destination.policing.is_policed()) {
        ruling.flags |= ruling_flags::POLICED;
    }
    // A pod can't keep itself out.
    if question.src == question.dst {
        return Ok(());
    }
    if source.local && source.policing.egress != 0 {
        let set = source.policing.egress;
        let class = class(tables, &question.dst, &destination, ruling.generation);
        if !allows(tables, set, class, question, &mut ruling.egress) && !tables.is_node(&question.dst) {
            if set & Policing::AUDIT == 0 {
                return Err(Reason::PolicyEgress);
            }
            ruling.flags |= ruling_flags::AUDIT_EGRESS;
        }
    }
    if destination.local && destination.policing.ingress != 0 {
        let set = destination.policing.ingress;
        let class = class(tables, &question.src, &source, ruling.generation);
        if !allows(tables, set, class, question, &mut ruling.ingress) && !by_node() {
            if set & Policing::AUDIT == 0 {
                return Err(Reason::PolicyIngress);
            }
            ruling.flags |= ruling_flags::AUDIT_INGRESS;
        }
    }
    Ok(())
}

/// What is known of one end.
struct End {
    known: bool,
    local: bool,
    policing: Policing,
}

impl End {
    #[inline(always)]
    fn unknown() -> Self {
        let zero = zero();
        Self { known: false, local: false, policing: Policing { class: zero, ingress: zero, egress: zero } }
    }
}

// These are functions of their own so that the stack of one is free again for the next.

#[inline(never)]
fn end(tables: &impl PolicyTables, addr: &Addr, generation: u32, end: &mut End) -> Result<(), Reason> {
    if let Some(identity) = tables.identity(addr) {
        *end = End { known: true, local: identity.is_local(), policing: identity.at(generation) };
        return Ok(());
    }
    let hold = tables.pod_network_flags() & pod_network_flags::HOLD_UNKNOWN != 0;
    if hold && tables.in_pod_network(addr) && !tables.is_node(addr) { Err(Reason::UnknownPod) } else { Ok(()) }
}

#[inline(never)]
fn class(tables: &impl PolicyTables, addr: &Addr, end: &End, generation: u32) -> u32 {
    if end.known {
        return end.policing.class;
    }
    tables.block(addr).map_or(EVERYBODY, |block| block.at(generation))
}

#[inline(never)]
fn allows(tables: &impl PolicyTables, set: u32, class: u32, question: &Question, rule: &mut Rule) -> bool {
    let mut key =
        RuleKey { set: set & !Policing::AUDIT, class, protocol: question.protocol as u16, port: question.port };
    let found = tables.rule(&key).or_else(|| {
        if class == EVERYBODY {
            return None;
        }
        key.class = EVERYBODY;
        tables.rule(&key)
    });
    match found {
        Some(found) => {
            *rule = found;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
