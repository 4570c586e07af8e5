use serde_json::{Value, json};

use super::*;
use crate::model::{Namespaces, Peer, Requirement, Selector};

fn object(object: Value) -> Result<NetworkPolicy, FieldError> {
    serde_json::from_value::<ApiNetworkPolicy>(object).unwrap().try_into()
}

fn policy(spec: &Value) -> NetworkPolicy {
    object(json!({"metadata": {"name": "web", "namespace": "prod"}, "spec": spec})).unwrap()
}

/// The policy of which this is the first rule of ingress.
fn with_rule(rule: &Value) -> NetworkPolicy {
    policy(&json!({"ingress": [rule]}))
}

fn with_peer(peer: &Value) -> NetworkPolicy {
    with_rule(&json!({"from": [peer]}))
}

fn with_port(port: &Value) -> NetworkPolicy {
    with_rule(&json!({"ports": [port]}))
}

fn with_selector(selector: &Value) -> NetworkPolicy {
    policy(&json!({"podSelector": selector, "ingress": [{}]}))
}

fn with_requirement(key: &str, operator: &str, values: &Value) -> NetworkPolicy {
    with_selector(&json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}))
}

/// First rule of ingress.
fn rule(policy: &NetworkPolicy) -> &PolicyRule {
    &policy.ingress.as_ref().unwrap()[0]
}

fn selector(requirements: impl IntoIterator<Item = Requirement>) -> Selector {
    Selector { requirements: requirements.into_iter().collect() }
}

fn label(key: &str, values: &[&str]) -> Requirement {
    Requirement::In(key.into(), values.iter().map(|&it| it.to_owned()).collect())
}

fn tcp(first: u16, last: u16) -> PolicyPort {
    PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(PortRange { first, last }) }
}

/// Asserts that the only defect begins as expected.
#[track_caller]
fn assert_defect(policy: &NetworkPolicy, expected: &str) {
    match &policy.defects[..] {
        [defect] => assert!(defect.starts_with(expected), "{defect}\nwant: {expected}"),
        other => panic!("{other:?}\nwant: {expected}"),
    }
}

#[test]
fn policy_types_default_to_ingress_and_to_egress_where_rules_for_it_are() {
    for (spec, ingress, egress) in [
        (json!({}), true, false),
        (json!({"egress": []}), true, false),
        (json!({"egress": [{}]}), true, true),
        (json!({"policyTypes": []}), true, false),
        (json!({"policyTypes": ["Egress"], "ingress": [{}]}), false, true),
        (json!({"policyTypes": ["Ingress"], "egress": [{}]}), true, false),
        (json!({"policyTypes": ["Ingress", "Egress"]}), true, true),
    ] {
        let policy = policy(&spec);
        assert_eq!((policy.ingress.is_some(), policy.egress.is_some()), (ingress, egress), "{spec}");
        assert_eq!(policy.defects, [""; 0]);
    }
    let bare = object(json!({"metadata": {"name": "web"}})).unwrap();
    assert_eq!((bare.namespace.as_str(), bare.ingress, bare.egress), ("default", Some(vec![]), None));
}

#[test]
fn absent_and_empty_lists_of_a_rule_are_everything() {
    for spec in [json!({}), json!({"from": [], "ports": []}), json!({"from": null, "ports": null})] {
        assert_eq!(*rule(&with_rule(&spec)), PolicyRule { peers: None, ports: None }, "{spec}");
    }
}

