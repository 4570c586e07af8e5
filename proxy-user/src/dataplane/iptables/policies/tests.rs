//! The rules in the kernel, in a network namespace of the test's own; they take root, `iptables` and `ipset`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;

use ipnetwork::IpNetwork;
use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::tables::{Block, Identity, PodNetwork, Policing, Rule, RuleKey, identity_flags, pod_network_flags};

use super::sync::Step;
use super::{FORWARD, PolicyRules};
use crate::dataplane::iptables::Rules;
use crate::dataplane::iptables::remove;
use crate::dataplane::iptables::restore::{Restore, Table};
use crate::dataplane::iptables::save::Saved;
use crate::plan::{PolicyImage, PolicyWrite, RulePrefix};

const INGRESS: u32 = 1;
const EGRESS: u32 = 2;
const CLIENTS: u32 = 1;
const OUTSIDE: u32 = 2;

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn apply(image: &mut PolicyImage, writes: &[PolicyWrite]) {
    for write in writes {
        image.apply(write);
    }
}

fn identity(pod: &str, flags: u32, ifindex: u32, next: Policing) -> PolicyWrite {
    PolicyWrite::PutIdentity(addr(pod), Identity { flags, ifindex, since: 0, last: Policing::default(), next })
}

fn rule(set: u32, class: u32, number: u8, port: u16, bits: u32) -> PolicyWrite {
    let key = RuleKey { set, class, protocol: number.into(), port: Port::new(port) };
    PolicyWrite::PutRule(RulePrefix { key, bits }, Rule::default())
}

fn block(network: &str, class: u32) -> PolicyWrite {
    let network: IpNetwork = network.parse().unwrap();
    PolicyWrite::PutBlock(network.into(), Block { next: class, ..Block::default() })
}

/// A client elsewhere.
fn client(pod: &str) -> PolicyWrite {
    identity(pod, 0, 0, Policing { class: CLIENTS, ..Policing::default() })
}

/// Two isolated addresses of one pod, a client elsewhere, and every kind of rule.
fn image() -> PolicyImage {
    let mut image = PolicyImage::default();
    let isolated = Policing { class: 0, ingress: INGRESS, egress: EGRESS };
    let mut writes = vec![
        identity("10.244.1.5", identity_flags::LOCAL, 7, isolated),
        identity("fd00:10:244:1::5", identity_flags::LOCAL, 7, isolated),
        identity("10.244.1.6", identity_flags::LOCAL, 8, Policing::default()),
        client("10.244.2.9"),
        client("fd00:10:244:2::9"),
        PolicyWrite::PutPodNetwork(PodNetwork {
            flags: pod_network_flags::POLICED | pod_network_flags::HOLD_UNKNOWN,
            ipv4: addr("10.244.1.0"),
            ipv4_mask: addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00"),
            ipv6: addr("fd00:10:244:1::"),
            ipv6_mask: addr("ffff:ffff:ffff:ffff::"),
        }),
    ];
    writes.extend(["0.0.0.0/0", "::/0"].map(|all| block(all, OUTSIDE)));
    writes.extend(["10.244.0.0/16", "fd00:10:244::/48", "192.0.2.7/32"].map(|inner| block(inner, 0)));
    for set in [INGRESS, EGRESS] {
        writes.push(rule(set, CLIENTS, protocol::TCP, 80, RuleKey::BITS));
        writes.push(rule(set, CLIENTS, protocol::SCTP, 1024, RuleKey::BITS - 6));
        writes.push(rule(set, OUTSIDE, protocol::UDP, 0, RuleKey::ANY_PORT));
        writes.push(rule(set, OUTSIDE, protocol::TCP, 0, RuleKey::BITS - 10));
        writes.push(rule(set, OUTSIDE, protocol::TCP, 0x8000, RuleKey::ANY_PORT + 1));
        writes.push(rule(set, 0, protocol::UDP, 53, RuleKey::BITS));
    }
    writes.push(rule(EGRESS, CLIENTS, 0, 0, RuleKey::ANY_PROTOCOL));
    apply(&mut image, &writes);
    image
}

fn pods() -> BTreeMap<u32, String> {
    [(7, "veth7".to_owned()), (8, "veth8".to_owned())].into()
}

