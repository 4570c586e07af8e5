//! NetworkPolicy in the packet path.

use proxy_common::addr::protocol::{ICMP, ICMPV6, TCP, UDP};
use proxy_common::drop::Reason;
use proxy_common::tables::{self, Device, PodNetwork, Policing, RuleKey, pod_network_flags};

use crate::bench::{Bench, HERE, NODE, Verdict, ip};
use crate::packet::{echo, fragments, icmp_error, tcp, udp};
use crate::service::{FAMILIES, Names, ends};

const INGRESS: u32 = 7;
const EGRESS: u32 = 8;
const FRIENDS: u32 = 3;
const EVERYBODY: u32 = 0;

const ONLY_INGRESS: Policing = Policing { class: 0, ingress: INGRESS, egress: 0 };
const ONLY_EGRESS: Policing = Policing { class: 0, ingress: 0, egress: EGRESS };
const BOTH: Policing = Policing { class: 0, ingress: INGRESS, egress: EGRESS };

const NEXT: Verdict = Verdict::Next;
const DROP: Verdict = Verdict::Drop;

fn addr(socket: &str) -> String {
    socket.parse::<std::net::SocketAddr>().unwrap().ip().to_string()
}

/// The policed pod of a family's names, behind the interface of the test runs.
fn policed(pod: &str, policing: Policing) -> Bench {
    let mut bench = Bench::new();
    bench.generation(1);
    bench.pod(&addr(pod), policing);
    bench
}

fn for_each(story: impl Fn(&Names)) {
    FAMILIES.iter().for_each(story);
}

fn verdict(bench: &mut Bench, program: &str, frame: &[u8]) -> Verdict {
    bench.run(program, frame).0
}

#[test]
fn an_isolated_pod_is_reached_and_reaches_by_rules_alone_and_the_rules_are_counted() {
    for_each(|names| {
        let mut bench = policed(names.pod, BOTH);
        let (into, out) = (tcp(names.remote, names.pod, "S"), tcp(names.pod, names.remote, "S"));
        assert_eq!(verdict(&mut bench, "from_uplink", &into), DROP);
        assert_eq!(verdict(&mut bench, "from_pod", &out), DROP);
        assert_eq!((bench.drops(Reason::PolicyIngress), bench.drops(Reason::PolicyEgress)), (1, 1));
        assert_eq!((bench.flows(), bench.hits()), ((0, 0), 0));
        bench.rule((INGRESS, EVERYBODY), TCP, 40_000, RuleKey::BITS);
        bench.rule((EGRESS, EVERYBODY), TCP, 8_080, RuleKey::BITS);
        assert_eq!(bench.run("from_uplink", &into), (NEXT, into.clone()));
        assert_eq!(bench.hits(), 1);
        let other = tcp(names.pod, &names.remote.replace("8080", "8081"), "S");
        assert_eq!(verdict(&mut bench, "from_pod", &other), DROP);
    });
}

#[test]
fn rules_tell_classes_ports_and_protocols_apart() {
    for_each(|names| {
        let mut bench = policed(names.pod, ONLY_INGRESS);
        bench.peer(&addr(names.remote), FRIENDS);
        let network = if names.client.starts_with('[') { ("2001:db8:2::", 48) } else { ("198.51.100.0", 24) };
        bench.block(network.0, network.1, FRIENDS);
        let pod = addr(names.pod);
        let at = |port: u16| std::net::SocketAddr::new(pod.parse().unwrap(), port).to_string();
        let passes = |bench: &mut Bench, src: &str, port: u16, with: &dyn Fn(&str, &str) -> Vec<u8>| {
            verdict(bench, "from_uplink", &with(src, &at(port))) == NEXT
        };
        let syn = |src: &str, dst: &str| tcp(src, dst, "S");
        let datagram = |src: &str, dst: &str| udp(src, dst, b"?");
        bench.rule((INGRESS, FRIENDS), TCP, 8_000, RuleKey::BITS - 3);
        for friend in [names.remote, names.client] {
            assert!(passes(&mut bench, friend, 8_000, &syn) && passes(&mut bench, friend, 8_007, &syn));
            assert!(!passes(&mut bench, friend, 8_008, &syn) && !passes(&mut bench, friend, 8_000, &datagram));
        }
        let stranger = if names.client.starts_with('[') { "[2001:db8:3::10]:40000" } else { "203.0.113.10:40000" };
        assert!(!passes(&mut bench, stranger, 8_000, &syn));
        bench.rule((INGRESS, EVERYBODY), UDP, 0, RuleKey::ANY_PORT);
        assert!(passes(&mut bench, stranger, 53, &datagram) && !passes(&mut bench, stranger, 53, &syn));
    });
}

