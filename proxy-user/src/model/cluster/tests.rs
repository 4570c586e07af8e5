use jiff::Timestamp;

use super::*;
use crate::model::fixtures::{HERE, endpoints, group, ip, labels, pod, port, service, slice};
use crate::model::{ContainerPort, FrontendKind, GroupPort, Protocol, ServiceType, TargetPort, TrafficPolicy};

mod here;
mod remarks;

fn cluster(objects: Vec<Object>) -> Cluster {
    let mut cluster = Cluster::new(HERE);
    for object in objects {
        cluster.apply(Change::Apply(object));
    }
    cluster
}

fn web() -> Service {
    service("web", &["10.96.0.1"])
}

fn id(name: &str) -> ServiceRef {
    ServiceRef::new("default", name)
}

/// The only port of the Service `web`.
fn web_port(cluster: &Cluster) -> ServicePort {
    let ports = cluster.service_ports(&id("web"));
    assert_eq!(ports.len(), 1, "{ports:?}");
    ports.into_iter().next().unwrap()
}

/// Endpoints of the Service `web` as `ADDRESS:PORT`.
fn web_endpoints(cluster: &Cluster) -> Vec<String> {
    web_port(cluster).endpoints.iter().map(|it| format!("{}:{}", it.ip, it.port)).collect()
}

fn apply(cluster: &mut Cluster, object: Object) -> Vec<String> {
    cluster.apply(Change::Apply(object)).into_iter().map(|service| service.name).collect()
}

fn delete(cluster: &mut Cluster, object: &Object) -> Vec<String> {
    cluster.apply(Change::Delete(object.object_ref())).into_iter().map(|service| service.name).collect()
}

#[test]
fn a_service_that_is_not_ours_to_serve_has_no_ports() {
    for (story, service) in [
        ("headless", service("web", &[])),
        ("an external name", Service { service_type: ServiceType::ExternalName, ..web() }),
        ("another proxy's", Service { proxied_elsewhere: true, ..web() }),
    ] {
        assert_eq!(cluster(vec![Object::Service(service)]).service_ports(&id("web")), [], "{story}");
    }
}

#[test]
fn a_service_exists_in_the_families_it_has_a_cluster_ip_of() {
    let node_port = Port { node_port: Some(30080), ..port("", 80, TargetPort::Number(8080)) };
    let external_ips = vec![ip("203.0.113.1"), ip("2001:db8::1")];
    let frontends = |cluster_ips: &[&str]| {
        let service = service("web", cluster_ips);
        let service = Service { ports: vec![node_port.clone()], external_ips: external_ips.clone(), ..service };
        let ports = cluster(vec![Object::Service(service)]).service_ports(&id("web"));
        ports.iter().map(|port| port.frontends.iter().map(ToString::to_string).collect()).collect::<Vec<Vec<_>>>()
    };
    let v4 = vec!["10.96.0.1:80/TCP", "203.0.113.1:80/TCP", "IPv4 node port 30080/TCP"];
    let v6 = vec!["[fd00::1]:80/TCP", "[2001:db8::1]:80/TCP", "IPv6 node port 30080/TCP"];
    assert_eq!(frontends(&["fd00::1", "10.96.0.1"]), [v6.clone(), v4.clone()]);
    assert_eq!(frontends(&["10.96.0.1"]), [v4]);
    assert_eq!(frontends(&["fd00::1"]), [v6]);
}

#[test]
fn every_address_a_service_has_is_a_frontend_of_each_port_once() {
    let service = Service {
        external_ips: vec![ip("203.0.113.1")],
        load_balancer_ips: vec![ip("203.0.113.2"), ip("203.0.113.1")],
        ports: vec![port("a", 80, TargetPort::Number(1)), port("b", 443, TargetPort::Number(2))],
        ..web()
    };
    let ports = cluster(vec![Object::Service(service)]).service_ports(&id("web"));
    let kinds: Vec<Vec<_>> = ports.iter().map(|port| port.frontends.iter().map(|it| it.kind).collect()).collect();
    let each = vec![FrontendKind::ClusterIp, FrontendKind::ExternalIp, FrontendKind::LoadBalancer];
    assert_eq!(kinds, [each.clone(), each]);
}

#[test]
fn external_traffic_policy_holds_only_where_it_has_a_meaning() {
    for (service_type, external_ip, expected) in [
        (ServiceType::ClusterIp, None, TrafficPolicy::Cluster),
        (ServiceType::ClusterIp, Some("203.0.113.1"), TrafficPolicy::Local),
        (ServiceType::NodePort, None, TrafficPolicy::Local),
        (ServiceType::LoadBalancer, None, TrafficPolicy::Local),
    ] {
        let external_ips = external_ip.into_iter().map(ip).collect();
        let external_traffic_policy = TrafficPolicy::Local;
        let service = Service { service_type, external_ips, external_traffic_policy, ..web() };
        assert_eq!(web_port(&cluster(vec![Object::Service(service)])).external_traffic_policy, expected);
    }
}

