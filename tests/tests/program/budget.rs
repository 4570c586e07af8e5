//! What the programs may cost: committed, so that growth is a decision.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::maps::Map;

use crate::bench::{load, load_redirecting, verified};

/// Instructions the verifier may process for each program, on any kernel we test: about a tenth above what it took when
/// the number was last set.
const VERIFIED_INSTRUCTIONS: [(&str, u32); 15] = [
    ("connect4", 3_200),
    ("connect6", 11_000),
    ("from_pod", 114_000),
    ("from_tunnel", 96_000),
    ("from_uplink", 97_000),
    ("getpeername4", 80),
    ("getpeername6", 90),
    ("recvmsg4", 80),
    ("recvmsg6", 90),
    ("sendmsg4", 4_400),
    ("sendmsg6", 14_000),
    ("sweep_flows", 1_500),
    ("to_pod", 132_000),
    ("to_tunnel", 104_000),
    ("to_uplink", 104_000),
];

/// The same of those that are larger with `--local-redirect on`.
const REDIRECTING: [(&str, u32); 2] = [("from_pod", 146_000), ("from_uplink", 113_000)];

/// Bytes the kernel charges for all maps of a node without objects.
const MAP_MEMORY: u64 = 88 << 20;

#[test]
fn no_program_takes_more_of_the_verifier_than_its_budget() {
    let taken = verified(&load());
    within(&taken, &VERIFIED_INSTRUCTIONS);
    assert!(taken.keys().eq(&VERIFIED_INSTRUCTIONS.map(|(name, _)| name)), "{taken:?}");
}

#[test]
fn nor_does_one_that_hands_packets_to_pods() {
    let taken = verified(&load_redirecting());
    let is_other = |name: &str| REDIRECTING.iter().all(|(redirecting, _)| *redirecting != name);
    let others = VERIFIED_INSTRUCTIONS.iter().filter(|(name, _)| is_other(name));
    within(&taken, &others.chain(&REDIRECTING).copied().collect::<Vec<_>>());
}

fn within(taken: &BTreeMap<String, u32>, budgets: &[(&str, u32)]) {
    let mut over = Vec::new();
    for (name, taken) in taken {
        let budget = budgets.iter().find(|(budgeted, _)| budgeted == name).map_or(0, |(_, budget)| *budget);
        println!("{name}: {taken} of {budget}");
        if *taken > budget {
            over.push(format!("{name}: {taken} of {budget}"));
        }
    }
    assert!(over.is_empty(), "over budget: {over:?}");
}

#[test]
fn empty_tables_take_no_more_memory_than_their_budget() {
    let ebpf = load();
    let mut total = 0;
    for (name, map) in ebpf.maps() {
        let (Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::Array(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data)
        | Map::RingBuf(data)) = map
        else {
            panic!("{name}: another type of map")
        };
        let fd = data.fd().as_fd();
        let fdinfo = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
        let line = fdinfo.lines().find_map(|line| line.strip_prefix("memlock:")).expect("memlock in fdinfo");
        let bytes: u64 = line.trim().parse().unwrap();
        println!("{name}: {} KiB", bytes >> 10);
        total += bytes;
    }
    assert!(total <= MAP_MEMORY, "{total} of {MAP_MEMORY} bytes");
}
