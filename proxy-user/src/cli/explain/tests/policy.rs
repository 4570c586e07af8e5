//! What NetworkPolicy makes of connections.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use proxy_common::addr::protocol::UDP;
use proxy_common::tables::{Block, Identity, PodNetwork, Policing, Rule, RuleKey, identity_flags, pod_network_flags};

use super::*;
use crate::cli::explain::explanation::{PolicyDecision, SideDecision};
use crate::cli::get::tests::policies::{allows, policy_name, set_policies};
use crate::plan::{BlockPrefix, PolicyImage};

/// Policies, which are sets too where they are alone.
const DENY: u32 = 1;
const WEB: u32 = 2;
const CLIENT_EGRESS: u32 = 3;
/// Set of DENY and WEB.
const WEB_INGRESS: u32 = 4;
/// Classes.
const CLIENTS: u32 = 2;
const WEBS: u32 = 3;
const OTHERS: u32 = 4;
const OFFICE: u32 = 5;

const fn ingress(index: u32) -> Rule {
    Rule { policy: WEB, index }
}

/// What isolates client-1 in egress and web-1 in ingress: sets, 0 for none.
fn image(egress: u32, ingress_set: u32) -> PolicyImage {
    let local = |next| Identity { flags: identity_flags::LOCAL, next, ..Identity::default() };
    let of_class = |class| Policing { class, ..Policing::default() };
    let office = BlockPrefix::from("192.0.2.0/24".parse::<IpNetwork>().unwrap());
    PolicyImage {
        names: BTreeMap::from([
            (DENY, policy_name("default", "deny-all")),
            (WEB, policy_name("default", "web")),
            (CLIENT_EGRESS, policy_name("default", "client")),
        ]),
        set_policies: set_policies([
            (WEB_INGRESS, DENY),
            (WEB_INGRESS, WEB),
            (CLIENT_EGRESS, CLIENT_EGRESS),
            (DENY, DENY),
        ]),
        rules: BTreeMap::from([
            allows(WEB_INGRESS, CLIENTS, TCP, 8080, RuleKey::BITS, ingress(2)),
            allows(WEB_INGRESS, CLIENTS, TCP, 8000, RuleKey::BITS - 5, ingress(2)),
            allows(WEB_INGRESS, OTHERS, UDP, 9999, RuleKey::BITS, ingress(0)),
            allows(WEB_INGRESS, OTHERS, TCP, 9090, RuleKey::BITS, ingress(1)),
            allows(WEB_INGRESS, OFFICE, TCP, 0, RuleKey::ANY_PORT, ingress(3)),
            allows(CLIENT_EGRESS, WEBS, TCP, 8080, RuleKey::BITS, Rule { policy: CLIENT_EGRESS, index: Rule::EGRESS }),
        ]),
        identities: BTreeMap::from([
            (addr(CLIENT_POD), local(Policing { egress, ..of_class(CLIENTS) })),
            (addr(NEAR_ENDPOINT), local(Policing { ingress: ingress_set, ..of_class(WEBS) })),
            (addr(FAR_ENDPOINT), Identity { next: of_class(WEBS), ..Identity::default() }),
        ]),
        blocks: BTreeMap::from([(office, Block { since: 0, last: 0, next: OFFICE })]),
        pod_network: PodNetwork {
            flags: pod_network_flags::POLICED | pod_network_flags::HOLD_UNKNOWN,
            ipv4: addr("10.244.1.0"),
            ipv4_mask: addr("255.255.255.0"),
            ..PodNetwork::default()
        },
        ..PolicyImage::default()
    }
}

fn judged_by(image: &PolicyImage, arguments: &str) -> Explanation {
    let pinned = node(0, 0);
    pinned.put_policies(image);
    told_by(&pinned, SocketLb::Off, arguments).unwrap()
}

/// The blocks about policy that the text ends with.
fn text_by(image: &PolicyImage, arguments: &str) -> String {
    let text = told::text(&judged_by(image, arguments)).unwrap();
    text[text.find("Policy to:").expect(&text)..].to_owned()
}

/// Verdict, and what each direction decides, of the only place.
fn decisions(it: &Explanation) -> (PolicyDecision, SideDecision, SideDecision) {
    let [it] = it.policy.as_slice() else { panic!("{it:?}") };
    (it.verdict, it.egress.decision, it.ingress.decision)
}

#[test]
fn what_both_ends_allow_is_told_with_policies_and_rules_and_what_is_elsewhere_is_left_to_its_node() {
    let expected = "\
Policy to:   10.244.1.10:8080 (Pod default/web-1)
Verdict:     Allowed: by both ends
Egress:      isolated by default/client: allowed by egress[0] of default/client
Ingress:     isolated by default/deny-all, default/web: allowed by ingress[2] of default/web

Policy to:   10.244.2.10:8080
Verdict:     Allowed: as far as this node decides
Egress:      isolated by default/client: allowed by egress[0] of default/client
Ingress:     no pod of this node: if it is one, its own node decides
";
    assert_eq!(text_by(&image(CLIENT_EGRESS, WEB_INGRESS), "--from client-1 --to web --port 80"), expected);
}