#[test]
fn endpoints_come_from_slices_else_from_endpoints_else_from_pods() {
    let slice = Object::EndpointSlice(slice("web-1", "web", &["10.0.0.1"]));
    let endpoints = Object::Endpoints(endpoints("web", &["10.0.0.2"]));
    let pod = Object::Pod(pod("a", "web", &["10.0.0.3"]));
    let mut cluster = cluster(vec![Object::Service(web()), pod, endpoints.clone(), slice.clone()]);
    assert_eq!(web_endpoints(&cluster), ["10.0.0.1:8080"]);
    assert_eq!(delete(&mut cluster, &slice), ["web"]);
    assert_eq!(web_endpoints(&cluster), ["10.0.0.2:8080"]);
    assert_eq!(delete(&mut cluster, &endpoints), ["web"]);
    assert_eq!(web_endpoints(&cluster), ["10.0.0.3:8080"]);
}

#[test]
fn a_slice_without_endpoints_still_is_the_source() {
    let empty = slice("web-1", "web", &[]);
    let objects =
        vec![Object::Service(web()), Object::Pod(pod("a", "web", &["10.0.0.3"])), Object::EndpointSlice(empty)];
    assert_eq!(web_endpoints(&cluster(objects)), [""; 0]);
}

#[test]
fn the_endpoints_of_all_slices_count_each_address_and_port_once() {
    let mut other_port = slice("web-3", "web", &["10.0.0.1"]);
    other_port.group.ports[0].port = 9090;
    let objects = vec![
        Object::EndpointSlice(slice("web-1", "web", &["10.0.0.2", "10.0.0.1"])),
        Object::EndpointSlice(slice("web-2", "web", &["10.0.0.1"])),
        Object::EndpointSlice(other_port),
        Object::EndpointSlice(slice("other-1", "other", &["10.0.0.9"])),
        Object::Service(web()),
    ];
    assert_eq!(web_endpoints(&cluster(objects)), ["10.0.0.1:8080", "10.0.0.1:9090", "10.0.0.2:8080"]);
}

#[test]
fn s1_29_an_endpoint_that_another_slice_has_too_stays_when_one_goes() {
    let [one, two] = ["web-1", "web-2"].map(|name| Object::EndpointSlice(slice(name, "web", &["10.0.0.1"])));
    let mut cluster = cluster(vec![Object::Service(web()), one.clone(), two.clone()]);
    delete(&mut cluster, &one);
    assert_eq!(web_endpoints(&cluster), ["10.0.0.1:8080"]);
    // From one slice to another, in either order: what is asked for after both is what counts.
    delete(&mut cluster, &two);
    apply(&mut cluster, one);
    assert_eq!(web_endpoints(&cluster), ["10.0.0.1:8080"]);
}

#[test]
fn of_the_same_endpoint_twice_the_one_that_is_not_terminating_wins() {
    let mut terminating = slice("web-1", "web", &["10.0.0.1"]);
    terminating.group.endpoints[0].terminating = true;
    terminating.group.endpoints[0].ready = false;
    for other in ["web-0", "web-2"] {
        let other = slice(other, "web", &["10.0.0.1"]);
        let objects =
            vec![Object::Service(web()), Object::EndpointSlice(terminating.clone()), Object::EndpointSlice(other)];
        let port = web_port(&cluster(objects));
        assert_eq!(port.endpoints.iter().map(|it| (it.ready, it.terminating)).collect::<Vec<_>>(), [(true, false)]);
    }
}

#[test]
fn a_port_gets_the_endpoints_of_its_own_name_protocol_and_family() {
    let mut group = group(&["10.0.0.1", "fd00::1"]);
    let group_port = |name: &str, protocol, port| GroupPort { name: name.into(), protocol, port };
    group.ports = vec![
        group_port("http", Protocol::Tcp, 1),
        group_port("http", Protocol::Udp, 2),
        group_port("https", Protocol::Tcp, 3),
    ];
    let slice = EndpointSlice { group, ..slice("web-1", "web", &[]) };
    let service = Service { ports: vec![port("http", 80, TargetPort::Number(99))], ..web() };
    assert_eq!(web_endpoints(&cluster(vec![Object::Service(service), Object::EndpointSlice(slice)])), ["10.0.0.1:1"]);
}

