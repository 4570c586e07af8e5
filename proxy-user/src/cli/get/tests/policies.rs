use std::collections::{BTreeMap, BTreeSet};

use proxy_common::tables::{Identity, Policing, PolicyName, Rule, RuleKey, SetPolicy, identity_flags};

use super::*;
use crate::cli::get::policies::{self, PolicyRow};
use crate::config::Settings;
use crate::dataplane::ebpf::read::tests::HITS;
use crate::plan::{PolicyImage, RulePrefix};
use crate::status::{AgentStatus, DeviceStatus, PodStatus};

/// Numbers of the policies, which are also those of the sets that each alone makes.
const DENY: u32 = 1;
const WEB: u32 = 2;
const DNS: u32 = 3;
const OLD: u32 = 4;
/// Set of DENY and WEB.
const BOTH: u32 = 5;

pub(in crate::cli) fn policy_name(namespace: &str, name: &str) -> PolicyName {
    let mut entry = PolicyName { namespace: [0; 64], name: [0; 256] };
    entry.namespace[..namespace.len()].copy_from_slice(namespace.as_bytes());
    entry.name[..name.len()].copy_from_slice(name.as_bytes());
    entry
}

/// What a rule of a set allows a class, on ports that begin with the bits of one.
pub(in crate::cli) fn allows(
    set: u32,
    class: u32,
    protocol: u8,
    port: u16,
    bits: u32,
    rule: Rule,
) -> (RulePrefix, Rule) {
    let key = RuleKey { set, class, protocol: protocol.into(), port: Port::new(port) };
    (RulePrefix { key, bits }, rule)
}

pub(in crate::cli) fn set_policies<const N: usize>(pairs: [(u32, u32); N]) -> BTreeSet<SetPolicy> {
    pairs.into_iter().map(|(set, policy)| SetPolicy { set, policy }).collect()
}

/// A pod with two addresses that two policies isolate, one under audit, a pod elsewhere, and one that nobody knows.
fn image() -> PolicyImage {
    let (ingress, egress) = (BOTH, DNS | Policing::AUDIT);
    let local =
        |ifindex, next| Identity { flags: identity_flags::LOCAL, ifindex, since: 9, next, ..Identity::default() };
    let to_be_isolated = Identity { since: 10, ..local(0, Policing { ingress: OLD, ..Policing::default() }) };
    PolicyImage {
        names: BTreeMap::from([
            (DENY, policy_name("default", "deny-all")),
            (WEB, policy_name("default", "allow-web")),
            (DNS, policy_name("kube-system", "dns")),
            (OLD, policy_name("default", "old")),
        ]),
        set_policies: set_policies([(BOTH, DENY), (BOTH, WEB), (DNS, DNS), (OLD, OLD)]),
        rules: BTreeMap::from([
            allows(BOTH, 3, TCP, 80, RuleKey::BITS, Rule { policy: WEB, index: 1 }),
            allows(BOTH, 4, TCP, 80, RuleKey::BITS, Rule { policy: WEB, index: 1 }),
            allows(BOTH, 0, UDP, 0, RuleKey::ANY_PORT, Rule { policy: WEB, index: 2 }),
            allows(DNS, 4, UDP, 53, RuleKey::BITS, Rule { policy: DNS, index: Rule::EGRESS }),
        ]),
        identities: BTreeMap::from([
            (addr("10.244.1.10"), local(7, Policing { class: 3, ingress, egress })),
            (addr("fd00:244:1::10"), local(7, Policing { class: 3, ingress, egress })),
            (addr("10.244.1.30"), to_be_isolated),
            (
                addr("10.244.2.20"),
                Identity { next: Policing { class: 4, ..Policing::default() }, ..Identity::default() },
            ),
        ]),
        generation: 9,
        ..PolicyImage::default()
    }
}

fn agent() -> AgentStatus {
    let settings = Settings { manifests: Some("/m".into()), node_name: Some("n".into()), ..Settings::default() };
    let pod = |name: &str, ips: &[&str]| PodStatus {
        namespace: "default".into(),
        name: name.into(),
        ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
    };
    AgentStatus {
        devices: vec![DeviceStatus { name: "veth-web".into(), ifindex: 7, role: "Pod".into(), why: String::new() }],
        pods: vec![pod("web-1", &["10.244.1.10", "fd00:244:1::10"])],
        ..AgentStatus::new(&settings.resolve().unwrap())
    }
}

