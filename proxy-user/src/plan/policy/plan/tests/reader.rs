//! A reader of the tables, as the kernel programs are.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use proxy_common::addr::{Addr, Port};
use proxy_common::plain::PlainTables;
use proxy_common::policy::{Question, Ruling, judge, ruling_flags};
use proxy_common::tables::pod_network_flags;

use super::changes::ADDRESSES;
use crate::plan::{PolicyImage, PolicyWrite};

/// Source, destination, protocol and port.
type Packet = (Addr, Addr, u32, u16);

/// Whether it passes, and what of it is only reported.
pub(super) type Verdict = Result<u32, ()>;

impl PolicyImage {
    /// How many entries there are of each kind.
    pub(super) fn lengths(&self) -> [usize; 6] {
        [
            self.names.len(),
            self.set_policies.len(),
            self.rules.len(),
            self.blocks.len(),
            self.identities.len(),
            self.pod_network.flags as usize,
        ]
    }
}

fn tables(image: &PolicyImage) -> PlainTables {
    let network = |prefix: &crate::plan::BlockPrefix| {
        let addr = IpAddr::from(prefix.addr);
        let before = if addr.is_ipv4() { 96 } else { 0 };
        IpNetwork::new(addr, (prefix.bits - before) as u8).unwrap()
    };
    PlainTables {
        generation: image.generation,
        pod_network: image.pod_network,
        identities: image.identities.clone(),
        blocks: image.blocks.iter().map(|(prefix, block)| (network(prefix), *block)).collect(),
        rules: image.rules.iter().map(|(prefix, rule)| ((prefix.key, prefix.bits), *rule)).collect(),
        ..PlainTables::default()
    }
}

/// What becomes of each packet from any address to any other.
pub(super) fn verdicts(image: &PolicyImage) -> BTreeMap<Packet, Verdict> {
    let tables = tables(image);
    let addresses = || ADDRESSES.iter().map(|text| text.parse::<IpAddr>().unwrap());
    let pairs = addresses().flat_map(|src| addresses().map(move |dst| (src, dst)));
    let pairs = pairs.filter(|(src, dst)| src != dst && src.is_ipv4() == dst.is_ipv4());
    let services = [(6, 80), (6, 8080), (6, 9000), (17, 80), (1, 0)];
    let packets =
        pairs.flat_map(|(src, dst)| services.map(|(protocol, port)| (src.into(), dst.into(), protocol, port)));
    packets.map(|packet| (packet, verdict(image, &tables, packet))).collect()
}

fn verdict(image: &PolicyImage, tables: &PlainTables, (src, dst, protocol, port): Packet) -> Verdict {
    let asked = pod_network_flags::POLICED | pod_network_flags::HOLD_UNKNOWN;
    if image.pod_network.flags & asked == 0 {
        return Ok(0);
    }
    let question = Question { src, dst, protocol, port: Port::new(port), from_node: 0 };
    let mut ruling = Ruling::default();
    let verdict = judge(tables, &question, &mut ruling).map_err(drop);
    for rule in [ruling.ingress, ruling.egress] {
        assert!(rule.policy == 0 || image.names.contains_key(&rule.policy), "{rule:?} is of no policy");
    }
    verdict.map(|()| ruling.flags & (ruling_flags::AUDIT_EGRESS | ruling_flags::AUDIT_INGRESS))
}

/// What becomes of one packet.
pub(super) fn verdict_of(image: &PolicyImage, src: &str, dst: &str, protocol: u32, port: u16) -> Verdict {
    verdict(image, &tables(image), (addr(src), addr(dst), protocol, port))
}

/// The ruling for one packet that passes.
pub(super) fn ruling_of(image: &PolicyImage, src: &str, dst: &str, protocol: u32, port: u16) -> Option<Ruling> {
    let question = Question { src: addr(src), dst: addr(dst), protocol, port: Port::new(port), from_node: 0 };
    let mut ruling = Ruling::default();
    judge(&tables(image), &question, &mut ruling).ok().map(|()| ruling)
}

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// Carries the writes out one by one with a reader after each; returns the last state. Before the generation begins, all
/// but what was held is as it was, and after that as it is to be.
pub(super) fn check_every_step(before: &PolicyImage, writes: &[PolicyWrite]) -> PolicyImage {
    let mut after = before.clone();
    for write in writes {
        after.apply(write);
    }
    let (old, new) = (verdicts(before), verdicts(&after));
    let held = |image: &PolicyImage, addr: &Addr| {
        let holds = image.pod_network.flags & pod_network_flags::HOLD_UNKNOWN != 0;
        holds && image.pod_network.contains(addr) && !image.identities.contains_key(addr)
    };
    let mut now = before.clone();
    for (step, write) in writes.iter().enumerate() {
        now.apply(write);
        let begun = after.generation != before.generation && now.generation == after.generation;
        for (packet, verdict) in verdicts(&now) {
            let ends = [packet.0, packet.1];
            let (was, will) = (old[&packet], new[&packet]);
            let of_two = verdict == was || verdict == will;
            assert!(
                of_two,
                "{packet:?}: {verdict:?}, not {was:?} or {will:?}, after write {step} of {writes:#?}\n{before:#?}"
            );
            let is_free = ends.iter().any(|addr| held(before, addr) || held(&after, addr));
            if !is_free && after.generation != before.generation {
                let expected = if begun { will } else { was };
                assert_eq!(verdict, expected, "{packet:?} after write {step} of {writes:#?}\n{before:#?}");
            }
        }
    }
    now
}
