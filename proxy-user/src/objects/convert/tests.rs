use serde_json::{Value, json};

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use proxy_common::addr::Family;

use super::FieldError;
use crate::model::{
    EndpointSlice, Endpoints, Namespace, Node, Pod, Protocol, Service, ServiceType, TargetPort, TrafficPolicy,
};

fn service(spec: &Value) -> Result<Service, FieldError> {
    let object = json!({"metadata": {"name": "web"}, "spec": spec});
    serde_json::from_value::<core::Service>(object).unwrap().try_into()
}

fn pod(spec: &Value, status: &Value) -> Result<Pod, FieldError> {
    let object = json!({"metadata": {"name": "a"}, "spec": spec, "status": status});
    serde_json::from_value::<core::Pod>(object).unwrap().try_into()
}

fn slice(object: Value) -> Result<EndpointSlice, FieldError> {
    serde_json::from_value::<discovery::EndpointSlice>(object).unwrap().try_into()
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Asserts that the error is as expected, field and problem.
#[track_caller]
fn assert_error<T: std::fmt::Debug>(result: Result<T, FieldError>, expected: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}\nwant: {expected}");
}

#[test]
fn a_service_gets_the_api_servers_defaults() {
    let service = service(&json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]})).unwrap();
    assert_eq!(service.id.to_string(), "default/web");
    assert_eq!(service.service_type, ServiceType::ClusterIp);
    assert_eq!(service.internal_traffic_policy, TrafficPolicy::Cluster);
    assert_eq!(service.external_traffic_policy, TrafficPolicy::Cluster);
    assert!(!service.publish_not_ready_addresses);
    let port = &service.ports[0];
    assert_eq!((port.protocol, &port.target_port, port.node_port), (Protocol::Tcp, &TargetPort::Number(80), None));
}

