//! Datagrams in fragments: every one goes where the first goes, and the datagram that they make up is whole.

use proxy_common::drop::Reason;
use proxy_common::tables::service_flags;

use crate::bench::{Bench, Verdict};
use crate::packet::{Seen, What, fragments, icmp_error, see, tcp, udp, whole};
use crate::service::{FAMILIES, Names, ends};

/// A payload of a UDP datagram in four fragments of [`CUT`].
const PAYLOAD: [u8; 1_800] = [0x5a; 1_800];
const CUT: usize = 512;

fn for_each(story: impl Fn(&Names)) {
    FAMILIES.iter().for_each(story);
}

fn datagram(src: &str, dst: &str, id: u16) -> Vec<Vec<u8>> {
    fragments(&udp(src, dst, &PAYLOAD), id, CUT)
}

/// Runs each through the program; all must get the verdict. What their receiver makes of them.
fn run_all(bench: &mut Bench, program: &str, frames: &[Vec<u8>], verdict: Verdict) -> Seen {
    let out: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| {
            let (said, out) = bench.run(program, frame);
            assert_eq!(said, verdict);
            out
        })
        .collect();
    let seen = see(&whole(&out));
    assert_eq!(seen.what, What::Udp { payload: PAYLOAD.to_vec() });
    seen
}

#[test]
fn every_fragment_of_a_pods_datagram_goes_to_the_backend_and_of_the_answer_comes_back_as_the_service() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        let there = run_all(&mut bench, "from_pod", &datagram(names.pod, names.cluster_ip, 7), Verdict::Next);
        assert_eq!(ends(&there), (names.pod, names.remote));
        let answer = datagram(names.remote, names.pod, 7);
        let passing = run_all(&mut bench, "from_uplink", &answer, Verdict::Next);
        assert_eq!(ends(&passing), (names.remote, names.pod));
        let back = run_all(&mut bench, "to_pod", &answer, Verdict::Next);
        assert_eq!(ends(&back), (names.cluster_ip, names.pod));
    });
}

#[test]
fn every_fragment_of_a_source_translated_datagram_takes_the_same_way_and_so_does_its_answer() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.remote], 0);
        let asked = datagram(names.client, names.node_port, 7);
        let there = run_all(&mut bench, "from_uplink", &asked, Verdict::Redirect);
        assert_eq!((ends(&there), there.ttl), ((names.node, names.remote), 63));
        let back = run_all(&mut bench, "from_uplink", &datagram(names.remote, names.node, 9), Verdict::Redirect);
        assert_eq!((ends(&back), back.ttl), ((names.node_port, names.client), 63));
    });
}

#[test]
fn every_fragment_of_a_local_backends_answer_leaves_as_the_node_port() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[&format!("@{}", names.local)], 0);
        run_all(&mut bench, "from_uplink", &datagram(names.client, names.node_port, 7), Verdict::Redirect);
        let back = run_all(&mut bench, "from_pod", &datagram(names.local, names.client, 9), Verdict::Redirect);
        assert_eq!(ends(&back), (names.node_port, names.client));
    });
}

#[test]
fn every_fragment_of_the_nodes_own_datagram_leaves_to_the_backend() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        let there = run_all(&mut bench, "to_uplink", &datagram(names.node, names.cluster_ip, 7), Verdict::Redirect);
        assert_eq!(ends(&there), (names.node, names.remote));
        let back = run_all(&mut bench, "from_uplink", &datagram(names.remote, names.node, 7), Verdict::Redirect);
        assert_eq!(ends(&back), (names.cluster_ip, names.node));
    });
}

#[test]
fn datagrams_of_one_client_are_told_apart_by_their_number() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.remote], 0);
        let ours = datagram(names.pod, names.node_port, 7);
        let other = datagram(names.pod, &names.node_port.replace(":30080", ":30081"), 8);
        for (ours, other) in ours.iter().zip(&other) {
            assert_ne!(bench.run("from_pod", ours).1, *ours);
            assert_eq!(bench.run("from_pod", other).1, *other);
        }
    });
}