/// What a new agent would change.
fn left_to_do(rules: &Rules, image: &PolicyImage) -> Step {
    let wanted = PolicyRules::of(&rules.families, false, image, &pods());
    Step::from_kernel(wanted, &rules.families).unwrap()
}

#[track_caller]
fn assert_in_force(rules: &Rules, image: &PolicyImage) {
    let step = left_to_do(rules, image);
    assert!(step.is_nothing(), "{step:#?}");
}

fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let namespace = thread::spawn(|| {
        // SAFETY: only the network namespace of this thread changes, and goes away with it.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.expect("root");
        test();
    });
    if let Err(panic) = namespace.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn rules_that_are_in_force_are_not_written_again() {
    in_namespace(|| {
        let (image, mut rules) = (image(), Rules::open().unwrap());
        assert!(!left_to_do(&rules, &image).is_nothing());
        rules.sync_policies(&image, None, &pods()).unwrap();
        assert_in_force(&rules, &image);
    });
}

#[test]
fn changes_lead_the_kernel_to_what_a_new_agent_would_make() {
    in_namespace(|| {
        let (mut image, mut rules) = (image(), Rules::open().unwrap());
        rules.sync_policies(&image, None, &pods()).unwrap();
        let open = Policing::default();
        let crowd = (0..300).map(|number: u16| client(&format!("10.245.{}.{}", number / 256, number % 256)));
        let changes: Vec<Vec<PolicyWrite>> = vec![
            vec![client("10.244.2.10"), client("fd00:10:244:2::a")],
            vec![PolicyWrite::DeleteIdentity(addr("10.244.2.9"))],
            vec![identity("10.244.2.10", 0, 0, open), block("10.244.2.0/24", CLIENTS)],
            vec![identity("10.244.2.10", 0, 0, Policing { class: OUTSIDE, ..open })],
            crowd.collect(),
            vec![
                rule(INGRESS, 9, protocol::TCP, 443, RuleKey::BITS),
                identity("10.244.3.1", 0, 0, Policing { class: 9, ..open }),
            ],
            vec![identity("10.244.1.5", identity_flags::LOCAL, 7, Policing { ingress: 5 | Policing::AUDIT, ..open })],
            vec![identity("10.244.1.6", identity_flags::LOCAL, 8, Policing { egress: EGRESS, ..open })],
            vec![
                PolicyWrite::DeleteIdentity(addr("10.244.1.5")),
                PolicyWrite::DeleteIdentity(addr("fd00:10:244:1::5")),
            ],
            vec![PolicyWrite::PutPodNetwork(PodNetwork::default())],
        ];
        for (at, writes) in changes.iter().enumerate() {
            apply(&mut image, writes);
            rules.sync_policies(&image, Some(writes), &pods()).unwrap_or_else(|error| panic!("change {at}: {error}"));
            // Sets that nobody asks any more go with the next change.
            rules.sync_policies(&image, Some(&[]), &pods()).unwrap();
            assert_in_force(&rules, &image);
        }
    });
}

#[test]
fn policies_are_asked_before_other_chains_of_ours() {
    in_namespace(|| {
        let (image, mut rules) = (image(), Rules::open().unwrap());
        rules.sync_policies(&image, None, &pods()).unwrap();
        let mut other = Restore::default();
        other.push(Table::Filter, ":SLUICE-FORWARD - [0:0]");
        other.push(Table::Filter, "-I FORWARD 1 -j SLUICE-FORWARD");
        other.run(proxy_common::addr::Family::V4).unwrap();
        rules.sync_policies(&image, None, &pods()).unwrap();
        let saved = Saved::read(proxy_common::addr::Family::V4, Table::Filter).unwrap();
        let jumps: Vec<_> = saved.jumps.iter().filter(|jump| jump.starts_with("-A FORWARD")).collect();
        assert_eq!(jumps, [&format!("-A FORWARD -j {FORWARD}"), "-A FORWARD -j SLUICE-FORWARD"]);
    });
}

#[test]
fn nothing_stays_behind() {
    in_namespace(|| {
        let mut rules = Rules::open().unwrap();
        rules.sync_policies(&image(), None, &pods()).unwrap();
        assert!(remove().unwrap());
        assert!(!remove().unwrap());
    });
}
