//! Tells user space what became of packets, if somebody listens. Nobody does mostly, which costs one look-up.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use proxy_common::drop::Reason;
use proxy_common::event::{Event, kind};
use proxy_common::policy::ruling_flags::{AUDIT_EGRESS, AUDIT_INGRESS, POLICED};
use proxy_common::tables::Rule;

use super::skb::Skb;
use crate::maps::{EVENTS, LISTENING, Scratch, TOLD, count_audit};

/// Tells of a packet that is dropped or refused.
#[inline(always)]
pub(super) fn drop(skb: Skb, reason: Reason, scratch: &Scratch) {
    tell(skb, kind::DROP, reason.number(), scratch);
}

/// Tells of a packet that policies were asked about, and that passes; counts it where it would not if they were enforced.
#[inline(always)]
pub(super) fn verdict(skb: Skb, scratch: &Scratch) {
    let flags = scratch.ruling.flags;
    if flags & POLICED != 0 {
        passes(skb, scratch);
    }
}

#[inline(never)]
fn passes(skb: Skb, scratch: &Scratch) {
    let flags = scratch.ruling.flags;
    let audits = [(AUDIT_EGRESS, Reason::PolicyEgress), (AUDIT_INGRESS, Reason::PolicyIngress)];
    for (flag, reason) in audits {
        if flags & flag != 0 {
            count_audit(reason);
            tell(skb, kind::AUDIT, reason.number(), scratch);
        }
    }
    // What no rule had to allow is no news: a node's probes, a policed pod's other direction.
    let by_rule = scratch.ruling.egress.policy | scratch.ruling.ingress.policy != 0;
    if by_rule && flags & (AUDIT_EGRESS | AUDIT_INGRESS) == 0 {
        tell(skb, kind::ALLOW, 0, scratch);
    }
}

#[inline(never)]
fn tell(skb: Skb, kind: u32, reason: u32, scratch: &Scratch) {
    let Some(listening) = LISTENING.get(0) else { return };
    if listening.kinds & (1 << kind) == 0 {
        return;
    }
    let Some(told) = TOLD.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's element, and no program runs inside this function.
    let told = unsafe { &mut *told };
    // SAFETY: the helper takes nothing and only returns a number.
    let time = unsafe { bpf_ktime_get_ns() };
    if !told.admits(listening.per_second, (time / 1_000_000_000) as u32) {
        return;
    }
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        told.skipped = told.skipped.wrapping_add(1);
        return;
    };
    let key = scratch.packet.key;
    let (dst, dst_port, egress, ingress) = if is_of_verdict(kind, reason) {
        let (question, ruling) = (&scratch.question, &scratch.ruling);
        // A reply is judged as its flow's first packet was, the other way round.
        let forward = question.src == key.src;
        let (dst, port) = if forward { (question.dst, question.port) } else { (key.dst, key.dst_port) };
        (dst, port, ruling.egress, ruling.ingress)
    } else {
        (key.dst, key.dst_port, Rule::default(), Rule::default())
    };
    entry.write(Event {
        time,
        key,
        dst,
        dst_port,
        tcp_flags: u16::from(scratch.packet.tcp_flags),
        ifindex: skb.ifindex(),
        kind,
        reason,
        egress,
        ingress,
        length: skb.length(),
        skipped: told.skipped,
    });
    entry.submit(0);
    told.skipped = 0;
}

/// Whether policies were asked about this packet: question and ruling are its own.
#[inline(always)]
const fn is_of_verdict(kind: u32, reason: u32) -> bool {
    const EGRESS: u32 = Reason::PolicyEgress.number();
    const INGRESS: u32 = Reason::PolicyIngress.number();
    kind != kind::DROP || matches!(reason, EGRESS | INGRESS)
}