#[test]
fn an_endpoint_is_local_if_its_node_is_this_one() {
    for (here, node_name, expected) in
        [(HERE, Some(HERE), true), (HERE, Some("node2"), false), (HERE, None, false), ("", Some(""), false)]
    {
        let mut slice = slice("web-1", "web", &["10.0.0.1"]);
        slice.group.endpoints[0].node_name = node_name.map(Arc::from);
        let mut cluster = Cluster::new(here);
        cluster.apply(Change::Apply(Object::Service(web())));
        cluster.apply(Change::Apply(Object::EndpointSlice(slice)));
        assert_eq!(web_port(&cluster).endpoints[0].is_local, expected, "{here:?} {node_name:?}");
    }
}

#[test]
fn a_pods_conditions_become_those_of_its_endpoint() {
    for (story, ready, terminating, publish_not_ready_addresses, expected) in [
        ("ready", true, false, false, (true, true, false)),
        ("not ready", false, false, false, (false, false, false)),
        ("terminating", true, true, false, (false, true, true)),
        ("terminating, no longer ready", false, true, false, (false, false, true)),
        ("not ready but published", false, false, true, (true, false, false)),
        ("terminating but published", true, true, true, (true, true, true)),
    ] {
        let pod = Pod { ready, terminating, ..pod("a", "web", &["10.0.0.1"]) };
        let service = Service { publish_not_ready_addresses, ..web() };
        let port = web_port(&cluster(vec![Object::Service(service), Object::Pod(pod)]));
        let conditions: Vec<_> = port.endpoints.iter().map(|it| (it.ready, it.serving, it.terminating)).collect();
        assert_eq!(conditions, [expected], "{story}");
    }
}

#[test]
fn only_pods_that_are_selected_have_an_address_and_run_are_endpoints() {
    let selected = pod("a", "web", &["10.0.0.1"]);
    for (story, pod, expected) in [
        ("selected", selected.clone(), 1),
        ("other labels", Pod { labels: labels(&[("app", "other")]).into(), ..selected.clone() }, 0),
        ("more labels", Pod { labels: labels(&[("app", "web"), ("x", "y")]).into(), ..selected.clone() }, 1),
        ("another namespace", Pod { namespace: "other".into(), ..selected.clone() }, 0),
        ("no address yet", Pod { ips: vec![], ..selected.clone() }, 0),
        ("another family", Pod { ips: vec![ip("fd00::1")], ..selected.clone() }, 0),
        ("finished", Pod { finished: true, ..selected }, 0),
    ] {
        let cluster = cluster(vec![Object::Service(web()), Object::Pod(pod)]);
        assert_eq!(web_endpoints(&cluster).len(), expected, "{story}");
    }
}

#[test]
fn a_service_without_a_selector_has_no_pods() {
    let service = Service { selector: labels(&[]), ..web() };
    let cluster = cluster(vec![Object::Service(service), Object::Pod(pod("a", "web", &["10.0.0.1"]))]);
    assert_eq!(web_endpoints(&cluster), [""; 0]);
}

#[test]
fn a_named_target_port_is_what_each_pod_says_it_is() {
    let with_port = |name: &str, address: &str, port_name: &str, protocol, port| Pod {
        ports: vec![ContainerPort { name: port_name.into(), protocol, port }],
        ..pod(name, "web", &[address])
    };
    let service = Service { ports: vec![port("", 80, TargetPort::Name("http".into()))], ..web() };
    let cluster = cluster(vec![
        Object::Service(service),
        Object::Pod(with_port("a", "10.0.0.1", "http", Protocol::Tcp, 8080)),
        Object::Pod(with_port("b", "10.0.0.2", "http", Protocol::Tcp, 9090)),
        Object::Pod(with_port("c", "10.0.0.3", "http", Protocol::Udp, 8080)),
        Object::Pod(with_port("d", "10.0.0.4", "web", Protocol::Tcp, 8080)),
    ]);
    assert_eq!(web_endpoints(&cluster), ["10.0.0.1:8080", "10.0.0.2:9090"]);
}