#[test]
fn cluster_ips_come_from_either_field() {
    for (spec, expected) in [
        (json!({"clusterIP": "10.96.0.1"}), &["10.96.0.1"][..]),
        (json!({"clusterIPs": ["fd00::1", "10.96.0.1"]}), &["fd00::1", "10.96.0.1"]),
        (json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"]}), &["10.96.0.1"]),
        (json!({"clusterIP": "None"}), &[]),
        (json!({"clusterIPs": ["None"]}), &[]),
        (json!({"type": "ExternalName", "externalName": "example.com"}), &[]),
        (json!({"clusterIP": "10.096.0.001"}), &["10.96.0.1"]),
        (json!({"clusterIP": "::ffff:10.96.0.1"}), &["10.96.0.1"]),
    ] {
        assert_eq!(texts(&service(&spec).unwrap().cluster_ips), expected, "{spec}");
    }
}

fn affinity(seconds: i32) -> Value {
    let config = json!({"clientIP": {"timeoutSeconds": seconds}});
    json!({"clusterIP": "10.96.0.1", "sessionAffinity": "ClientIP", "sessionAffinityConfig": config})
}

fn ranges(texts: &[&str]) -> Value {
    json!({"clusterIP": "10.96.0.1", "type": "LoadBalancer", "loadBalancerSourceRanges": texts})
}

#[test]
fn s5_1_affinity_is_by_client_ip_with_the_apis_default_timeout() {
    let timeout = |spec: &Value| service(spec).unwrap().session_affinity;
    assert_eq!(timeout(&json!({"clusterIP": "10.96.0.1"})), None);
    assert_eq!(timeout(&json!({"clusterIP": "10.96.0.1", "sessionAffinity": "None"})), None);
    assert_eq!(timeout(&json!({"clusterIP": "10.96.0.1", "sessionAffinity": "ClientIP"})), Some(10_800));
    assert_eq!((timeout(&affinity(1)), timeout(&affinity(86_400))), (Some(1), Some(86_400)));
    let mut unused = affinity(0);
    unused["sessionAffinity"] = "None".into();
    assert_eq!(timeout(&unused), None, "a timeout without affinity is nobody's");
}

#[test]
fn s1_16_ranges_are_trimmed_and_zeros_before_decimal_bytes_ignored() {
    let parsed = |text: &str| service(&ranges(&[text])).unwrap().load_balancer_source_ranges[0].to_string();
    for (text, expected) in [
        (" 192.0.2.0/24\n", "192.0.2.0/24"),
        ("203.0.113.000/025", "203.0.113.0/25"),
        ("172.30.0.041/032", "172.30.0.41/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("fd00::1/64", "fd00::/64"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ] {
        assert_eq!(parsed(text), expected);
    }
}

#[test]
fn s1_16_every_address_of_an_object_may_have_leading_zeros() {
    let object = json!({
        "metadata": {"name": "web"},
        "spec": {"clusterIPs": ["172.30.0.041"], "externalIPs": ["192.168.099.022"]},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.000.113.001"}]}}
    });
    let service: Service = serde_json::from_value::<core::Service>(object).unwrap().try_into().unwrap();
    assert_eq!(texts(&service.cluster_ips), ["172.30.0.41"]);
    assert_eq!(texts(&service.external_ips), ["192.168.99.22"]);
    assert_eq!(texts(&service.load_balancer_ips), ["203.0.113.1"]);
    let endpoints = json!([{"addresses": ["010.000.000.012"]}]);
    let object = json!({"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": endpoints});
    assert_eq!(slice(object).unwrap().group.endpoints[0].ip.to_string(), "10.0.0.12");
}

#[test]
fn s1_27_hints_name_nodes_and_zones() {
    let endpoint = |hints: Value| {
        let endpoints = json!([{"addresses": ["10.0.0.1"], "hints": hints}]);
        let object = json!({"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": endpoints});
        slice(object).unwrap().group.endpoints.remove(0).hints.map(|hints| {
            let names = |names: &[std::sync::Arc<str>]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
            (names(&hints.for_nodes), names(&hints.for_zones))
        })
    };
    let both = json!({"forNodes": [{"name": "n"}], "forZones": [{"name": "a"}, {"name": "b"}]});
    assert_eq!(endpoint(both), Some((vec!["n".into()], vec!["a".into(), "b".into()])));
    assert_eq!(endpoint(json!({"forZones": []})), None);
    assert_eq!(endpoint(json!(null)), None);
}

#[test]
fn a_service_that_cannot_be_served_as_written_is_refused() {
    let port = |fields: &Value| json!({"clusterIP": "10.96.0.1", "ports": [fields]});
    let ports = |list: &Value| json!({"clusterIP": "10.96.0.1", "ports": list});
    for (spec, expected) in [
        (json!({}), "spec.clusterIP: missing; without an API server nobody assigns one: write an address, or None"),
        (json!({"clusterIP": "10.96.0"}), "spec.clusterIP: \"10.96.0\" is not an IP address"),
        (json!({"clusterIP": "0.0.0.0"}), "spec.clusterIP: 0.0.0.0 is an unspecified"),
        (json!({"clusterIPs": ["10.0.0.1", "10.0.0.2"]}), "spec.clusterIPs[1]: 10.0.0.2 is the second address"),
        (json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]}), "spec.clusterIPs[0]: \"10.0.0.2\" differs"),
        (
            json!({"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]}),
            "spec.clusterIP: 10.0.0.1 is not of the family IPv6",
        ),
        (json!({"clusterIP": "10.0.0.1", "externalIPs": ["x"]}), "spec.externalIPs[0]: \"x\""),
        (
            json!({"clusterIP": "10.0.0.1", "type": "Nodeport"}),
            "spec.type: \"Nodeport\" is none of ClusterIP, NodePort",
        ),
        (json!({"clusterIP": "10.0.0.1", "externalTrafficPolicy": "local"}), "spec.externalTrafficPolicy: \"local\""),
        (json!({"clusterIP": "10.0.0.1", "internalTrafficPolicy": "local"}), "spec.internalTrafficPolicy: \"local\""),
        (json!({"clusterIP": "10.0.0.1", "sessionAffinity": "Cookie"}), "spec.sessionAffinity: \"Cookie\""),
        (affinity(0), "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not between 1 and 86400"),
        (affinity(86_401), "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not between"),
        (
            ranges(&["192.0.2.0/24", "192.0.2.0/33"]),
            "spec.loadBalancerSourceRanges[1]: \"192.0.2.0/33\" is not a range",
        ),
        (ranges(&["192.0.2.1"]), "spec.loadBalancerSourceRanges[0]: \"192.0.2.1\" is not a range"),
        (ranges(&[" "]), "spec.loadBalancerSourceRanges[0]: \" \" is not a range"),
        (
            json!({"clusterIP": "10.0.0.1", "healthCheckNodePort": 65536}),
            "spec.healthCheckNodePort: 65536 is not a port number",
        ),
        (json!({"clusterIP": "10.+1.0.1"}), "spec.clusterIP: \"10.+1.0.1\" is not an IP address"),
        (port(&json!({"port": 0})), "spec.ports[0].port: 0 is not a port number"),
        (port(&json!({"port": 65536})), "spec.ports[0].port: 65536 is not a port number"),
        (port(&json!({"port": 80, "protocol": "tcp"})), "spec.ports[0].protocol: \"tcp\" is none of TCP, UDP, SCTP"),
        (port(&json!({"port": 80, "targetPort": -1})), "spec.ports[0].targetPort: -1"),
        (port(&json!({"port": 80, "nodePort": 70000})), "spec.ports[0].nodePort: 70000"),
        (port(&json!({"port": 80, "name": "Web"})), "spec.ports[0].name: \"Web\" is not a DNS label"),
        (
            json!({"clusterIP": "10.0.0.1", "type": "NodePort", "ports": [{"port": 80}]}),
            "spec.ports[0].nodePort: missing",
        ),
        (ports(&json!([{"port": 80}, {"port": 81}])), "spec.ports[0].name: missing"),
        (
            ports(&json!([{"name": "a", "port": 80}, {"name": "a", "port": 81}])),
            "spec.ports[1].name: \"a\" is there twice",
        ),
        (ports(&json!([{"name": "a", "port": 80}, {"name": "b", "port": 80}])), "spec.ports[1].port: 80/TCP is there"),
        (
            ports(&json!([{"name": "a", "port": 80, "nodePort": 1}, {"name": "b", "port": 81, "nodePort": 1}])),
            "spec.ports[1].nodePort: 1/TCP is there twice",
        ),
    ] {
        assert_error(service(&spec), expected);
    }
}

#[test]
fn names_that_do_not_fit_are_refused() {
    let named = |name: &str, namespace: &str| {
        let object = json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": "None"}});
        Service::try_from(serde_json::from_value::<core::Service>(object).unwrap())
    };
    assert!(named(&"n".repeat(63), &"s".repeat(63)).is_ok());
    assert_error(named(&"n".repeat(64), "s"), "metadata.name: ");
    assert_error(named("n", &"s".repeat(64)), "metadata.namespace: ");
    assert_error(named("-n", "s"), "metadata.name: ");
}

#[test]
fn a_port_number_may_stand_for_two_protocols() {
    let ports = json!([{"name": "a", "port": 53}, {"name": "b", "port": 53, "protocol": "UDP"}]);
    assert_eq!(service(&json!({"clusterIP": "10.0.0.1", "ports": ports})).unwrap().ports.len(), 2);
}

#[test]
fn only_load_balancer_addresses_that_reach_the_node_count() {
    let ingress = json!([
        {"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "VIP"}, {"ip": "203.0.113.3", "ipMode": "Proxy"},
        {"hostname": "lb.example.com"}
    ]);
    let object = json!({
        "metadata": {"name": "web"}, "spec": {"clusterIP": "None"}, "status": {"loadBalancer": {"ingress": ingress}}
    });
    let service: Service = serde_json::from_value::<core::Service>(object).unwrap().try_into().unwrap();
    assert_eq!(texts(&service.load_balancer_ips), ["203.0.113.1", "203.0.113.2"]);
}

#[test]
fn a_health_check_port_is_a_port_number_or_none() {
    let port = |number: i32| service(&json!({"clusterIP": "10.96.0.1", "healthCheckNodePort": number}));
    assert_eq!(port(30_000).unwrap().health_check_node_port, Some(30_000));
    assert_eq!(port(0).unwrap().health_check_node_port, None);
    assert_error(port(70_000), "spec.healthCheckNodePort: 70000 is not a port number");
}

#[test]
fn the_label_of_another_proxy_counts_even_when_it_is_empty() {
    let object = json!({
        "metadata": {"name": "web", "labels": {"service.kubernetes.io/service-proxy-name": ""}},
        "spec": {"clusterIP": "10.0.0.1"}
    });
    let service: Service = serde_json::from_value::<core::Service>(object).unwrap().try_into().unwrap();
    assert!(service.proxied_elsewhere);
}

#[test]
fn a_pods_addresses_come_from_its_status_and_on_the_host_network_from_its_host() {
    for (host_network, status, expected) in [
        (
            false,
            json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}),
            &["10.0.0.1", "fd00::1"][..],
        ),
        (false, json!({"podIP": "10.0.0.1"}), &["10.0.0.1"]),
        (false, json!({}), &[]),
        (false, json!({"hostIP": "192.0.2.1"}), &[]),
        (true, json!({"hostIP": "192.0.2.1"}), &["192.0.2.1"]),
        (true, json!({"hostIPs": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}]}), &["192.0.2.1", "2001:db8::1"]),
    ] {
        let pod = pod(&json!({"containers": [], "hostNetwork": host_network}), &status).unwrap();
        assert_eq!(texts(&pod.ips), expected, "{status}");
    }
    let twice = json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]});
    assert_error(pod(&json!({"containers": []}), &twice), "status.podIPs[1]: 10.0.0.2 is the second address");
}