#[test]
fn peers_are_selectors_alone_or_together_or_blocks() {
    let app = json!({"matchLabels": {"app": "web"}});
    let pods = |namespaces, pods| Some(vec![Peer::Pods { namespaces, pods }]);
    let own = || Namespaces::Named("prod".into());
    let web = || selector([label("app", &["web"])]);
    for (peer, expected) in [
        (json!({"podSelector": app}), pods(own(), web())),
        (json!({"podSelector": {}}), pods(own(), selector([]))),
        (json!({"namespaceSelector": {}}), pods(Namespaces::Matching(selector([])), selector([]))),
        (json!({"namespaceSelector": app, "podSelector": {}}), pods(Namespaces::Matching(web()), selector([]))),
        (
            json!({"ipBlock": {"cidr": "10.1.2.3/8", "except": ["10.1.0.0/16", "10.1.1.0/24"]}}),
            Some(vec![Peer::Block {
                cidr: "10.0.0.0/8".parse().unwrap(),
                except: vec!["10.1.0.0/16".parse().unwrap(), "10.1.1.0/24".parse().unwrap()],
            }]),
        ),
    ] {
        let policy = with_peer(&peer);
        assert_eq!((&rule(&policy).peers, policy.defects.len()), (&expected, 0), "{peer}");
    }
}

#[test]
fn egress_rules_have_their_peers_under_to() {
    let policy = policy(&json!({"egress": [{"to": [{"ipBlock": {"cidr": "fd00::/8"}}, {}], "ports": [{"port": 53}]}]}));
    let rule = &policy.egress.as_ref().unwrap()[0];
    let expected = [Peer::Block { cidr: "fd00::/8".parse().unwrap(), except: vec![] }];
    assert_eq!((rule.peers.as_deref(), rule.ports.as_deref()), (Some(&expected[..]), Some(&[tcp(53, 53)][..])));
    assert_defect(&policy, "spec.egress[0].to[1]: empty; write podSelector, namespaceSelector or ipBlock");
}

#[test]
fn every_operator_of_a_selector_is_a_requirement() {
    for (operator, values, expected) in [
        ("In", json!(["a", "b"]), label("tier", &["a", "b"])),
        ("NotIn", json!([""]), Requirement::NotIn("tier".into(), [String::new()].into())),
        ("Exists", json!(null), Requirement::Exists("tier".into())),
        ("DoesNotExist", json!([]), Requirement::DoesNotExist("tier".into())),
    ] {
        let policy = with_requirement("tier", operator, &values);
        assert_eq!(
            (policy.pod_selector, policy.defects.len()),
            (selector([expected]), 0),
            "{operator}: {:?}",
            policy.ingress
        );
    }
}

#[test]
fn ports_are_numbers_ranges_names_or_all_of_a_protocol() {
    let of = |protocol, port| PolicyPort { protocol, port };
    for (port, expected) in [
        (json!({}), of(Protocol::Tcp, PortMatch::All)),
        (json!({"protocol": "SCTP"}), of(Protocol::Sctp, PortMatch::All)),
        (json!({"port": 80}), tcp(80, 80)),
        (json!({"port": 80, "endPort": 80}), tcp(80, 80)),
        (json!({"port": 1, "endPort": 65535}), tcp(1, 65535)),
        (json!({"port": "dns-1", "protocol": "UDP"}), of(Protocol::Udp, PortMatch::Name("dns-1".into()))),
    ] {
        let policy = with_port(&port);
        assert_eq!((&rule(&policy).ports, policy.defects.len()), (&Some(vec![expected]), 0), "{port}");
    }
}