fn pinned() -> PinnedTables {
    let pinned = PinnedTables::empty();
    pinned.put_policies(&image());
    pinned
}

fn read_policies(filter: Filter<'_>) -> Vec<PolicyRow> {
    policies::read(&Pinned::open(pinned().bpffs()).unwrap(), Some(&agent()), filter).unwrap()
}

fn read_identities(agent: Option<&AgentStatus>, filter: Filter<'_>) -> Vec<identities::IdentityRow> {
    identities::read(&Pinned::open(pinned().bpffs()).unwrap(), agent, filter).unwrap()
}

#[test]
fn policies_are_listed_with_the_pods_they_isolate_and_what_their_rules_allowed() {
    let rows = read_policies(EVERYTHING);
    let expected = "\
NAMESPACE     NAME        DIRECTIONS   PODS   RULES   ENTRIES   HITS   MODE      RULE-HITS                   ID
default       allow-web   Ingress      1      2       3         6      Enforce   ingress[1]=3,ingress[2]=3   2
default       deny-all    Ingress      1      0       0         0      Enforce   <none>                      1
default       old         <none>       0      0       0         0      <none>    <none>                      4
kube-system   dns         Egress       1      1       1         3      Audit     egress[0]=3                 3
";
    assert_eq!(table(&rows, ListFormat::Wide), expected);
    let item = &json(&rows)["items"][3];
    let expected = json!({
        "namespace": "kube-system", "name": "dns", "id": 3, "directions": ["Egress"], "mode": "Audit",
        "pods": ["default/web-1"], "rules": [{ "rule": "egress[0]", "entries": 1, "hits": HITS }], "hits": HITS,
    });
    assert_eq!(item, &expected);
}

#[test]
fn a_policy_can_be_asked_for_by_name_and_namespace() {
    let names = |filter| read_policies(filter).iter().map(|row| row.cells()[1].clone()).collect::<Vec<_>>();
    assert_eq!(names(Filter { namespace: Some("kube-system"), ..EVERYTHING }), ["dns"]);
    assert_eq!(names(Filter { name: Some("old"), ..EVERYTHING }), ["old"]);
    let filter = Filter { name: Some("wob"), ..EVERYTHING };
    let error = found("networkpolicies", filter, read_policies(filter)).unwrap_err();
    assert_eq!(error.to_string(), "networkpolicies \"wob\" not found");
}

#[test]
fn identities_are_listed_with_what_isolates_them_in_the_generation_that_holds() {
    let rows = read_identities(Some(&agent()), EVERYTHING);
    let expected = "\
ADDRESS          POD             LOCAL   INTERFACE   CLASS   INGRESS                              EGRESS
10.244.1.10      default/web-1   true    veth-web    3       default/allow-web,default/deny-all   kube-system/dns (audit)
10.244.1.30      <none>          true    <none>      0       <none>                               <none>
10.244.2.20      <none>          false   <none>      4       <none>                               <none>
fd00:244:1::10   default/web-1   true    veth-web    3       default/allow-web,default/deny-all   kube-system/dns (audit)
";
    assert_eq!(table(&rows, ListFormat::Table), expected);
    let items = json(&rows);
    let web = &items["items"][0];
    let policy = |namespace: &str, name: &str| json!({ "namespace": namespace, "name": name });
    let expected = json!({
        "address": "10.244.1.10", "pod": "default/web-1", "local": true, "interface": "veth-web", "class": 3, "since": 9,
        "ingress": {
            "set": 5, "audit": false, "policies": [policy("default", "allow-web"), policy("default", "deny-all")]
        },
        "egress": { "set": 3, "audit": true, "policies": [policy("kube-system", "dns")] },
    });
    assert_eq!(web, &expected);
}

#[test]
fn an_identity_is_found_by_its_pod_and_without_an_agent_by_no_name() {
    let web = Filter { name: Some("web-1"), namespace: Some("default") };
    assert_eq!(read_identities(Some(&agent()), web).len(), 2);
    assert_eq!(read_identities(Some(&agent()), Filter { name: Some("web-1"), namespace: Some("other") }).len(), 0);
    let rows = read_identities(None, EVERYTHING);
    assert!(
        rows.iter().all(|row| row.cells()[1] == "<none>") && rows.iter().any(|row| row.cells()[3] == "7"),
        "{rows:?}"
    );
    assert_eq!(read_identities(None, web).len(), 0);
}