#[test]
fn a_pod_is_ready_by_its_condition_and_finished_by_its_phase() {
    let with = |status: Value| pod(&json!({"containers": []}), &status).unwrap();
    let condition = |status| json!({"conditions": [{"type": "Ready", "status": status}]});
    assert!(with(condition("True")).ready);
    assert!(!with(condition("False")).ready && !with(condition("Unknown")).ready && !with(json!({})).ready);
    assert!(with(json!({"phase": "Succeeded"})).finished && with(json!({"phase": "Failed"})).finished);
    assert!(!with(json!({"phase": "Running"})).finished);
}

#[test]
fn a_pods_ports_are_those_of_containers_and_of_init_containers_that_keep_running() {
    let container =
        |name: &str| json!({"name": name, "ports": [{"name": name, "containerPort": 8080}, {"containerPort": 1}]});
    let mut sidecar = container("sidecar");
    sidecar["restartPolicy"] = "Always".into();
    let spec = json!({"containers": [container("app")], "initContainers": [container("init"), sidecar]});
    let pod = pod(&spec, &json!({})).unwrap();
    assert_eq!(pod.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["app", "", "sidecar", ""]);
}

#[test]
fn a_slices_conditions_and_ports_have_defaults() {
    let slice = slice(json!({
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.0.0.1", "10.0.0.2"], "nodeName": "node1"},
            {"addresses": []},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": false, "terminating": true}}
        ],
        "ports": [{"port": 8080}, {"name": "none"}, {"name": "zero", "port": 0}]
    }))
    .unwrap();
    assert_eq!(slice.service.unwrap().to_string(), "default/web");
    let endpoints = &slice.group.endpoints;
    assert_eq!(endpoints.iter().map(|it| it.ip.to_string()).collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.3"]);
    assert_eq!((endpoints[0].ready, endpoints[0].serving, endpoints[0].terminating), (true, true, false));
    assert_eq!((endpoints[1].ready, endpoints[1].serving, endpoints[1].terminating), (false, false, true));
    let ports = &slice.group.ports;
    assert_eq!((ports.len(), ports[0].name.as_str(), ports[0].protocol), (1, "", Protocol::Tcp));
}

