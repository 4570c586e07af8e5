//! SCTP: its ports, its checksum (judged by another library at every step), and what answers it.

use proxy_common::drop::Reason;

use crate::bench::{Bench, Verdict};
use crate::packet::{ASKED_TAG, TAG, What, icmp_error, sctp};
use crate::service::{FAMILIES, Names, ends};

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;

fn init(src: &str, dst: &str) -> Vec<u8> {
    sctp(src, dst, INIT, &[0; 12])
}

fn for_each(story: impl Fn(&Names)) {
    FAMILIES.iter().for_each(story);
}

#[test]
fn an_association_through_a_cluster_ip_has_its_ports_exchanged_and_its_payload_kept() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        let (verdict, there) = bench.see("from_pod", &init(names.pod, names.cluster_ip));
        assert_eq!((verdict, ends(&there)), (Verdict::Next, (names.pod, names.remote)));
        let (verdict, back) = bench.see("to_pod", &sctp(names.remote, names.pod, INIT_ACK, b"cookie"));
        assert_eq!((verdict, ends(&back)), (Verdict::Next, (names.cluster_ip, names.pod)));
        assert_eq!(back.what, What::Sctp { chunk: INIT_ACK, flags: 0, tag: TAG, payload: b"cookie".to_vec() });
        for length in [0, 1, 3, 17, 1_200, 3_000] {
            let payload: Vec<u8> = (0..length).map(|i: u32| (i * 31) as u8).collect();
            let (_, there) = bench.see("from_pod", &sctp(names.pod, names.cluster_ip, COOKIE_ECHO, &payload));
            assert_eq!(ends(&there), (names.pod, names.remote));
            assert_eq!(there.what, What::Sctp { chunk: COOKIE_ECHO, flags: 0, tag: TAG, payload });
        }
        assert_eq!(bench.flows(), (2, 0));
    });
}

#[test]
fn the_checksum_stands_where_the_port_stays() {
    for_each(|names| {
        let mut bench = Bench::new();
        let same_port = names.remote.replace(":8080", ":80");
        bench.service(&[names.cluster_ip], &[&same_port], 0);
        let frame = init(names.pod, names.cluster_ip);
        let (_, there) = bench.see("from_pod", &frame);
        assert_eq!(ends(&there), (names.pod, same_port.as_str()));
    });
}

#[test]
fn a_node_port_is_source_translated_to_another_node_and_its_replies_come_back() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[names.remote], 0);
        let (verdict, there) = bench.see("from_uplink", &init(names.client, names.node_port));
        assert_eq!((verdict, ends(&there)), (Verdict::Redirect, (names.node, names.remote)));
        let (verdict, back) = bench.see("from_uplink", &sctp(names.remote, names.node, INIT_ACK, b"cookie"));
        assert_eq!((verdict, ends(&back)), (Verdict::Redirect, (names.node_port, names.client)));
    });
}

#[test]
fn a_source_port_that_is_taken_is_exchanged_too() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[":30080"], &[names.remote], 0);
    let (_, first) = bench.see("from_uplink", &init(names.client, names.node_port));
    let (_, second) = bench.see("from_uplink", &init("198.51.100.11:40000", names.node_port));
    assert_ne!(first.src, second.src);
}

#[test]
fn what_belongs_to_no_association_is_aborted_with_its_own_tag() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        let (verdict, answer) = bench.see("from_pod", &sctp(names.pod, names.cluster_ip, DATA, b"who are you"));
        assert_eq!((verdict, ends(&answer)), (Verdict::Redirect, (names.cluster_ip, names.pod)));
        assert_eq!(answer.what, What::Sctp { chunk: ABORT, flags: 1, tag: TAG, payload: vec![] });
        assert_eq!(bench.drops(Reason::NoConnection), 1);
    });
}

#[test]
fn an_association_to_a_service_without_endpoints_is_aborted_with_the_tag_it_asks_for() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[], 0);
        let (verdict, answer) = bench.see("from_pod", &init(names.pod, names.cluster_ip));
        assert_eq!((verdict, ends(&answer)), (Verdict::Redirect, (names.cluster_ip, names.pod)));
        assert_eq!(answer.what, What::Sctp { chunk: ABORT, flags: 0, tag: ASKED_TAG, payload: vec![] });
    });
}

#[test]
fn an_abort_is_not_answered() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[names.cluster_ip], &[], 0);
    assert_eq!(bench.run("from_pod", &sctp(names.pod, names.cluster_ip, ABORT, b"")).0, Verdict::Drop);
}

#[test]
fn an_init_after_a_shutdown_opens_another_association() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[names.cluster_ip], &[names.remote], 0);
    bench.run("from_pod", &init(names.pod, names.cluster_ip));
    bench.run("to_pod", &sctp(names.remote, names.pod, INIT_ACK, b""));
    bench.run("from_pod", &sctp(names.pod, names.cluster_ip, COOKIE_ECHO, b""));
    assert_eq!(bench.flows(), (2, 0));
    bench.run("from_pod", &sctp(names.pod, names.cluster_ip, SHUTDOWN, b""));
    bench.run("to_pod", &sctp(names.remote, names.pod, SHUTDOWN_ACK, b""));
    bench.run("from_pod", &init(names.pod, names.cluster_ip));
    assert_eq!(bench.flows(), (0, 2));
}

#[test]
fn an_error_about_an_association_reaches_the_client_as_from_the_service() {
    for_each(|names| {
        let mut bench = Bench::new();
        bench.service(&[names.cluster_ip], &[names.remote], 0);
        let (_, there) = bench.run("from_pod", &init(names.pod, names.cluster_ip));
        let address = |end: &str| end.rsplit_once(':').unwrap().0.trim_matches(['[', ']']).to_owned();
        let kind = if names.pod.starts_with('[') { 1 } else { 3 };
        let report = icmp_error(&address(names.remote), &address(names.pod), kind, 1, 0, &there);
        let (_, told) = bench.see("to_pod", &report);
        assert_eq!(told.src, address(names.cluster_ip));
        let What::Icmp { src, dst, .. } = told.what else { panic!("{told:?}") };
        assert_eq!((src.as_str(), dst.as_str()), (names.pod, names.cluster_ip));
    });
}

#[test]
fn a_checksum_left_to_the_network_card_is_left_to_it() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[names.cluster_ip], &[names.remote], 0);
    let mut frame = init(names.pod, names.cluster_ip);
    frame[14 + 20 + 8..][..4].fill(0);
    let (_, out) = bench.run("from_pod", &frame);
    assert_eq!(out[14 + 20 + 8..][..4], [0; 4]);
}

#[test]
fn what_pads_a_short_frame_is_not_summed() {
    let names = &FAMILIES[0];
    let mut bench = Bench::new();
    bench.service(&[names.cluster_ip], &[names.remote], 0);
    let mut frame = init(names.pod, names.cluster_ip);
    frame.extend([0xaa; 6]);
    assert_eq!(ends(&bench.see("from_pod", &frame).1), (names.pod, names.remote));
}