#[test]
fn replies_of_what_is_allowed_pass_and_errors_about_it_and_nothing_else_does() {
    for_each(|names| {
        for frame in [|src: &str, dst: &str| tcp(src, dst, "S"), |src: &str, dst: &str| udp(src, dst, b"?")] {
            let mut bench = policed(names.pod, BOTH);
            for protocol in [TCP, UDP] {
                bench.rule((EGRESS, EVERYBODY), protocol, 8_080, RuleKey::BITS);
            }
            let (ask, answer) = (frame(names.pod, names.remote), frame(names.remote, names.pod));
            let answer =
                if answer[23] == TCP || answer[20] == TCP { tcp(names.remote, names.pod, "SA") } else { answer };
            let kind = if names.pod.starts_with('[') { 1 } else { 3 };
            let router = if names.pod.starts_with('[') { "2001:db8:9::9" } else { "203.0.113.9" };
            let error = icmp_error(router, &addr(names.pod), kind, 3, 0, &ask);
            assert_eq!(verdict(&mut bench, "from_uplink", &answer), DROP);
            assert_eq!(verdict(&mut bench, "from_uplink", &error), DROP);
            assert_eq!(verdict(&mut bench, "from_pod", &ask), NEXT);
            assert_eq!(bench.run("from_uplink", &answer), (NEXT, answer.clone()));
            assert_eq!(bench.run("from_uplink", &error), (NEXT, error.clone()));
            assert_eq!(bench.run_forwarded("to_pod", &answer).0, NEXT);
        }
    });
}

#[test]
fn a_ping_is_a_flow_too() {
    for_each(|names| {
        let mut bench = policed(names.pod, BOTH);
        let (ask, answer) = (echo(names.pod, names.remote), echo(names.remote, names.pod));
        assert_eq!(verdict(&mut bench, "from_uplink", &answer), DROP);
        let number = if names.pod.starts_with('[') { ICMPV6 } else { ICMP };
        bench.rule((EGRESS, EVERYBODY), number, 0, RuleKey::ANY_PROTOCOL);
        assert_eq!(verdict(&mut bench, "from_pod", &ask), NEXT);
        assert_eq!(verdict(&mut bench, "from_uplink", &answer), NEXT);
    });
}

#[test]
fn an_unpoliced_pod_leaves_no_record_and_without_policies_nobody_does() {
    for_each(|names| {
        let mut bench = policed(names.local, BOTH);
        bench.pod(&addr(names.pod), Policing::default());
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.pod, names.remote, "S")), NEXT);
        assert_eq!(verdict(&mut bench, "from_uplink", &udp(names.remote, names.pod, b"?")), NEXT);
        bench.pod_network(PodNetwork::default());
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.local, names.remote, "S")), NEXT);
        assert_eq!(bench.flows(), (0, 0));
    });
}

#[test]
fn a_changed_policy_ends_and_resumes_a_running_flow_in_both_directions() {
    for_each(|names| {
        let mut bench = policed(names.pod, BOTH);
        let (ask, answer) = (tcp(names.remote, names.pod, "A"), tcp(names.pod, names.remote, "A"));
        bench.rule((INGRESS, EVERYBODY), TCP, 40_000, RuleKey::BITS);
        for (program, frame) in
            [("from_uplink", &tcp(names.remote, names.pod, "S")), ("from_pod", &answer), ("from_uplink", &ask)]
        {
            assert_eq!(verdict(&mut bench, program, frame), NEXT);
        }
        assert_eq!(bench.flows(), (2, 0));
        bench.no_rules();
        bench.generation(2);
        assert_eq!(verdict(&mut bench, "from_pod", &answer), DROP);
        assert_eq!(verdict(&mut bench, "from_uplink", &ask), DROP);
        bench.rule((INGRESS, EVERYBODY), TCP, 40_000, RuleKey::BITS);
        bench.generation(3);
        assert_eq!(verdict(&mut bench, "from_uplink", &ask), NEXT);
        assert_eq!(verdict(&mut bench, "from_pod", &answer), NEXT);
        assert_eq!(bench.flows(), (2, 0));
        assert_eq!(bench.hits(), 2, "once at its beginning, once after the change");
    });
}