#[test]
fn a_slice_that_is_nobodys_or_a_headless_services_has_no_service() {
    let labelled = |labels: Value| {
        slice(json!({"metadata": {"name": "x", "labels": labels}, "addressType": "IPv4", "endpoints": []})).unwrap()
    };
    assert_eq!(labelled(json!({})).service, None);
    assert_eq!(labelled(json!({"kubernetes.io/service-name": ""})).service, None);
    let headless = json!({"kubernetes.io/service-name": "web", "service.kubernetes.io/headless": ""});
    assert_eq!(labelled(headless).service, None);
}

#[test]
fn a_slice_with_a_bad_field_is_refused() {
    let with = |family: &str, address: &str, port: i32| {
        slice(json!({
            "metadata": {"name": "x"}, "addressType": family,
            "endpoints": [{"addresses": [address]}], "ports": [{"port": port}]
        }))
    };
    assert_error(with("", "10.0.0.1", 1), "addressType: missing");
    assert_error(with("ipv4", "10.0.0.1", 1), "addressType: \"ipv4\" is none of IPv4, IPv6, FQDN");
    assert_error(with("IPv4", "a.example", 1), "endpoints[0].addresses[0]: \"a.example\"");
    assert_error(with("IPv6", "10.0.0.1", 1), "endpoints[0].addresses[0]: 10.0.0.1 is not of the family IPv6");
    assert_error(with("IPv4", "10.0.0.1", 70000), "ports[0].port: 70000");
    assert!(with("FQDN", "a.example", 1).unwrap().group.endpoints.is_empty());
}