#[test]
fn a_bad_peer_is_named_and_matches_nobody() {
    let block = |cidr: &str, except: &[&str]| json!({"ipBlock": {"cidr": cidr, "except": except}});
    let both = json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}});
    for (peer, expected) in [
        (json!({}), ": empty; write podSelector, namespaceSelector or ipBlock"),
        (both, ".ipBlock: stands beside a selector"),
        (block("10.0.0.0", &[]), ".ipBlock.cidr: \"10.0.0.0\" is not a range"),
        (block(" 10.0.0.0/8", &[]), ".ipBlock.cidr: \" 10.0.0.0/8\" is not a range"),
        (block("10.0.0.0/33", &[]), ".ipBlock.cidr: \"10.0.0.0/33\" is not a range"),
        (block("", &["10.0.0.0/8"]), ".ipBlock.cidr: \"\" is not a range"),
        (block("10.0.0.0/8", &["10.0.0.0/9", "10.0.0.1"]), ".ipBlock.except[1]: \"10.0.0.1\" is not a range"),
        (block("10.0.0.0/8", &["11.0.0.0/16"]), ".ipBlock.except[0]: 11.0.0.0/16 is not a part of 10.0.0.0/8"),
        (block("10.0.0.0/8", &["10.0.0.0/8"]), ".ipBlock.except[0]: 10.0.0.0/8 is not a part of"),
        (block("10.0.0.0/8", &["0.0.0.0/0"]), ".ipBlock.except[0]: 0.0.0.0/0 is not a part of"),
        (block("10.0.0.0/8", &["fd00::/16"]), ".ipBlock.except[0]: fd00::/16 is not a part of"),
        (
            json!({"podSelector": {"matchLabels": {"a b": "c"}}}),
            ".podSelector.matchLabels: \"a b\" is not the key of a label",
        ),
        (
            json!({"podSelector": {}, "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
            ".namespaceSelector.matchExpressions[0].operator: \"Is\" is none of In, NotIn, Exists, DoesNotExist",
        ),
    ] {
        let policy = with_peer(&peer);
        assert_defect(&policy, &format!("spec.ingress[0].from[0]{expected}"));
        assert_eq!(rule(&policy).peers, Some(vec![]), "{peer}");
    }
}

#[test]
fn a_bad_port_is_named_and_matches_no_port() {
    for (port, expected) in [
        (json!({"port": 0}), "port: 0 is not a port number"),
        (json!({"port": 65536}), "port: 65536 is not a port number"),
        (json!({"port": "80"}), "port: \"80\" is not the name of a port"),
        (json!({"port": "Web"}), "port: \"Web\" is not the name of a port"),
        (json!({"port": "a--b"}), "port: \"a--b\" is not the name of a port"),
        (json!({"port": "-a"}), "port: \"-a\" is not the name of a port"),
        (json!({"port": "a".repeat(16)}), "port: \"aaaaaaaaaaaaaaaa\" is not the name of a port"),
        (json!({"port": ""}), "port: \"\" is not the name of a port"),
        (json!({"port": 80, "endPort": 79}), "endPort: 79 is below port 80"),
        (json!({"port": 80, "endPort": 65536}), "endPort: 65536 is not a port number"),
        (json!({"port": "web", "endPort": 80}), "endPort: needs a port that is a number"),
        (json!({"endPort": 80}), "endPort: needs a port that is a number"),
        (json!({"port": 80, "protocol": "tcp"}), "protocol: \"tcp\" is none of TCP, UDP, SCTP"),
        (json!({"port": 80, "protocol": ""}), "protocol: missing"),
    ] {
        let policy = with_port(&port);
        assert_defect(&policy, &format!("spec.ingress[0].ports[0].{expected}"));
        assert_eq!(rule(&policy).ports, Some(vec![]), "{port}");
    }
}

#[test]
fn good_peers_and_ports_beside_bad_ones_count_and_rules_keep_their_places() {
    let bad = json!({"from": [{}], "ports": [{"port": -1}]});
    let mixed = json!({"from": [{}, {"podSelector": {}}], "ports": [{"port": 0}, {"port": 80}]});
    let policy = policy(&json!({"ingress": [bad, mixed]}));
    let rules = policy.ingress.unwrap();
    assert_eq!(rules[0], PolicyRule { peers: Some(vec![]), ports: Some(vec![]) });
    let everybody = Peer::Pods { namespaces: Namespaces::Named("prod".into()), pods: Selector::default() };
    assert_eq!(rules[1], PolicyRule { peers: Some(vec![everybody]), ports: Some(vec![tcp(80, 80)]) });
    assert_eq!(policy.defects.len(), 4);
}

#[test]
fn a_bad_requirement_isolates_more_pods_and_lets_nobody_through() {
    for (policy, expected) in [
        (with_requirement("a", "In", &json!([])), "values: missing; In needs at least one value"),
        (with_requirement("a", "NotIn", &json!(null)), "values: missing; NotIn needs at least one value"),
        (with_requirement("a", "Exists", &json!(["b"])), "values: Exists takes no values"),
        (with_requirement("a", "DoesNotExist", &json!(["b"])), "values: DoesNotExist takes no values"),
        (with_requirement("a", "Gt", &json!(["1"])), "operator: \"Gt\" is none of In, NotIn, Exists, DoesNotExist"),
        (with_requirement("a", "", &json!(null)), "operator: \"\" is none of"),
        (with_requirement("", "Exists", &json!(null)), "key: \"\" is not the key of a label"),
        (with_requirement("A/b", "Exists", &json!(null)), "key: \"A/b\" is not the key of a label"),
        (with_requirement("a/", "Exists", &json!(null)), "key: \"a/\" is not the key of a label"),
        (with_requirement("a/b/c", "Exists", &json!(null)), "key: \"a/b/c\" is not the key of a label"),
        (with_requirement("a", "In", &json!(["b", "-"])), "values[1]: \"-\" is not the value of a label"),
    ] {
        assert_defect(&policy, &format!("spec.podSelector.matchExpressions[0].{expected}"));
        assert_eq!(policy.pod_selector, Selector::default());
        assert_eq!(policy.ingress, Some(vec![PolicyRule { peers: Some(vec![]), ports: None }]), "{expected}");
    }
    let policy = with_selector(&json!({"matchLabels": {"app": "web", "tier": "b c"}}));
    assert_defect(&policy, "spec.podSelector.matchLabels[\"tier\"]: \"b c\" is not the value of a label");
    assert_eq!(policy.pod_selector, selector([label("app", &["web"])]), "what is understood still counts");
}

#[test]
fn a_word_among_policy_types_that_nobody_knows_isolates_and_lets_nobody_through() {
    let spec = |types: Value| json!({"policyTypes": types, "ingress": [{}], "egress": [{}]});
    let nobody = Some(vec![PolicyRule { peers: Some(vec![]), ports: None }]);
    let everybody = Some(vec![PolicyRule { peers: None, ports: None }]);
    let one = policy(&spec(json!(["Ingress", "egress"])));
    assert_defect(&one, "spec.policyTypes[1]: \"egress\" is none of Ingress, Egress");
    assert_eq!((&one.ingress, &one.egress), (&everybody, &nobody));
    let none = policy(&spec(json!([""])));
    assert_defect(&none, "spec.policyTypes[0]: \"\" is none of");
    assert_eq!((&none.ingress, &none.egress), (&nobody, &nobody));
    let many = policy(&spec(json!(["Ingress", "Ingress", "Ingress"])));
    assert_defect(&many, "spec.policyTypes: 3 entries; there can be two at most");
    assert_eq!((&many.ingress, &many.egress), (&everybody, &None));
}

#[test]
fn a_policy_is_audited_by_its_annotation_and_by_no_other_word() {
    let annotated = |mode: &str| {
        object(json!({"metadata": {"name": "web", "annotations": {"sluice.io/policy-mode": mode}}})).unwrap()
    };
    assert!(annotated("audit").audit && !annotated("enforce").audit && !policy(&json!({})).audit);
    let odd = annotated("off");
    assert_defect(&odd, "metadata.annotations[\"sluice.io/policy-mode\"]: \"off\" is none of audit, enforce");
    assert!(!odd.audit);
}

#[test]
fn names_are_subdomains() {
    let named = |name: &str| object(json!({"metadata": {"name": name}}));
    for name in ["a", "a.b-c.d", &"a".repeat(253), &format!("{}.b", "a".repeat(64))] {
        assert_eq!(named(name).unwrap().name, name);
    }
    let problem = |name: &str| format!("metadata.name: \"{name}\" is not a DNS subdomain");
    for name in ["a..b", "-a", "a.", "A", "a_b"] {
        let policy = named(name).unwrap();
        assert!(policy.defects[0].starts_with(&problem(name)), "{:?}", policy.defects);
        assert!(policy.ingress.is_some(), "its pods stay isolated");
    }
    let long = "a".repeat(254);
    assert!(named(&long).unwrap_err().to_string().starts_with(&problem(&long)));
    assert!(named("").unwrap_err().to_string().starts_with("metadata.name: missing"));
    let elsewhere = object(json!({"metadata": {"name": "a", "namespace": "B"}})).unwrap_err().to_string();
    assert!(elsewhere.starts_with("metadata.namespace: \"B\" is not a DNS label"), "{elsewhere}");
}

#[test]
fn a_value_of_another_type_costs_the_smallest_part_it_is_in() {
    let silent = |ports| PolicyRule { peers: Some(vec![]), ports };
    for (spec, defect, ingress) in [
        (
            json!({"ingress": [{"ports": [{"port": 80, "endPort": "90"}, {"port": 443}]}]}),
            "spec.ingress[0].ports[0].endPort: invalid type: string \"90\", expected i32",
            vec![PolicyRule { peers: None, ports: Some(vec![tcp(443, 443)]) }],
        ),
        (
            json!({"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": 1}}}]}]}),
            "spec.ingress[0].from[0].podSelector.matchLabels.app: invalid type: integer `1`",
            vec![silent(None)],
        ),
        (
            json!({"ingress": [{"from": {"podSelector": {}}}]}),
            "spec.ingress[0].from: invalid type: map, expected a sequence",
            vec![silent(None)],
        ),
        (json!({"ingress": [{"from": [null]}]}), "spec.ingress[0].from[0]: invalid type: null", vec![silent(None)]),
        (
            json!({"ingress": [{"ports": 80}]}),
            "spec.ingress[0].ports: invalid type",
            vec![PolicyRule { peers: None, ports: Some(vec![]) }],
        ),
        (json!({"ingress": [null]}), "spec.ingress[0]: invalid type: null", vec![silent(None)]),
        (json!({"ingress": {"from": []}}), "spec.ingress: invalid type: map, expected a sequence", vec![]),
        (json!({"podSelector": "web", "ingress": [{}]}), "spec.podSelector: invalid type: string", vec![silent(None)]),
        (json!({"policyTypes": "Ingress", "ingress": [{}]}), "spec.policyTypes: invalid type", vec![silent(None)]),
        (json!(7), "spec: invalid type: integer `7`", vec![]),
    ] {
        let policy = policy(&spec);
        assert_defect(&policy, defect);
        assert_eq!(policy.ingress, Some(ingress), "{spec}");
    }
    assert_eq!(policy(&json!({"egress": {}})).egress, Some(vec![]), "rules for egress were meant");
}

