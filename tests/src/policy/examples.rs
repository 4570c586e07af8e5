//! The reference on examples with known answers: those of the concept page "Network Policies", and what the API
//! reference says in so many words.

use serde::Deserialize as _;

use super::{Connection, Decision, Object, Objects, Protocol, Settings, Verdict, verdict};

/// Pods, each of a line: namespace, name, labels, address.
const PODS: &str = "
apiVersion: v1
kind: Node
metadata: {name: node1}
spec: {podCIDR: 10.0.0.0/24, podCIDRs: [10.0.0.0/24]}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: ExternalIP, address: 203.0.113.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: node2}
spec: {podCIDR: 10.0.1.0/24, podCIDRs: [10.0.1.0/24]}
status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: myproject, labels: {project: myproject}}
---
apiVersion: v1
kind: Pod
metadata: {namespace: default, name: db, labels: {role: db}}
spec: {nodeName: node1, containers: [{name: it, ports: [{name: sql, containerPort: 6379}]}]}
status: {podIP: 10.0.0.10}
---
apiVersion: v1
kind: Pod
metadata: {namespace: default, name: frontend, labels: {role: frontend}}
spec: {nodeName: node2, containers: [{name: it, ports: [{name: sql, containerPort: 6380}]}]}
status: {podIP: 10.0.1.10}
---
apiVersion: v1
kind: Pod
metadata: {namespace: myproject, name: other, labels: {role: other}}
spec: {nodeName: node2, containers: [{name: it}]}
status: {podIP: 10.0.1.20}
---
apiVersion: v1
kind: Pod
metadata: {namespace: myproject, name: host, labels: {role: frontend}}
spec: {nodeName: node2, hostNetwork: true, containers: [{name: it}]}
status: {podIP: 192.0.2.2}
---
apiVersion: v1
kind: Pod
metadata: {namespace: myproject, name: done, labels: {role: frontend}}
spec: {nodeName: node2, containers: [{name: it}]}
status: {podIP: 10.0.1.30, phase: Succeeded}
";

/// Objects with policies of these specifications in `default`.
fn objects(specs: &[&str]) -> Objects {
    let mut text = PODS.to_owned();
    for (number, spec) in specs.iter().enumerate() {
        text += "\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: ";
        text += spec;
        text += "\nmetadata: {namespace: default, name: policy-";
        text += &number.to_string();
        text += "}\n";
    }
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    let all: Vec<Object> = documents.map(|document| Object::deserialize(document).unwrap()).collect();
    Objects::new(&all)
}

/// Judges `"10.0.1.10 10.0.0.10 TCP 80"`.
fn judge(specs: &[&str], connection: &str) -> Verdict {
    let [from, to, protocol, port] = connection.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let protocol = match protocol {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Other,
    };
    let (from, to, port) = (from.parse().unwrap(), to.parse().unwrap(), port.parse().unwrap());
    verdict(&objects(specs), Settings::default(), Connection { from, to, protocol, port })
}

fn allowed(specs: &[&str], connections: &[&str]) {
    for connection in connections {
        let verdict = judge(specs, connection);
        assert!(verdict.is_allowed(), "{connection} with {specs:?}: {verdict}");
    }
}

fn denied(specs: &[&str], connections: &[&str]) {
    for connection in connections {
        let verdict = judge(specs, connection);
        assert!(!verdict.is_allowed(), "{connection} with {specs:?}: {verdict}");
    }
}

#[test]
fn the_example_of_the_concept_page_says_what_the_page_says() {
    let example = "{podSelector: {matchLabels: {role: db}}, policyTypes: [Ingress, Egress],
      ingress: [{from: [{ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}},
                        {namespaceSelector: {matchLabels: {project: myproject}}},
                        {podSelector: {matchLabels: {role: frontend}}}],
                 ports: [{protocol: TCP, port: 6379}]}],
      egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24}}], ports: [{protocol: TCP, port: 5978}]}]}";
    let to_db = ["172.17.0.255", "172.17.2.0", "10.0.1.10", "10.0.1.20"];
    for from in to_db {
        allowed(&[example], &[&format!("{from} 10.0.0.10 TCP 6379")]);
        denied(&[example], &[&format!("{from} 10.0.0.10 TCP 6378"), &format!("{from} 10.0.0.10 UDP 6379")]);
    }
    denied(&[example], &["172.17.1.1 10.0.0.10 TCP 6379", "172.18.0.1 10.0.0.10 TCP 6379"]);
    allowed(&[example], &["10.0.0.10 10.0.0.99 TCP 5978", "10.0.1.10 10.0.1.20 TCP 1"]);
    denied(&[example], &["10.0.0.10 10.0.1.10 TCP 5978", "10.0.0.10 10.0.0.99 TCP 5979"]);
}

#[test]
fn two_selectors_in_one_peer_are_both_asked_and_in_two_either() {
    let together = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {project: myproject}},
        podSelector: {matchLabels: {role: frontend}}}]}]}";
    denied(&[together], &["10.0.1.20 10.0.0.10 TCP 80", "10.0.1.10 10.0.0.10 TCP 80"]);
    let apart = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {project: myproject}}},
        {podSelector: {matchLabels: {role: frontend}}}]}]}";
    allowed(&[apart], &["10.0.1.20 10.0.0.10 TCP 80", "10.0.1.10 10.0.0.10 TCP 80"]);
}

#[test]
fn absent_and_empty_mean_everything_in_a_rule_and_nothing_in_its_place() {
    let connections = ["10.0.1.20 10.0.0.10 TCP 80", "198.51.100.1 10.0.0.10 ICMP 0"];
    denied(&["{podSelector: {}}", "{podSelector: {}, ingress: []}"], &connections);
    allowed(&["{podSelector: {}}", "{podSelector: {}, ingress: [{}]}"], &connections);
    allowed(&["{podSelector: {}, ingress: [{from: [], ports: []}]}"], &connections);
    allowed(&["{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"], &connections[..1]);
    denied(&["{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"], &connections[..1]);
}