#[test]
fn addresses_of_an_endpoints_object_are_ready_by_the_list_they_stand_in() {
    let object = json!({"metadata": {"name": "web"}, "subsets": [{
        "addresses": [{"ip": "10.0.0.1", "nodeName": "node1"}], "notReadyAddresses": [{"ip": "10.0.0.2"}],
        "ports": [{"port": 8080}]
    }]});
    let endpoints: Endpoints = serde_json::from_value::<core::Endpoints>(object).unwrap().try_into().unwrap();
    let ready: Vec<_> = endpoints.subsets[0].endpoints.iter().map(|it| (it.ready, it.serving)).collect();
    assert_eq!(ready, [(true, true), (false, false)]);
}

#[test]
fn a_node_has_its_internal_addresses_and_ranges() {
    let object = json!({
        "metadata": {"name": "node1"}, "spec": {"podCIDRs": ["10.244.1.0/24", "fd00::/64"]},
        "status": {"addresses": [{"type": "Hostname", "address": "node1"}, {"type": "InternalIP", "address": "192.0.2.1"}]}
    });
    let node: Node = serde_json::from_value::<core::Node>(object).unwrap().try_into().unwrap();
    assert_eq!(
        (texts(&node.internal_ips), texts(&node.pod_cidrs)),
        (vec!["192.0.2.1".into()], vec!["10.244.1.0/24".into(), "fd00::/64".into()])
    );
    let bad = json!({"metadata": {"name": "n"}, "spec": {"podCIDR": "10.244.1.0/33"}});
    assert_error(
        Node::try_from(serde_json::from_value::<core::Node>(bad).unwrap()),
        "spec.podCIDRs[0]: \"10.244.1.0/33\"",
    );
}

#[test]
fn a_node_is_eligible_unless_it_is_being_deleted_or_the_autoscaler_is_about_to() {
    let node = |metadata: Value, taints: Value| -> Node {
        let object = json!({"metadata": metadata, "spec": {"taints": taints}});
        serde_json::from_value::<core::Node>(object).unwrap().try_into().unwrap()
    };
    let named = || json!({"name": "node1"});
    let taint = |key: &str| json!([{"key": key, "effect": "NoSchedule"}]);
    for (metadata, taints, eligible) in [
        (named(), json!(null), true),
        (named(), taint("node.kubernetes.io/unschedulable"), true),
        (named(), taint("ToBeDeletedByClusterAutoscaler"), false),
        (json!({"name": "node1", "deletionTimestamp": "2026-01-01T00:00:00Z"}), json!([]), false),
    ] {
        assert_eq!(node(metadata.clone(), taints.clone()).is_eligible(), eligible, "{metadata} {taints}");
    }
}

#[test]
fn a_slice_tells_its_family_and_when_its_endpoints_changed() {
    let slice = |address_type: &str, at: Value| {
        let annotations = json!({"endpoints.kubernetes.io/last-change-trigger-time": at});
        let object = json!({"metadata": {"name": "a", "annotations": annotations}, "addressType": address_type, "endpoints": []});
        slice(object).unwrap()
    };
    let at = "2026-01-01T00:00:00.123456789Z";
    let told = slice("IPv6", json!(at));
    assert_eq!((told.family, told.last_change), (Some(Family::V6), Some(at.parse().unwrap())));
    let odd = slice("FQDN", json!("yesterday"));
    assert_eq!((odd.family, odd.last_change), (None, None));
}

#[test]
fn a_namespace_is_audited_by_its_annotation_and_by_no_other_word() {
    let namespace = |annotations: Value| -> Namespace {
        let object = json!({"metadata": {"name": "prod", "annotations": annotations}});
        serde_json::from_value::<core::Namespace>(object).unwrap().try_into().unwrap()
    };
    assert!(!namespace(json!(null)).audit);
    assert!(namespace(json!({"sluice.io/policy-mode": "audit"})).audit);
    assert!(!namespace(json!({"sluice.io/policy-mode": "enforce"})).audit);
    let odd = namespace(json!({"sluice.io/policy-mode": "Audit"}));
    let expected = "metadata.annotations[\"sluice.io/policy-mode\"]: \"Audit\" is none of audit, enforce";
    assert_eq!((odd.audit, odd.defects), (false, vec![expected.to_owned()]));
}