#[test]
fn a_change_names_the_services_it_affects_and_no_others() {
    let other = Object::Service(service("other", &["10.96.0.2"]));
    let mut cluster = cluster(vec![Object::Service(web()), other]);
    let a = pod("a", "web", &["10.0.0.1"]);
    assert_eq!(apply(&mut cluster, Object::Pod(a.clone())), ["web"], "a pod that is selected");
    assert_eq!(apply(&mut cluster, Object::Pod(a.clone())), [""; 0], "the same again");
    let relabelled = Pod { labels: labels(&[("app", "other")]).into(), ..a.clone() };
    assert_eq!(apply(&mut cluster, Object::Pod(relabelled.clone())), ["other", "web"], "from one to the other");
    assert_eq!(delete(&mut cluster, &Object::Pod(relabelled)), ["other"]);
    assert_eq!(apply(&mut cluster, Object::Pod(pod("b", "nobody", &["10.0.0.2"]))), [""; 0]);
    let web_1 = Object::EndpointSlice(slice("web-1", "web", &["10.0.0.1"]));
    assert_eq!(apply(&mut cluster, web_1.clone()), ["web"]);
    assert_eq!(apply(&mut cluster, web_1), [""; 0], "the same slice again");
    let retold = EndpointSlice { last_change: Some(Timestamp::UNIX_EPOCH), ..slice("web-1", "web", &["10.0.0.1"]) };
    assert_eq!(apply(&mut cluster, Object::EndpointSlice(retold)), [""; 0], "the same endpoints with another time");
    assert_eq!(apply(&mut cluster, Object::Pod(a)), [""; 0], "pods don't matter where there are slices");
    let moved = Object::EndpointSlice(slice("web-1", "other", &["10.0.0.1"]));
    assert_eq!(apply(&mut cluster, moved), ["other", "web"]);
    assert_eq!(apply(&mut cluster, Object::Service(web())), [""; 0], "the same Service again");
    assert_eq!(delete(&mut cluster, &Object::Service(web())), ["web"]);
    let stray = Object::EndpointSlice(slice("web-2", "web", &["10.0.0.1"]));
    assert_eq!(apply(&mut cluster, stray), [""; 0], "a slice before its Service");
}

#[test]
fn objects_may_come_in_any_order() {
    let slice = Object::EndpointSlice(slice("web-1", "web", &["10.0.0.1"]));
    assert_eq!(web_endpoints(&cluster(vec![slice, Object::Service(web())])), ["10.0.0.1:8080"]);
    let pod = Object::Pod(pod("a", "web", &["10.0.0.1"]));
    assert_eq!(web_endpoints(&cluster(vec![pod, Object::Service(web())])), ["10.0.0.1:8080"]);
}

#[test]
fn the_label_of_another_proxy_acts_as_deletion_and_its_removal_as_creation() {
    let mut cluster = cluster(vec![Object::Service(web())]);
    assert_eq!(apply(&mut cluster, Object::Service(Service { proxied_elsewhere: true, ..web() })), ["web"]);
    assert_eq!(cluster.service_ports(&id("web")), []);
    assert_eq!(apply(&mut cluster, Object::Service(web())), ["web"]);
    assert_eq!(cluster.service_ports(&id("web")).len(), 1);
}

#[test]
fn of_two_services_with_a_frontend_the_older_one_has_it() {
    let claim = |name: &str, created| Object::Service(Service { created, ..service(name, &["10.96.0.1"]) });
    let (older, first) = ("which is older;", "which is as old and the first by name;");
    for (story, a, b, winner, because) in [
        ("older", claim("a", Some(20)), claim("b", Some(10)), "b", older),
        ("same age", claim("a", Some(10)), claim("b", Some(10)), "a", first),
        ("no age known", claim("a", None), claim("b", None), "a", first),
        ("a known age is older", claim("a", None), claim("b", Some(10)), "b", older),
    ] {
        for order in [vec![a.clone(), b.clone()], vec![b.clone(), a.clone()]] {
            let cluster = cluster(order);
            let served: Vec<_> =
                ["a", "b"].into_iter().filter(|name| !cluster.service_ports(&id(name)).is_empty()).collect();
            assert_eq!(served, [winner], "{story}");
            let conflicts: Vec<_> = cluster.conflicts().map(|it| it.to_string()).collect();
            let said = format!("10.96.0.1:80/TCP belongs to Service default/{winner}, {because}");
            assert!(matches!(conflicts.as_slice(), [it] if it.contains(&said)), "{story}: {conflicts:?}");
        }
    }
}

#[test]
fn a_frontend_goes_to_the_next_when_its_owner_goes() {
    let a = Object::Service(service("a", &["10.96.0.1"]));
    let mut cluster = cluster(vec![Object::Service(service("b", &["10.96.0.1"]))]);
    assert_eq!(apply(&mut cluster, a.clone()), ["a", "b"]);
    assert_eq!(delete(&mut cluster, &a), ["a", "b"]);
    assert_eq!(cluster.service_ports(&id("b")).len(), 1);
    assert_eq!(cluster.conflicts().count(), 0);
}

#[test]
fn a_service_that_loses_one_frontend_keeps_its_others() {
    let node_port = |name: &str, address: &str| {
        let ports = vec![Port { node_port: Some(30080), ..port("", 80, TargetPort::Number(8080)) }];
        Object::Service(Service { ports, ..service(name, &[address]) })
    };
    let cluster = cluster(vec![node_port("a", "10.96.0.1"), node_port("web", "10.96.0.2")]);
    assert_eq!(web_port(&cluster).frontends.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.96.0.2:80/TCP"]);
}