#[test]
fn what_no_rule_allows_is_told_with_the_rules_that_come_nearest() {
    let expected = "\
Policy to:   10.244.1.10:9090 (Pod default/web-1)
Verdict:     Denied (PolicyEgress): no rule of the NetworkPolicies that isolate the sender's egress allows it
Egress:      isolated by default/client: no rule allows it
             - egress[0] of default/client allows this peer on TCP 8080, not on TCP 9090
Ingress:     isolated by default/deny-all, default/web: no rule allows it
             - ingress[2] of default/web allows this peer on TCP 8000-8031, TCP 8080, not on TCP 9090
             - ingress[1] of default/web allows TCP 9090, but not this peer
             - ingress[3] of default/web allows TCP 9090, but not this peer
             - ingress[0] of default/web allows neither this peer nor TCP 9090
";
    let image = image(CLIENT_EGRESS, WEB_INGRESS);
    assert_eq!(text_by(&image, "--from client-1 --to web-1 --port 9090"), expected);
    let udp = judged_by(&image, "--from client-1 --to web-1 --port 53 --protocol udp");
    let near = &udp.policy[0].ingress.nearest.rules;
    assert_eq!(near[3].message, "ingress[3] of default/web allows neither this peer nor UDP 53");
}

#[test]
fn the_direction_that_allows_is_told_beside_the_one_that_denies() {
    let it = judged_by(&image(DENY, WEB_INGRESS), "--from client-1 --to web-1 --port 8080");
    assert_eq!(decisions(&it), (PolicyDecision::Denied, SideDecision::Denied, SideDecision::Allowed));
    assert_eq!(it.policy[0].reason, Some("PolicyEgress"));
    assert_eq!(it.policy[0].egress.nearest.rules, [], "no rule of the set allows anything");
    let it = judged_by(&image(0, WEB_INGRESS), "--from client-1 --to web-1 --port 8081");
    assert_eq!(decisions(&it), (PolicyDecision::Denied, SideDecision::NotIsolated, SideDecision::Denied));
    assert_eq!(it.policy[0].reason, Some("PolicyIngress"));
}

#[test]
fn what_is_only_audited_passes_and_says_what_would_deny_it() {
    let image = image(DENY | Policing::AUDIT, WEB_INGRESS);
    let it = judged_by(&image, "--from client-1 --to web-1 --port 8080");
    assert_eq!(decisions(&it), (PolicyDecision::Audited, SideDecision::Audited, SideDecision::Allowed));
    let text = text_by(&image, "--from client-1 --to web-1 --port 8080");
    assert!(text.contains("Egress:      isolated by default/deny-all (audit): no rule allows it"), "{text}");
}

#[test]
fn a_node_reaches_its_pods_and_they_reach_it_and_themselves_under_any_policy() {
    let image = image(DENY, WEB_INGRESS);
    let why = |arguments: &str| {
        let it = judged_by(&image, arguments);
        (decisions(&it), it.policy[0].egress.because.clone(), it.policy[0].ingress.because.clone())
    };
    let (decisions, _, ingress) = why(&format!("--from {NODE} --to web-1 --port 1"));
    assert_eq!(decisions, (PolicyDecision::Allowed, SideDecision::Exempt, SideDecision::Exempt));
    assert_eq!(ingress, "its own node always reaches it");
    let (decisions, egress, ingress) = why(&format!("--from client-1 --to {NODE} --port 1"));
    assert_eq!(decisions, (PolicyDecision::Allowed, SideDecision::Exempt, SideDecision::Exempt));
    assert_eq!(
        (egress.as_str(), ingress.as_str()),
        ("a pod always reaches its own node", "an address of this node, which is no pod")
    );
    let (decisions, egress, _) = why("--from client-1 --to client-1 --port 1");
    assert_eq!(decisions, (PolicyDecision::Allowed, SideDecision::Exempt, SideDecision::NotIsolated));
    assert_eq!(egress, "a pod always reaches itself");
}

#[test]
fn an_address_of_the_node_s_pods_that_no_pod_has_is_held() {
    let it = judged_by(&image(0, WEB_INGRESS), "--from 10.244.1.99 --to web-1 --port 8080");
    assert_eq!(decisions(&it), (PolicyDecision::Denied, SideDecision::Held, SideDecision::Held));
    assert_eq!(it.policy[0].reason, Some("UnknownPod"));
    let mut image = image(0, WEB_INGRESS);
    image.pod_network.flags = pod_network_flags::POLICED;
    let it = judged_by(&image, "--from 10.244.1.99 --to web-1 --port 8080");
    assert_eq!(decisions(&it), (PolicyDecision::Denied, SideDecision::Elsewhere, SideDecision::Denied));
}

