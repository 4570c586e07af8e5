//! The in-kernel half of the sweep: what user space names is looked at again.

use proxy_common::sweep::{COUNT_OFFSET, KEYS_OFFSET, LENGTH, MAX_KEYS};
use proxy_common::tables::{FLOWS, FlowKey, FlowRecord};

use crate::bench::Bench;
use crate::packet::{tcp, udp};

fn sweep(bench: &mut Bench, keys: &[FlowKey]) -> u32 {
    assert!(keys.len() <= MAX_KEYS as usize);
    let mut message = vec![0; LENGTH];
    message[COUNT_OFFSET as usize..][..4].copy_from_slice(&(keys.len() as u32).to_ne_bytes());
    for (key, at) in keys.iter().zip((KEYS_OFFSET as usize..).step_by(size_of::<FlowKey>())) {
        // SAFETY: FlowKey has no padding (asserted beside its definition).
        let bytes: [u8; size_of::<FlowKey>()] = unsafe { std::mem::transmute(*key) };
        message[at..][..bytes.len()].copy_from_slice(&bytes);
    }
    bench.run_raw("sweep_flows", &message).0
}

fn established_flow(bench: &mut Bench) -> Vec<(FlowKey, FlowRecord)> {
    bench.service(&["10.96.0.1:80"], &["10.244.2.10:8080"], 0);
    let (pod, cluster_ip) = ("10.244.1.20:40000", "10.96.0.1:80");
    bench.run("from_pod", &udp(pod, cluster_ip, b"1"));
    bench.run("to_pod", &udp("10.244.2.10:8080", pod, b"2"));
    bench.run("from_pod", &udp(pod, cluster_ip, b"3"));
    let flows: Vec<_> = bench.map::<FlowKey, FlowRecord>(FLOWS).iter().map(Result::unwrap).collect();
    assert_eq!(flows.len(), 2);
    flows
}

/// Makes a direction of a flow look as if it saw its last packet `seconds` ago.
fn age(bench: &mut Bench, (key, record): (FlowKey, FlowRecord), seconds: u32) {
    let last_seen = record.last_seen.wrapping_sub(seconds);
    bench.put(FLOWS, key, FlowRecord { last_seen, ..record });
}

#[test]
fn a_flow_seen_since_it_was_named_is_kept() {
    let mut bench = Bench::new();
    let flows = established_flow(&mut bench);
    assert_eq!(sweep(&mut bench, &[flows[0].0, flows[1].0]), 0);
    assert_eq!(bench.flows(), (2, 0));
}

#[test]
fn a_flow_with_one_live_direction_is_kept_whole() {
    for quiet in 0..2 {
        let mut bench = Bench::new();
        let flows = established_flow(&mut bench);
        age(&mut bench, flows[quiet], 1_000);
        assert_eq!(sweep(&mut bench, &[flows[0].0, flows[1].0]), 0);
        assert_eq!(bench.flows(), (2, 0));
    }
}

#[test]
fn a_flow_quiet_in_both_directions_goes_with_both_its_records() {
    let mut bench = Bench::new();
    let flows = established_flow(&mut bench);
    for flow in &flows {
        age(&mut bench, *flow, 1_000);
    }
    assert_eq!(sweep(&mut bench, &[flows[0].0]), 1);
    assert_eq!(bench.flows(), (0, 0));
}

#[test]
fn a_full_message_is_read_to_its_end() {
    let mut bench = Bench::new();
    let flows = established_flow(&mut bench);
    for flow in &flows {
        age(&mut bench, *flow, 1_000);
    }
    let unknown = FlowKey { protocol: 6, ..flows[0].0 };
    let mut keys = vec![unknown; MAX_KEYS as usize];
    *keys.last_mut().unwrap() = flows[1].0;
    assert_eq!(sweep(&mut bench, &keys), 1);
    assert_eq!(bench.flows(), (0, 0));
    bench.run("from_pod", &tcp("10.244.1.20:40000", "10.96.0.1:80", "S"));
}
