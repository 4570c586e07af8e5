//! Packets between pods of one node that are handed to the pod's interface (`--local-redirect on`).

use proxy_common::addr::protocol::TCP;
use proxy_common::addr::{Addr, Family};
use proxy_common::drop::Reason;
use proxy_common::tables::{self, Device, Policing, RuleKey, device_flags};

use crate::bench::{Bench, HERE, Verdict, ip};
use crate::netns::index;
use crate::packet::{echo, fragments, icmp_error, tcp, tcp_with, udp, udp_ttl};
use crate::service::{FAMILIES, Names, ends};

const ISOLATED: Policing = Policing { class: 0, ingress: 7, egress: 0 };
/// The pod's address at the link layer, which the bench's neighbours have.
const POD_MAC: [u8; 6] = [2, 0, 0, 0, 2, 0x20];

/// A node on which `names.pod` is a pod behind `pod0`, and `names.local` one behind the interface of the test runs.
fn node(mut bench: Bench, names: &Names, policing: Policing) -> Bench {
    bench.pod_at(&addr(names.pod), index("pod0"), policing);
    put_here(&mut bench, names.local);
    bench
}

/// Puts a pod behind the interface of the test runs.
fn put_here(bench: &mut Bench, pod: &str) {
    bench.pod(&addr(pod), Policing::default());
    let own = ip(&addr(pod));
    let (ipv4, ipv6) = if own.family() == Family::V4 { (own, Addr::default()) } else { (Addr::default(), own) };
    let device = Device { flags: device_flags::POD, pod_ipv4: ipv4, pod_ipv6: ipv6, ..Device::default() };
    bench.put(tables::DEVICES, HERE, device);
}

fn on(names: &Names) -> Bench {
    node(Bench::redirecting(), names, Policing::default())
}

fn addr(socket: &str) -> String {
    socket.parse::<std::net::SocketAddr>().unwrap().ip().to_string()
}

fn for_each(story: impl Fn(&Names)) {
    FAMILIES.iter().for_each(story);
}

/// As a pod with a routed interface sends it: a test run takes a frame to this address for one to its own host.
fn to_node(mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].fill(0);
    frame
}

#[test]
fn a_packet_to_another_pod_is_handed_over_as_a_router_would_send_it() {
    for_each(|names| {
        let mut bench = on(names);
        for frame in
            [tcp(names.local, names.pod, "S"), tcp(names.local, names.pod, "A"), udp(names.local, names.pod, b"x")]
        {
            let (verdict, out) = bench.run("from_pod", &frame);
            assert_eq!((verdict, &out[..6]), (Verdict::Redirect, &POD_MAC[..]));
            let (_, seen) = bench.see("from_pod", &frame);
            assert_eq!((ends(&seen), seen.ttl), ((names.local, names.pod), 63));
        }
    });
}

#[test]
fn a_frame_that_is_addressed_to_the_pod_already_is_handed_over_as_it_is() {
    for_each(|names| {
        let mut frame = tcp(names.local, names.pod, "S");
        frame[..6].copy_from_slice(&POD_MAC);
        assert_eq!(on(names).run("from_pod", &frame), (Verdict::Redirect, frame));
    });
}

#[test]
fn a_pods_packet_to_a_service_is_handed_to_its_endpoint_here() {
    for_each(|names| {
        let mut bench = on(names);
        bench.service(&[names.cluster_ip], &[&format!("@{}", names.pod)], 0);
        let (verdict, there) = bench.see("from_pod", &to_node(tcp(names.local, names.cluster_ip, "S")));
        assert_eq!((verdict, ends(&there), there.ttl), (Verdict::Redirect, (names.local, names.pod), 63));
    });
}

#[test]
fn what_answers_a_pod_here_is_handed_over_as_the_services_and_the_flow_runs_on() {
    for_each(|names| {
        let mut bench = on(names);
        bench.service(&[names.cluster_ip], &[&format!("@{}", names.local)], 0);
        // A test run has one interface: the client is behind it while it sends.
        put_here(&mut bench, names.pod);
        let there = bench.see("from_pod", &tcp(names.pod, names.cluster_ip, "S"));
        assert_eq!((there.0, ends(&there.1)), (Verdict::Next, (names.pod, names.local)));
        let mut bench = node(bench, names, Policing::default());
        let (verdict, back) = bench.see("from_pod", &to_node(tcp(names.local, names.pod, "SA")));
        assert_eq!((verdict, ends(&back), back.ttl), (Verdict::Redirect, (names.cluster_ip, names.pod), 63));
        put_here(&mut bench, names.pod);
        bench.see("from_pod", &tcp(names.pod, names.cluster_ip, "A"));
        assert_eq!(bench.flows(), (2, 0), "its answer was noted: the flow is established");
    });
}

#[test]
fn nothing_is_handed_over_unless_it_is_asked_for() {
    for_each(|names| {
        let mut bench = node(Bench::new(), names, Policing::default());
        let frame = to_node(tcp(names.local, names.pod, "S"));
        assert_eq!(bench.run("from_pod", &frame), (Verdict::Next, frame));
    });
}

#[test]
fn a_policy_is_asked_first() {
    for_each(|names| {
        let mut bench = node(Bench::redirecting(), names, ISOLATED);
        bench.generation(1);
        let frame = to_node(tcp(names.local, names.pod, "S"));
        assert_eq!(bench.run("from_pod", &frame).0, Verdict::Drop);
        assert_eq!(bench.drops(Reason::PolicyIngress), 1);
        bench.rule((ISOLATED.ingress, 0), TCP, 40_000, RuleKey::BITS);
        for flags in ["S", "A"] {
            assert_eq!(bench.run("from_pod", &to_node(tcp(names.local, names.pod, flags))).0, Verdict::Redirect);
        }
    });
}

#[test]
fn what_the_stack_has_to_see_goes_its_way() {
    for_each(|names| {
        let mut bench = on(names);
        let too_large = tcp_with(names.local, names.pod, "A", &[0; 1_500]);
        let about = tcp(names.pod, names.local, "A");
        let error = if names.pod.starts_with('[') { (1, 4) } else { (3, 3) };
        let as_they_are = [
            too_large,
            udp_ttl(names.local, names.pod, b"x", 1),
            echo(names.local, names.pod),
            icmp_error(&addr(names.local), &addr(names.pod), error.0, error.1, 0, &about),
            // Of nobody's that is known, and of one behind an interface without a neighbour.
            tcp(names.local, names.remote, "S"),
        ];
        let fragments = fragments(&udp(names.local, names.pod, &[0; 64]), 9, 32);
        for frame in as_they_are.into_iter().chain(fragments).map(to_node) {
            assert_eq!(bench.run("from_pod", &frame), (Verdict::Next, frame));
        }
        let frame = to_node(tcp(names.local, names.pod, "S"));
        let mut to_a_third = frame.clone();
        to_a_third[..6].copy_from_slice(&[2, 0, 0, 0, 2, 0x33]);
        assert_eq!(bench.run("from_pod", &to_a_third), (Verdict::Next, to_a_third.clone()), "as pods of a bridge may");
        bench.set("TAKEOVER", 1_u32);
        assert_eq!(bench.run("from_pod", &frame), (Verdict::Next, frame), "conntrack may have to translate it");
    });
}