#[test]
fn a_field_that_nobody_knows_was_to_narrow_what_it_stands_in() {
    let silent = || vec![PolicyRule { peers: Some(vec![]), ports: None }];
    let portless = || vec![PolicyRule { peers: None, ports: Some(vec![]) }];
    for (spec, field, ingress) in [
        (json!({"ingress": [{"form": []}]}), "spec.ingress[0].form", silent()),
        (json!({"ingress": [{"to": []}]}), "spec.ingress[0].to", silent()),
        (json!({"ingress": [{"from": [{"podSelector": {}, "zone": "a"}]}]}), "spec.ingress[0].from[0].zone", silent()),
        (
            json!({"ingress": [{"from": [{"podSelector": {"matchLabel": {"a": "b"}}}]}]}),
            "spec.ingress[0].from[0].podSelector.matchLabel",
            silent(),
        ),
        (
            json!({"ingress": [{"from": [{"podSelector": {"matchExpressions": [
                {"key": "a", "operator": "Exists", "value": "b"}
            ]}}]}]}),
            "spec.ingress[0].from[0].podSelector.matchExpressions[0].value",
            silent(),
        ),
        (json!({"ingress": [{"ports": [{"number": 80}]}]}), "spec.ingress[0].ports[0].number", portless()),
        (json!({"podSelector": {"app": "web"}, "ingress": [{}]}), "spec.podSelector.app", silent()),
        (json!({"selector": {}, "ingress": [{}]}), "spec.selector", silent()),
    ] {
        let policy = policy(&spec);
        assert_defect(&policy, &format!("{field}: not a field of the API as it is known here: misspelled, or newer"));
        assert_eq!(policy.ingress, Some(ingress), "{spec}");
    }
}
