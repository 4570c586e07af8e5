use super::*;
use crate::model::{Change, Cluster, ServiceRef};

const WEB: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
";

fn names(text: &str) -> Vec<String> {
    decode(text.as_bytes(), Format::Yaml).unwrap().keys().map(ToString::to_string).collect()
}

fn error(text: &str) -> String {
    decode(text.as_bytes(), Format::Yaml).unwrap_err().to_string()
}

/// A Service of which one line of the spec is as given.
fn service_with(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n  clusterIP: 10.96.0.1\n  {spec}\n")
}

#[test]
fn every_document_of_a_file_counts_and_empty_ones_do_not() {
    let text = format!("# a comment\n---\n{WEB}---\n---\n{}---\n", WEB.replace("web", "other"));
    assert_eq!(names(&text), ["Service default/other", "Service default/web"]);
    assert_eq!(names(""), [""; 0]);
    assert_eq!(names("# nothing but a comment\n"), [""; 0]);
}

#[test]
fn lists_hold_objects_of_any_kind_or_of_their_own() {
    let list = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: prod}}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: ignored}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSliceList
  items: [{addressType: IPv4, endpoints: [], metadata: {name: web-1, namespace: prod}}]
";
    assert_eq!(names(list), ["Namespace prod", "EndpointSlice prod/web-1"]);
    assert_eq!(names("{apiVersion: v1, kind: PodList, items: [{metadata: {name: a}}]}"), ["Pod default/a"]);
    assert_eq!(names("{apiVersion: v1, kind: PodList, items: null}"), [""; 0]);
    let policies = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicyList, items: [{metadata: {name: a.b}}]}";
    assert_eq!(names(policies), ["NetworkPolicy default/a.b"]);
}

#[test]
fn kinds_we_do_not_use_are_ignored_whatever_they_hold() {
    for text in [
        "{apiVersion: apps/v1, kind: Deployment, metadata: {generateName: x-}, spec: 7}",
        "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: web}, spec: {template: {}}}",
        "{apiVersion: example.com/v1, kind: Shopping, items: 3}",
        "{apiVersion: crd.projectcalico.org/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {types: [Ingress]}}",
    ] {
        assert_eq!(names(text), [""; 0], "{text}");
    }
}

#[test]
fn a_network_policy_of_a_version_that_is_not_served_is_not_left_out_in_silence() {
    for version in ["extensions/v1beta1", "networking.k8s.io/v1beta1", "networking.k8s.io/v2"] {
        let error = error(&format!("{{apiVersion: {version}, kind: NetworkPolicy, metadata: {{name: deny}}}}"));
        let expected = format!("document 1: NetworkPolicy default/deny: apiVersion: {version} is no version");
        assert!(error.contains(&expected) && error.contains("write networking.k8s.io/v1"), "{error}");
    }
}

#[test]
fn json_files_may_hold_several_documents() {
    let json = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "b"}}"#;
    assert_eq!(decode(json.as_bytes(), Format::Json).unwrap().len(), 2);
    let cut = decode(&json.as_bytes()[..100], Format::Json).unwrap_err().to_string();
    assert!(cut.starts_with("document 2: EOF"), "{cut}");
}

#[test]
fn anchors_and_merge_keys_work_as_in_kubernetes() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {name: a, labels: &labels {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.1, ports: [&http {port: 80, protocol: UDP}, {<<: *http, port: 81, name: x}]}
"
    .replace("[&http {port: 80", "[&http {name: y, port: 80");
    let objects = decode(text.as_bytes(), Format::Yaml).unwrap();
    let Some(Object::Service(service)) = objects.values().find(|it| matches!(it, Object::Service(_))) else {
        panic!("{objects:?}")
    };
    assert_eq!(service.ports[1].protocol.to_string(), "UDP");
}

#[test]
fn an_error_names_document_object_and_field() {
    for (text, expected) in [
        (format!("{WEB}---\nkind: [\n"), "document 2: "),
        ("a: 1\na: 2\n".to_owned(), "document 1: duplicate entry"),
        ("kind: Service".to_owned(), "document 1: Service default/(without a name): apiVersion: missing"),
        ("just text".to_owned(), "document 1: object default/(without a name): apiVersion: missing"),
        ("{apiVersion: v1, kind: Node}".to_owned(), "document 1: Node (without a name): metadata.name: missing"),
        (format!("{WEB}---\n{WEB}"), "document 2: Service default/web: is in document 1 already"),
        (
            service_with("ports: [{port: 70000}]"),
            "document 1: Service default/web: spec.ports[0].port: 70000 is not a port",
        ),
        (
            service_with("ports: [{port: \"80\"}]"),
            "Service default/web: spec.ports[0].port: invalid type: string \"80\"",
        ),
        (
            "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: 1}]}"
                .to_owned(),
            "document 1: Pod default/a: items[0].spec: invalid type: integer",
        ),
        ("{apiVersion: v1, kind: List, items: 3}".to_owned(), "document 1: List (without a name): items: invalid type"),
    ] {
        let error = error(&text);
        assert!(error.contains(expected), "{text}\ngave: {error}\nwant: {expected}");
    }
}

#[test]
fn the_example_of_the_source_ip_tutorial_is_served_in_both_families() {
    let mut cluster = Cluster::new("node1");
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/source-ip");
    for file in std::fs::read_dir(dir).unwrap() {
        for object in decode(&std::fs::read(file.unwrap().path()).unwrap(), Format::Yaml).unwrap().into_values() {
            cluster.apply(Change::Apply(object));
        }
    }
    for name in ["clusterip", "nodeport", "nodeport-local"] {
        let ports = cluster.service_ports(&ServiceRef::new("default", name));
        let families: Vec<_> = ports.iter().map(|port| port.endpoints.len()).collect();
        assert_eq!(families, [2, 2], "{name}: two endpoints in each of two families");
        assert!(ports.iter().all(|port| port.endpoints.iter().filter(|it| it.is_local && it.ready).count() == 1));
    }
}