#[test]
fn a_policy_without_a_specification_lets_nobody_in() {
    denied(&["null"], &["10.0.1.20 10.0.0.10 TCP 80"]);
    allowed(&["null"], &["10.0.0.10 10.0.1.20 TCP 80"]);
}

#[test]
fn policy_types_have_the_api_servers_default() {
    let out = ["10.0.0.10 10.0.1.20 TCP 80"];
    let into = ["10.0.1.20 10.0.0.10 TCP 80"];
    allowed(&["{podSelector: {}}", "{podSelector: {}, egress: []}", "{podSelector: {}, policyTypes: []}"], &out);
    denied(&["{podSelector: {}, egress: [{ports: [{port: 1}]}]}"], &[out, into].concat());
    denied(&["{podSelector: {}, policyTypes: [Egress]}"], &out);
    allowed(&["{podSelector: {}, policyTypes: [Egress], ingress: []}"], &into);
}

#[test]
fn a_port_is_of_one_protocol_and_a_rule_without_ports_of_all() {
    let only = "{podSelector: {}, ingress: [{ports: [{port: 80}, {protocol: SCTP}, {port: 90, endPort: 92}]}]}";
    allowed(&[only], &["198.51.100.1 10.0.0.10 TCP 80", "198.51.100.1 10.0.0.10 SCTP 7"]);
    allowed(&[only], &["198.51.100.1 10.0.0.10 TCP 90", "198.51.100.1 10.0.0.10 TCP 92"]);
    denied(&[only], &["198.51.100.1 10.0.0.10 UDP 80", "198.51.100.1 10.0.0.10 ICMP 0"]);
    denied(&[only], &["198.51.100.1 10.0.0.10 TCP 89", "198.51.100.1 10.0.0.10 TCP 93"]);
}

#[test]
fn a_named_port_is_the_destinations() {
    let into = "{podSelector: {}, ingress: [{ports: [{port: sql}]}]}";
    allowed(&[into], &["10.0.1.10 10.0.0.10 TCP 6379", "198.51.100.1 10.0.1.10 TCP 6380"]);
    denied(&[into], &["10.0.1.10 10.0.0.10 TCP 6380", "10.0.0.10 10.0.1.10 TCP 6379"]);
    let out = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: sql}]}]}";
    allowed(&[out], &["10.0.1.10 10.0.0.10 TCP 6379", "10.0.0.10 10.0.1.10 TCP 6380"]);
    denied(&[out], &["10.0.1.10 10.0.0.10 TCP 6380", "10.0.1.10 198.51.100.1 TCP 6379"]);
}

#[test]
fn not_in_holds_where_the_label_is_not_there() {
    let expression = |operator: &str, values: &str| {
        format!("{{podSelector: {{matchExpressions: [{{key: zone, operator: {operator}, values: {values}}}]}}}}")
    };
    let into = ["10.0.1.20 10.0.0.10 TCP 80"];
    denied(&[&expression("NotIn", "[a]")], &into);
    denied(&[&expression("DoesNotExist", "[]")], &into);
    allowed(&[&expression("In", "[a]")], &into);
    allowed(&[&expression("Exists", "[]")], &into);
}

#[test]
fn who_is_on_the_host_network_or_finished_is_nobodys_peer() {
    let all_pods = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}";
    denied(&[all_pods], &["192.0.2.2 10.0.0.10 TCP 80", "10.0.1.30 10.0.0.10 TCP 80"]);
    let node = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.2/32}}]}]}";
    allowed(&[node], &["192.0.2.2 10.0.0.10 TCP 80"]);
}

#[test]
fn a_pod_reaches_itself_and_its_own_node_and_no_other() {
    let nothing = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
    assert_eq!(judge(&[nothing], "10.0.0.10 10.0.0.10 TCP 1").ingress, Decision::Itself);
    for node in ["192.0.2.1", "203.0.113.1"] {
        allowed(&[nothing], &[&format!("{node} 10.0.0.10 TCP 1"), &format!("10.0.0.10 {node} TCP 1")]);
    }
    denied(&[nothing], &["192.0.2.2 10.0.0.10 TCP 1", "10.0.0.10 192.0.2.2 TCP 1"]);
}

#[test]
fn a_block_holds_addresses_of_its_family_whoever_has_them() {
    let all = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: '::/0'}}, {ipBlock: {cidr: 10.0.1.9/30}}]}]}";
    allowed(&[all], &["10.0.1.10 10.0.0.10 TCP 1"]);
    denied(&[all], &["10.0.1.20 10.0.0.10 TCP 1"]);
}

#[test]
fn an_audited_policy_denies_nothing_and_allows_nothing_beside_another() {
    let mut objects = objects(&["{podSelector: {}}", "{podSelector: {}, ingress: [{}]}"]);
    let (from, to) = ("10.0.1.20".parse().unwrap(), "10.0.0.10".parse().unwrap());
    let connection = Connection { from, to, protocol: Protocol::Tcp, port: 1 };
    let ingress = |objects: &Objects| verdict(objects, Settings::default(), connection).ingress;
    let audit = |objects: &mut Objects, number: usize| {
        let annotations = [("sluice.io/policy-mode".to_owned(), "audit".to_owned())];
        objects.policies[number].metadata.annotations = Some(annotations.into());
    };
    audit(&mut objects, 1);
    assert_eq!(ingress(&objects), Decision::Denied);
    objects.policies.pop();
    audit(&mut objects, 0);
    assert_eq!(ingress(&objects), Decision::Audited);
}