#[test]
fn a_service_is_judged_by_the_pod_behind_it_and_the_clients_own_address() {
    for_each(|names| {
        let mut bench = policed(names.local, ONLY_INGRESS);
        bench.service(&[names.cluster_ip, ":30080"], &[&format!("@{}", names.local)], 0);
        bench.pod(&addr(names.pod), Policing { class: FRIENDS, ..Policing::default() });
        bench.rule((INGRESS, FRIENDS), TCP, 8_080, RuleKey::BITS);
        assert_eq!(verdict(&mut bench, "from_uplink", &tcp(names.client, names.node_port, "S")), DROP);
        assert_eq!(bench.flows(), (0, 0));
        // Through a NodePort on its own node as well as through the ClusterIP.
        for (port, frontend) in [(40_001, names.cluster_ip), (40_002, names.node_port)] {
            let client = names.pod.replace("40000", &port.to_string());
            let (verdict, there) = bench.see("from_pod", &tcp(&client, frontend, "S"));
            assert_eq!((verdict, ends(&there)), (NEXT, (client.as_str(), names.local)));
            let answer = tcp(names.local, &client, "SA");
            assert_eq!(bench.run("from_pod", &answer).0, NEXT);
            // Nobody marked these: they are known by their flow, the first under the address that it was given.
            assert_eq!(bench.run_forwarded("to_pod", &tcp(&client, names.local, "S")).0, NEXT);
            let back = crate::packet::see(&bench.run_forwarded("to_pod", &answer).1);
            assert_eq!(ends(&back), (frontend, client.as_str()));
        }
        bench.no_rules();
        bench.generation(2);
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.local, &names.pod.replace("40000", "40001"), "A")), DROP);
    });
}

#[test]
fn a_pod_that_may_not_leave_reaches_no_endpoint_through_a_service() {
    for_each(|names| {
        let mut bench = policed(names.pod, ONLY_EGRESS);
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.pod, names.cluster_ip, "S")), DROP);
        bench.rule((EGRESS, EVERYBODY), TCP, 80, RuleKey::BITS);
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.pod, names.cluster_ip, "S")), DROP);
        bench.rule((EGRESS, EVERYBODY), TCP, 8_080, RuleKey::BITS);
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.pod, names.cluster_ip, "S")), NEXT);
    });
}

#[test]
fn the_node_and_its_pods_reach_one_another_and_who_only_says_so_does_not() {
    for_each(|names| {
        let mut bench = policed(names.pod, BOTH);
        let (into, out) = (tcp(names.node, names.pod, "S"), tcp(names.pod, names.node, "S"));
        assert_eq!(verdict(&mut bench, "to_pod", &into), NEXT);
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.pod, names.node, "SA")), NEXT);
        assert_eq!(verdict(&mut bench, "from_pod", &out), NEXT);
        assert_eq!(verdict(&mut bench, "to_pod", &echo(names.node, names.pod)), NEXT);
        let forged = tcp(&names.node.replace("40000", "41000"), names.pod, "S");
        assert_eq!(verdict(&mut bench, "from_uplink", &forged), DROP);
        // Through a Service, by the same right.
        bench.service(&[names.cluster_ip], &[&format!("@{}", names.pod)], 0);
        assert_eq!(verdict(&mut bench, "to_uplink", &tcp(names.node, names.cluster_ip, "S")), Verdict::Redirect);
        assert_eq!(verdict(&mut bench, "from_pod", &tcp(names.pod, names.node, "SA")), Verdict::Redirect);
    });
}

#[test]
fn what_leaves_to_a_pod_is_judged_there_unless_it_was_where_it_came_in() {
    for_each(|names| {
        let frame = tcp(names.remote, names.pod, "S");
        let mut bench = policed(names.pod, ONLY_INGRESS);
        assert_eq!(bench.run_forwarded("to_pod", &frame).0, DROP);
        assert_eq!(bench.drops(Reason::PolicyIngress), 1);
        let mut bench = Bench::where_all_is_judged();
        bench.generation(1);
        bench.pod(&addr(names.pod), ONLY_INGRESS);
        assert_eq!(bench.run_forwarded("to_pod", &frame), (NEXT, frame.clone()));
        // Judged for another interface's pod: not for this one.
        bench.pod_at(&addr(names.pod), HERE + 1, ONLY_INGRESS);
        assert_eq!(bench.run_forwarded("to_pod", &frame).0, DROP);
    });
}

