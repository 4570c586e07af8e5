//! What is told of manifests.

use std::fs;

use serde_json::Value;

use super::*;

/// A Pod of `default` with the label `app: NAME`, and a container with the ports 80, which is called `http`, and 443.
fn pod(name: &str, node: &str, ips: &[&str]) -> String {
    let ips: Vec<String> = ips.iter().map(|ip| format!("{{ip: \"{ip}\"}}")).collect();
    format!(
        "---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeName: {node}
  containers: [{{name: main, ports: [{{containerPort: 80, name: http}}, {{containerPort: 443}}]}}]
status: {{podIPs: [{}]}}
",
        ips.join(", ")
    )
}

/// A policy of `default`.
fn policy(name: &str, spec: &str) -> String {
    format!("---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// Three Pods on two nodes.
fn pods() -> String {
    let nginx = pod("nginx-1", "node1", &["10.244.1.10"]) + &pod("nginx-2", "node2", &["10.244.2.10"]);
    nginx + &pod("other", "node2", &["10.244.2.11"])
}

/// Only `nginx-1` into `nginx-2`, on what is called `http` there.
const WEB: &str = "{podSelector: {matchLabels: {app: nginx-2}}, ingress: [
  {from: [{podSelector: {matchLabels: {app: nginx-1}}}], ports: [{port: http}]}]}";

fn report(texts: &[&str]) -> Report {
    let dir = |text: &&str| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("objects.yaml"), text).unwrap();
        dir
    };
    let dirs: Vec<_> = texts.iter().map(dir).collect();
    let args = CheckArgs {
        dir: dirs[0].path().to_owned(),
        next: dirs.get(1).map(|dir| dir.path().to_owned()),
        output: Format::Text,
    };
    check(&args).unwrap()
}

#[track_caller]
fn assert_told(texts: &[&str], expected: &str) {
    let told = told::text(&report(texts)).unwrap();
    assert_eq!(told.trim_end(), expected.trim(), "\n{told}");
}

#[test]
fn a_policy_shows_who_it_lets_in_and_on_which_port() {
    assert_told(
        &[&(pods() + &policy("web", WEB))],
        "
FROM              TO                ALLOWED   DENIED
default/nginx-1   default/nginx-2   80/TCP    443/TCP, all else
all others        default/nginx-2   <none>    all
all else is allowed: no policy isolates it
",
    );
}

#[test]
fn without_policies_everything_is_allowed() {
    assert_told(&[&pods()], "everything is allowed: no policy isolates a Pod");
}

#[test]
fn networks_and_their_exceptions_are_told_apart() {
    let spec = "{podSelector: {matchLabels: {app: other}}, policyTypes: [Egress], egress: [
      {to: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}], ports: [{protocol: UDP, port: 1000, endPort: 1999}]}]}";
    assert_told(
        &[&(pods() + &policy("out", spec))],
        "
FROM            TO             ALLOWED         DENIED
default/other   all others     <none>          all
default/other   192.0.2.0/24   1000-1999/UDP   all else
all else is allowed: no policy isolates it
",
    );
}

#[test]
fn an_exception_is_an_end_although_it_is_as_good_as_outside() {
    let spec = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}]}]}";
    let names: Vec<_> = report(&[&(pods() + &policy("in", spec))]).ends.into_iter().map(|end| end.name).collect();
    assert_eq!(names, ["default/* (3)", "outside, 192.0.2.128/25", "192.0.2.0/24"]);
}

#[test]
fn under_default_deny_each_end_has_a_line() {
    let deny = policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
    let out = policy("out", "{podSelector: {matchLabels: {app: nginx-1}}, policyTypes: [Egress], egress: [{}]}");
    assert_told(
        &[&(pods() + &deny + &out + &policy("in", WEB))],
        "
FROM              TO                ALLOWED   DENIED
everybody         default/nginx-1   <none>    all
default/nginx-1   default/nginx-2   80/TCP    443/TCP, all else
all others        default/nginx-2   <none>    all
everybody         default/other     <none>    all
default/nginx-1   outside           all       <none>
all others        outside           <none>    all
",
    );
}

#[test]
fn both_ends_decide() {
    let deny = policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
    let out = policy("out", "{podSelector: {matchLabels: {app: nginx-1}}, policyTypes: [Egress], egress: [{}]}");
    let into = policy("in", WEB);
    let told = report(&[&(pods() + &deny + &out + &into)]);
    let connections = told.connections.unwrap();
    let allowed: Vec<_> = connections.iter().filter(|it| !it.allowed.is_empty()).collect();
    let texts: Vec<_> = allowed.iter().map(|it| (&*it.ends.from, &*it.ends.to, it.allowed.join(", "))).collect();
    assert_eq!(
        texts,
        [("default/nginx-1", "default/nginx-2", "80/TCP".into()), ("default/nginx-1", "outside", "all".into())]
    );
}