#[test]
fn a_client_outside_is_judged_by_its_own_address_here_and_seen_as_the_node_elsewhere() {
    let expected = "\
Policy to:   10.244.1.10:8080 (Pod default/web-1)
Verdict:     Allowed: as far as this node decides
Egress:      no pod of this node: if it is one, its own node decides
Ingress:     isolated by default/deny-all, default/web: allowed by ingress[3] of default/web

Policy to:   10.244.2.10:8080
Verdict:     Allowed: as far as this node decides
Egress:      no pod of this node: if it is one, its own node decides
Ingress:     its own node decides, and sees 172.18.0.2 as the client
";
    let arguments = format!("--from {OUTSIDE} --to {NODE} --port 30080");
    assert_eq!(text_by(&image(0, WEB_INGRESS), &arguments), expected);
    let udp = judged_by(&image(0, WEB_INGRESS), &format!("--from {OUTSIDE} --to web-1 --port 1 --protocol udp"));
    let near = &udp.policy[0].ingress.nearest.rules[0];
    assert_eq!(near.message, "ingress[3] of default/web allows this peer on TCP, not on UDP 1");
}

#[test]
fn places_that_are_judged_alike_are_told_together_and_more_rules_than_five_are_counted() {
    let mut image = image(DENY, 0);
    let many = (0..7).map(|n| {
        allows(DENY, OTHERS, UDP, n, RuleKey::BITS, Rule { policy: DENY, index: Rule::EGRESS | u32::from(n) })
    });
    image.rules.extend(many);
    image.identities.remove(&addr(NEAR_ENDPOINT));
    image.pod_network.flags = 0;
    let text = text_by(&image, "--from client-1 --to web --port 80");
    let starts =
        "Policy to:   10.244.1.10:8080 (Pod default/web-1)\n             10.244.2.10:8080\nVerdict:     Denied";
    assert!(text.starts_with(starts), "{text}");
    assert_eq!(text.matches("neither this peer nor TCP 8080").count(), 5, "{text}");
    assert!(text.contains("- 2 other rules come no nearer"), "{text}");
}

#[test]
fn what_is_denied_wherever_it_may_get_to_is_dropped_and_what_is_not_goes_its_way() {
    let outcome = |image: &PolicyImage, arguments: &str| {
        let it = judged_by(image, arguments);
        (it.verdict, it.reason)
    };
    let denied = (Verdict::Dropped, Some("PolicyEgress"));
    assert_eq!(outcome(&image(DENY, 0), "--from client-1 --to web --port 80"), denied);
    assert_eq!(outcome(&image(DENY, 0), "--from client-1 --to web-1 --port 80"), denied);
    let here = image(0, DENY);
    assert_eq!(outcome(&here, "--from client-1 --to web --port 80"), (Verdict::Translated, None), "one is elsewhere");
    let not_translated = (Verdict::NotTranslated, None);
    assert_eq!(outcome(&image(0, WEB_INGRESS), "--from client-1 --to web-1 --port 8080"), not_translated);
}

#[test]
fn what_is_denied_is_refused_where_its_sender_is_told_and_what_is_held_is_not() {
    let (pinned, agent) = (node(0, 0), AgentStatus { policy_deny: PolicyDeny::Reject, ..agent(SocketLb::Off) });
    pinned.put_policies(&image(DENY, 0));
    let outcome = |arguments: &str| {
        let it = told_of(&pinned, &agent, arguments).unwrap();
        (it.verdict, it.reason)
    };
    assert_eq!(outcome("--from client-1 --to web-1 --port 80"), (Verdict::Refused, Some("PolicyEgress")));
    assert_eq!(outcome("--from 10.244.1.99 --to web-1 --port 80"), (Verdict::Dropped, Some("UnknownPod")));
}

#[test]
fn nothing_is_judged_of_what_gets_nowhere() {
    let image = image(DENY, WEB_INGRESS);
    assert_eq!(judged_by(&image, "--from client-1 --to idle --port 80").policy, []);
    assert_eq!(judged_by(&image, "--from client-1 --to 127.0.0.1 --port 80").policy, [], "it doesn't leave the pod");
}

#[test]
fn the_fields_of_a_verdict_keep_their_names() {
    let it = judged_by(&image(CLIENT_EGRESS, WEB_INGRESS), "--from client-1 --to web-1 --port 8001");
    let of_web = |rest: serde_json::Value| {
        let mut object = serde_json::json!({ "namespace": "default", "name": "web" });
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        object
    };
    let expected = serde_json::json!({
        "destination": "10.244.1.10:8001", "pod": "default/web-1", "verdict": "Denied", "reason": "PolicyEgress",
        "message": "no rule of the NetworkPolicies that isolate the sender's egress allows it",
        "egress": {
            "decision": "Denied", "because": "no rule allows it", "audit": false,
            "policies": [{ "namespace": "default", "name": "client" }],
            "nearest": [{
                "namespace": "default", "name": "client", "rule": "egress[0]",
                "message": "egress[0] of default/client allows this peer on TCP 8080, not on TCP 8001",
            }],
            "otherRules": 0,
        },
        "ingress": {
            "decision": "Allowed", "because": "allowed by ingress[2] of default/web", "audit": false,
            "policies": [{ "namespace": "default", "name": "deny-all" }, of_web(serde_json::json!({}))],
            "rule": of_web(serde_json::json!({ "rule": "ingress[2]" })), "nearest": [], "otherRules": 0,
        },
    });
    assert_eq!(serde_json::to_value(&it.policy[0]).unwrap(), expected);
}