#[test]
fn what_a_pod_gets_under_an_address_that_is_not_its_own_is_judged_as_sent_to_it() {
    for_each(|names| {
        let mut bench = policed(names.pod, ONLY_INGRESS);
        let [pod_ipv4, pod_ipv6] = [FAMILIES[0].pod, FAMILIES[1].pod].map(|pod| ip(&addr(pod)));
        bench.put(tables::DEVICES, HERE, Device { pod_ipv4, pod_ipv6, ..Device::default() });
        let group = if names.pod.starts_with('[') { "[ff02::fb]:5353" } else { "224.0.0.251:5353" };
        let frame = udp(names.remote, group, b"?");
        assert_eq!(bench.run_forwarded("to_pod", &frame).0, DROP);
        bench.rule((INGRESS, EVERYBODY), UDP, 5_353, RuleKey::BITS);
        assert_eq!(bench.run_forwarded("to_pod", &frame), (NEXT, frame.clone()));
    });
}

#[test]
fn frames_to_many_are_judged_where_the_pod_sends_them() {
    let group = "224.0.0.251:5353";
    let mut frame = udp(FAMILIES[0].pod, group, b"?");
    frame[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 0xfb]);
    let mut bench = policed(FAMILIES[0].pod, ONLY_EGRESS);
    assert_eq!(verdict(&mut bench, "from_pod", &frame), DROP);
    bench.rule((EGRESS, EVERYBODY), UDP, 5_353, RuleKey::BITS);
    assert_eq!(verdict(&mut bench, "from_pod", &frame), NEXT);
}

#[test]
fn what_leaves_the_node_unjudged_is_judged_there() {
    for_each(|names| {
        let mut bench = policed(names.pod, ONLY_EGRESS);
        let frame = tcp(names.pod, names.remote, "S");
        assert_eq!(bench.run_forwarded("to_uplink", &frame).0, DROP);
        bench.rule((EGRESS, EVERYBODY), TCP, 8_080, RuleKey::BITS);
        assert_eq!(bench.run_forwarded("to_uplink", &frame), (NEXT, frame.clone()));
        assert_eq!(bench.run_forwarded("to_uplink", &tcp(names.client, names.remote, "S")).0, NEXT);
    });
}

#[test]
fn an_address_of_the_nodes_pods_that_nobody_has_is_held() {
    let mut bench = Bench::new();
    bench.generation(1);
    let mut network = PodNetwork {
        flags: pod_network_flags::POLICED,
        ipv4: ip("10.244.1.0"),
        ipv4_mask: proxy_common::addr::Addr::from_words([0, 0, 0, u32::from_ne_bytes([255, 255, 255, 0])]),
        ..PodNetwork::default()
    };
    bench.pod_network(network);
    let (out, into) = (tcp("10.244.1.77:1", "203.0.113.1:80", "S"), tcp("203.0.113.1:1", "10.244.1.77:80", "S"));
    assert_eq!((verdict(&mut bench, "from_pod", &out), verdict(&mut bench, "from_uplink", &into)), (NEXT, NEXT));
    network.flags = pod_network_flags::HOLD_UNKNOWN;
    bench.pod_network(network);
    assert_eq!((verdict(&mut bench, "from_pod", &out), verdict(&mut bench, "from_uplink", &into)), (DROP, DROP));
    assert_eq!(bench.drops(Reason::UnknownPod), 2);
    // What the node itself sends it, it sends.
    assert_eq!(verdict(&mut bench, "to_pod", &tcp(&format!("{}:1", NODE[0]), "10.244.1.77:80", "S")), NEXT);
}

#[test]
fn every_fragment_goes_the_way_of_its_first_and_none_without_it() {
    for_each(|names| {
        let mut bench = policed(names.pod, ONLY_INGRESS);
        let datagram = |src: &str| fragments(&udp(src, names.pod, &[0x5a; 1_800]), 7, 512);
        for fragment in datagram(names.remote) {
            assert_eq!(bench.run_forwarded("to_pod", &fragment).0, DROP);
        }
        bench.rule((INGRESS, EVERYBODY), UDP, 40_000, RuleKey::BITS);
        for fragment in datagram(names.client) {
            assert_eq!(bench.run_forwarded("to_pod", &fragment).0, NEXT);
        }
        assert_eq!(bench.flows(), (0, 2));
    });
}