#[test]
fn fragments_of_no_service_pass_untouched_whatever_they_carry() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip, ":30080"], &[names.remote], 0);
        let (pod, client) = (names.pod, names.client);
        let direct = datagram(pod, client, 7);
        let address = |end: &str| end.rsplit_once(':').unwrap().0.trim_matches(['[', ']']).to_owned();
        // Type 200 is no error, in either family.
        let ping =
            fragments(&icmp_error(&address(pod), &address(client), 200, 0, 0, &udp(pod, client, &PAYLOAD)), 8, 16);
        for program in ["from_pod", "to_pod", "from_uplink", "to_uplink"] {
            for frame in direct.iter().chain(&ping) {
                assert_eq!(bench.run(program, frame), (Verdict::Next, frame.clone()), "{program}");
            }
        }
    });
}

#[test]
fn a_fragment_of_what_the_uplink_only_passes_on_waits_for_nothing() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.remote], 0);
        let last = datagram(names.client, names.remote, 7).pop().unwrap();
        assert_eq!(bench.run("from_uplink", &last), (Verdict::Next, last));
    });
}

#[test]
fn fragments_that_come_before_their_first_wait_and_the_first_is_itself_after_it_released_them() {
    for_each(|names| {
        for (program, src, dst) in
            [("from_pod", names.pod, names.cluster_ip), ("from_uplink", names.client, names.node_port)]
        {
            let mut bench = Bench::new();
            bench.service(&[names.cluster_ip, ":30080"], &[names.remote], 0);
            let frames = datagram(src, dst, 7);
            for late in frames.iter().skip(1).rev() {
                assert_eq!(bench.run(program, late).0, Verdict::Drop);
            }
            assert_eq!(bench.held(), 3);
            // The bench's programs are attached nowhere: what is released is lost, and comes once more here.
            let there = run_all(
                &mut bench,
                program,
                &frames,
                if program == "from_pod" { Verdict::Next } else { Verdict::Redirect },
            );
            assert!(there.dst == names.remote);
            assert_eq!((bench.held(), bench.drops(Reason::UnknownFragment)), (0, 0));
        }
    });
}

#[test]
fn no_more_than_four_fragments_wait_for_a_first() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    let frames = fragments(&udp(names.pod, names.cluster_ip, &PAYLOAD), 7, 256);
    for late in &frames[1..6] {
        assert_eq!(bench.run("from_pod", late).0, Verdict::Drop);
    }
    assert_eq!((bench.held(), bench.drops(Reason::UnknownFragment)), (4, 1));
}

#[test]
fn a_first_fragment_without_a_whole_transport_header_is_malformed() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        let tiny = &fragments(&tcp(names.pod, names.cluster_ip, "S"), 7, 16)[0];
        assert_eq!(bench.run("from_pod", tiny).0, Verdict::Drop);
        assert_eq!(bench.drops(Reason::Malformed), 1);
    });
}

#[test]
fn no_fragment_but_the_first_opens_a_flow_or_is_answered() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[], 0);
        let frames = datagram(names.pod, names.cluster_ip, 7);
        // An answer would have to quote the ports behind the fragment header of IPv6.
        let refused = if names.pod.starts_with('[') { Verdict::Drop } else { Verdict::Redirect };
        assert_eq!(bench.run("from_pod", &frames[0]).0, refused);
        assert_ne!(bench.run("from_pod", &frames[1]).0, Verdict::Redirect);
        assert_eq!(bench.flows(), (0, 0));
    });
}

#[test]
fn what_follows_a_refused_first_fragment_is_dropped_also_where_the_address_may_be_somebodys_own() {
    for (names, balancer) in FAMILIES.iter().zip(["203.0.113.80:80", "[2001:db8:9::80]:80"]) {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[], 0);
        // Nobody is in a range.
        bench.service(&[balancer], &[names.remote], service_flags::EXTERNAL | service_flags::SOURCE_RANGES);
        for frontend in [names.node_port, balancer] {
            let frames = datagram(names.client, frontend, 7);
            assert_ne!(bench.run("from_uplink", &frames[0]).0, Verdict::Next);
            for frame in &frames[1..] {
                assert_eq!(bench.run("from_uplink", frame).0, Verdict::Drop);
            }
        }
        assert_eq!(bench.drops(Reason::UnknownFragment), 6);
    }
}

#[test]
fn no_fragment_of_an_error_waits_for_one_that_cannot_come() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[":30080"], &[names.remote], 0);
    let error = icmp_error("10.244.1.20", "198.51.100.10", 3, 1, 0, &udp(names.client, names.node_port, b""));
    for frame in fragments(&error, 7, 32) {
        assert_eq!(bench.run("from_pod", &frame), (Verdict::Next, frame.clone()));
    }
}