#[test]
fn the_families_are_told_apart_where_they_differ() {
    let pods = pod("a", "node1", &["10.244.1.10", "fd00:1::10"]) + &pod("b", "node2", &["10.244.2.10", "fd00:2::10"]);
    let spec = "{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{ipBlock: {cidr: 10.244.1.0/24}}]}]}";
    assert_told(
        &[&(pods + &policy("in", spec))],
        "
FROM            TO                 ALLOWED   DENIED
default/a       default/b (IPv4)   all       <none>
default/a       default/b (IPv6)   <none>    all
outside         default/b          <none>    all
10.244.1.0/24   default/b          all       <none>
all else is allowed: no policy isolates it
",
    );
}

#[test]
fn what_is_audited_passes_and_is_told() {
    let audited = policy("web", WEB).replace("{name: web}", "{name: web, annotations: {sluice.io/policy-mode: audit}}");
    assert_told(
        &[&(pods() + &audited)],
        "
FROM              TO                ALLOWED   AUDITED                                              DENIED
default/nginx-1   default/nginx-2   80/TCP    1-79/TCP, 81-65535/TCP, UDP, SCTP, other protocols   <none>
all others        default/nginx-2   <none>    all                                                  <none>
all else is allowed: no policy isolates it
",
    );
}

#[test]
fn of_two_directories_what_opens_and_closes_is_told() {
    let wider = WEB.replace("port: http", "port: 443}, {port: 8000, endPort: 8999");
    assert_told(
        &[&(pods() + &policy("web", WEB)), &(pods() + &policy("web", &wider))],
        "
CHANGE   FROM              TO                TRAFFIC
opens    default/nginx-1   default/nginx-2   443/TCP, 8000-8999/TCP
closes   default/nginx-1   default/nginx-2   80/TCP
",
    );
    assert_told(&[&pods(), &pods()], "nothing changes");
}

#[test]
fn pods_that_come_or_go_are_not_compared() {
    let (before, after) = (pods(), pods() + &pod("new", "node1", &["10.244.1.11"]));
    assert_told(
        &[&before, &after],
        "
nothing changes

note: not compared, only in the second directory: default/new
",
    );
}

#[test]
fn pods_without_node_or_address_are_checked_too() {
    let waiting = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: waiting}\n";
    let spec = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}";
    assert_told(
        &[&(pod("a", "node1", &["10.244.1.10"]) + waiting + &policy("in", spec))],
        "
FROM         TO                ALLOWED   DENIED
10.0.0.0/8   default/a         all       <none>
all others   default/a         <none>    all
default/a    default/waiting   all       <none>
outside      default/waiting   <none>    all
10.0.0.0/8   default/waiting   all       <none>
all else is allowed: no policy isolates it

note: Pods without an address are taken to be in no ipBlock but 0.0.0.0/0 and ::/0
",
    );
}

#[test]
fn pods_on_their_hosts_network_and_finished_ones_are_left_out() {
    let host = pod("host", "node1", &["192.0.2.1"]).replace("spec:\n", "spec:\n  hostNetwork: true\n");
    let finished = pod("done", "node1", &["10.244.1.99"]).replace("status: {", "status: {phase: Succeeded, ");
    let told = report(&[&(pods() + &host + &finished)]);
    let pods: Vec<_> = told.ends.iter().flat_map(|end| &end.pods).collect();
    assert_eq!(pods, ["default/nginx-1", "default/nginx-2", "default/other"]);
}

#[test]
fn what_is_wrong_with_objects_comes_first() {
    let bad = policy("web", &WEB.replace("port: http", "port: 80, endPort: 79"));
    let report = report(&[&(pods()
        + &bad
        + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: prod, annotations: {sluice.io/policy-mode: maybe}}\n")]);
    assert!(report.has_problems());
    let [namespace, policy] = &report.problems[..] else { panic!("{:?}", report.problems) };
    assert!(namespace.starts_with("Namespace prod: metadata.annotations"), "{namespace}");
    assert_eq!(policy, "NetworkPolicy default/web: spec.ingress[0].ports[0].endPort: 79 is below port 80");
    let text = told::text(&report).unwrap();
    assert!(
        text.starts_with("problem: Namespace prod: ") && text.contains("everybody   default/nginx-2   <none>    all"),
        "{text}"
    );
}

#[test]
fn json_has_everything() {
    let report = serde_json::to_value(report(&[&(pods() + &policy("web", WEB))])).unwrap();
    let connections = report["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 12, "{connections:?}");
    let isolated: Vec<&Value> = connections.iter().filter(|it| it["isolated"] == true).collect();
    assert_eq!(
        *isolated[0],
        serde_json::json!({
            "from": "default/nginx-1", "to": "default/nginx-2", "isolated": true, "allowed": ["80/TCP"], "audited": [],
            "denied": ["1-79/TCP", "81-65535/TCP", "UDP", "SCTP", "other protocols"], "deniedContainerPorts": ["443/TCP"],
        })
    );
    assert_eq!(
        report["ends"][1],
        serde_json::json!({"name": "default/nginx-2", "pods": ["default/nginx-2"], "networks": []})
    );
}
