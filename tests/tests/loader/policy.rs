//! Writes to the tables of policy.

use std::net::{IpAddr, Ipv4Addr};

use aya::maps::{Map, MapData, PerCpuHashMap, PerCpuValues};
use aya::util::nr_cpus;
use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::tables::{
    self, Block, Identity, PodNetwork, Policing, PolicyName, Rule, RuleKey, SetPolicy, identity_flags,
    pod_network_flags,
};
use proxy_user::dataplane::ebpf::TcMode;
use proxy_user::dataplane::ebpf::read::Pinned;
use proxy_user::plan::{BlockPrefix, PolicyImage, PolicyWrite, RulePrefix};

use crate::support::Place;

const NAME: PolicyName = PolicyName { namespace: [b'a'; 64], name: [b'b'; 256] };

fn addr(number: u32) -> Addr {
    IpAddr::from(Ipv4Addr::from(0x0a00_0000 | number)).into()
}

fn rule(number: u32) -> (RulePrefix, Rule) {
    let key = RuleKey { set: number, class: 2, protocol: u16::from(protocol::TCP), port: Port::new(80) };
    (RulePrefix { key, bits: RuleKey::BITS }, Rule { policy: number, index: 0 })
}

fn block(number: u32, bits: u32) -> (BlockPrefix, Block) {
    (BlockPrefix { addr: addr(number), bits }, Block { since: 5, last: 1, next: number })
}

fn identity(number: u32) -> (Addr, Identity) {
    let next = Policing { class: 2, ingress: 3 | Policing::AUDIT, egress: 4 };
    let identity =
        Identity { flags: identity_flags::LOCAL, ifindex: number, since: 5, last: Policing::default(), next };
    (addr(number), identity)
}

fn set_policy(number: u32) -> SetPolicy {
    SetPolicy { set: number, policy: number }
}

fn puts(image: &PolicyImage) -> Vec<PolicyWrite> {
    let names = image.names.iter().map(|(id, name)| PolicyWrite::PutName(*id, Box::new(*name)));
    let set_policies = image.set_policies.iter().map(|key| PolicyWrite::PutSetPolicy(*key));
    let rules = image.rules.iter().map(|(prefix, rule)| PolicyWrite::PutRule(*prefix, *rule));
    let blocks = image.blocks.iter().map(|(prefix, block)| PolicyWrite::PutBlock(*prefix, *block));
    let identities = image.identities.iter().map(|(addr, identity)| PolicyWrite::PutIdentity(*addr, *identity));
    let last = [PolicyWrite::PutPodNetwork(image.pod_network), PolicyWrite::SetGeneration(image.generation)];
    names.chain(set_policies).chain(rules).chain(identities).chain(blocks).chain(last).collect()
}

fn deletes(image: &PolicyImage) -> Vec<PolicyWrite> {
    let identities = image.identities.keys().map(|addr| PolicyWrite::DeleteIdentity(*addr));
    let blocks = image.blocks.keys().map(|prefix| PolicyWrite::DeleteBlock(*prefix));
    let rules = image.rules.keys().map(|prefix| PolicyWrite::DeleteRule(*prefix));
    let set_policies = image.set_policies.iter().map(|key| PolicyWrite::DeleteSetPolicy(*key));
    let names = image.names.keys().map(|id| PolicyWrite::DeleteName(*id));
    identities.chain(blocks).chain(rules).chain(set_policies).chain(names).collect()
}

/// Entries that each table is to have.
fn image(numbers: std::ops::RangeInclusive<u32>) -> PolicyImage {
    let of = || numbers.clone();
    PolicyImage {
        names: of().map(|number| (number, NAME)).collect(),
        set_policies: of().map(set_policy).collect(),
        rules: of().map(rule).collect(),
        blocks: of().map(|number| block(number, 128)).chain([block(0, 104)]).collect(),
        identities: of().map(identity).collect(),
        pod_network: PodNetwork { flags: pod_network_flags::POLICED, ipv4: addr(0), ..PodNetwork::default() },
        generation: 5,
    }
}

#[test]
fn policies_of_one_agent_are_read_by_the_next() {
    let place = Place::new();
    // One of each, which is written by itself, and more than go to the kernel at once.
    for image in [image(1..=1), image(1..=5_000)] {
        let mut dataplane = place.open(TcMode::Tcx).unwrap();
        dataplane.apply_policy(&puts(&image)).unwrap();
        assert_eq!(dataplane.writes(), puts(&image).len() as u64);
        drop(dataplane);
        let mut dataplane = place.open(TcMode::Tcx).unwrap();
        assert_eq!(dataplane.read_policy_image().unwrap(), image);
        dataplane.apply_policy(&deletes(&image)).unwrap();
        dataplane.apply_policy(&deletes(&image)).expect("what is gone already");
        let left = PolicyImage { pod_network: image.pod_network, generation: 5, ..PolicyImage::default() };
        assert_eq!(dataplane.read_policy_image().unwrap(), left);
    }
}

#[test]
fn the_counts_of_a_policy_go_with_its_name_and_no_other_s_do() {
    let place = Place::new();
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    dataplane.apply_policy(&puts(&image(1..=3))).unwrap();
    let map = Map::from_map_data(MapData::from_pin(place.pins().join("maps/RULE_HITS")).unwrap()).unwrap();
    let mut hits = PerCpuHashMap::<_, Rule, u64>::try_from(map).unwrap();
    let cpus = nr_cpus().unwrap();
    let rules = (1..=3).flat_map(|policy| [1, Rule::EGRESS].map(|index| Rule { policy, index }));
    for rule in rules.clone() {
        hits.insert(rule, PerCpuValues::try_from(vec![2; cpus]).unwrap(), 0).unwrap();
    }
    dataplane.apply_policy(&[PolicyWrite::DeleteName(1), PolicyWrite::DeleteName(3)]).unwrap();
    let left = Pinned::open(place.bpffs()).unwrap().policies.rule_hits().unwrap();
    let expected = rules.filter(|rule| rule.policy == 2).map(|rule| (rule, 2 * cpus as u64));
    assert_eq!(left, expected.collect());
}

#[test]
fn of_a_full_trie_the_table_is_named_with_the_writes_that_took_effect() {
    let place = Place::new();
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let limit = tables::BLOCKS.max_entries;
    let writes: Vec<_> = (0..=limit)
        .map(|number| block(number, 128))
        .map(|(prefix, block)| PolicyWrite::PutBlock(prefix, block))
        .collect();
    let error = dataplane.apply_policy(&writes).unwrap_err();
    assert_eq!((error.done, error.total), (limit as usize, limit as usize + 1));
    assert_eq!(error.source.to_string(), format!("table BLOCKS is full at {limit} entries"));
}
