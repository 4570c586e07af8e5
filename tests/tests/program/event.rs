//! What the programs tell of packets, and whom they answer.

use proxy_common::drop::Reason;
use proxy_common::event::{Listening, kind};
use proxy_common::tables::{FlowKey, Policing};

use crate::bench::{Bench, Verdict, ip, socket};
use crate::bypass::isolate;
use crate::packet::{Seen, What, sctp, tcp, udp};

const POD: &str = "10.244.1.20:40000";
const OUTSIDE: &str = "198.51.100.10:80";
const FAMILIES: [[&str; 2]; 2] = [[POD, OUTSIDE], ["[fd00:10:244:1::20]:40000", "[2001:db8:2::10]:80"]];

fn listening(kinds: &[u32], per_second: u32) -> Listening {
    Listening { kinds: kinds.iter().map(|kind| 1 << kind).sum(), per_second }
}

#[test]
fn a_drop_is_told_to_whom_it_concerns() {
    let mut bench = Bench::new();
    isolate(&mut bench, 0, 3);
    let frame = tcp(POD, OUTSIDE, "S");
    bench.run("from_pod", &frame);
    bench.set("LISTENING", listening(&[kind::ALLOW, kind::AUDIT], 1_000));
    bench.run("from_pod", &frame);
    assert_eq!(bench.events(), [], "nobody listens to that");

    bench.set("LISTENING", listening(&[kind::DROP], 1_000));
    bench.run("from_pod", &frame);
    let [event] = bench.events().try_into().unwrap();
    let ((src, src_port), (dst, dst_port)) = (socket(POD), socket(OUTSIDE));
    assert_eq!((event.key.src, event.key.src_port, event.key.dst, event.key.dst_port), (src, src_port, dst, dst_port));
    assert_eq!((event.dst, event.dst_port, event.tcp_flags), (dst, dst_port, 2));
    assert_eq!((event.kind, event.reason, event.ifindex), (kind::DROP, Reason::PolicyEgress.number(), 1));
    assert_eq!((event.length, event.skipped), (frame.len() as u32, 0));
}

#[test]
fn what_cannot_be_read_is_told_under_nobodys_name() {
    let mut bench = Bench::new();
    isolate(&mut bench, 0, 3);
    bench.set("LISTENING", listening(&[kind::DROP], 1_000));
    bench.run("from_pod", &tcp(POD, OUTSIDE, "S"));
    let mut odd = udp(POD, OUTSIDE, b"?");
    odd[12..14].copy_from_slice(&[0x88, 0xcc]);
    bench.run("from_pod", &odd);
    let [_, event] = bench.events().try_into().unwrap();
    assert_eq!(event.reason, Reason::Unjudgeable.number());
    assert_eq!((event.key, event.dst), (FlowKey::default(), ip("::")));
}

#[test]
fn a_flood_is_told_in_samples_that_count_the_rest() {
    let mut bench = Bench::new();
    isolate(&mut bench, 0, 3);
    bench.set("LISTENING", listening(&[kind::DROP], 1));
    // A second may end meanwhile, and there may be another CPU.
    for _ in 0..100 {
        bench.run("from_pod", &tcp(POD, OUTSIDE, "S"));
    }
    let events = bench.events();
    assert!((1..50).contains(&events.len()), "{} of 100", events.len());
    assert_eq!(bench.drops(Reason::PolicyEgress), 100);
}

#[test]
fn what_an_audit_lets_through_is_counted_and_told() {
    let mut bench = Bench::new();
    isolate(&mut bench, 0, 3 | Policing::AUDIT);
    bench.set("LISTENING", listening(&[kind::DROP, kind::ALLOW, kind::AUDIT], 1_000));
    assert_eq!(bench.run("from_pod", &tcp(POD, OUTSIDE, "S")).0, Verdict::Next);
    let [event] = bench.events().try_into().unwrap();
    assert_eq!((event.kind, event.reason), (kind::AUDIT, Reason::PolicyEgress.number()));
    assert_eq!((bench.audits(Reason::PolicyEgress), bench.drops(Reason::PolicyEgress)), (1, 0));
}

#[test]
fn a_denial_is_answered_where_that_is_asked_for() {
    for (family, [pod, outside]) in FAMILIES.into_iter().enumerate() {
        let mut bench = Bench::rejecting();
        isolate(&mut bench, 3, 3);
        for (program, src, dst) in [("from_pod", pod, outside), ("from_uplink", outside, pod)] {
            let (verdict, told) = bench.see(program, &tcp(src, dst, "S"));
            let what = What::Tcp { flags: "AR".into(), sequence: 0, acknowledgement: 1_001 };
            assert_eq!((verdict, told), (Verdict::Redirect, Seen { src: dst.into(), dst: src.into(), ttl: 64, what }));

            let (verdict, told) = bench.see(program, &sctp(src, dst, 1, b""));
            assert!(matches!(told.what, What::Sctp { chunk: 6, .. }), "an ABORT: {told:?}");
            assert_eq!(verdict, Verdict::Redirect);

            let (verdict, told) = bench.see(program, &udp(src, dst, b"?"));
            let (kind, code) = [(3, 13), (1, 1)][family];
            let what = What::Icmp { kind, code, rest: 0, src: src.into(), dst: dst.into() };
            assert_eq!((verdict, told.what), (Verdict::Redirect, what));
        }
        assert_eq!(bench.run("from_uplink", &tcp(outside, pod, "R")).0, Verdict::Drop, "no reset is");
    }
}

#[test]
fn a_denial_is_silent_otherwise() {
    let mut bench = Bench::new();
    isolate(&mut bench, 3, 3);
    for (program, src, dst) in [("from_pod", POD, OUTSIDE), ("from_uplink", OUTSIDE, POD)] {
        assert_eq!(bench.run(program, &tcp(src, dst, "S")).0, Verdict::Drop);
    }
}
