//! What of a Service isn't as its object has it, and is said.

use super::*;

#[test]
fn s1_13_external_ips_that_are_switched_off_are_no_frontends_and_that_is_said() {
    let service = Service { external_ips: vec![ip("203.0.113.1")], ..web() };
    let mut cluster = Cluster::new(HERE).with_external_ips(false);
    cluster.apply(Change::Apply(Object::Service(service)));
    assert_eq!(web_port(&cluster).frontends.iter().map(|it| it.kind).collect::<Vec<_>>(), [FrontendKind::ClusterIp]);
    let remarks: Vec<_> = cluster.remarks().map(|it| it.to_string()).collect();
    assert!(
        matches!(remarks.as_slice(), [it] if it.starts_with("Service default/web: spec.externalIPs")),
        "{remarks:?}"
    );
}

#[test]
fn s1_17_a_load_balancer_without_its_health_check_port_is_said_to_have_none() {
    let service =
        Service { service_type: ServiceType::LoadBalancer, external_traffic_policy: TrafficPolicy::Local, ..web() };
    let cluster = cluster(vec![Object::Service(service)]);
    let remarks: Vec<_> = cluster.remarks().map(|it| it.to_string()).collect();
    assert!(matches!(remarks.as_slice(), [it] if it.contains("spec.healthCheckNodePort: missing")), "{remarks:?}");
}

#[test]
fn a_distribution_without_slices_is_said_to_have_no_effect() {
    let service = Service { traffic_distribution: true, ..web() };
    let mut cluster = cluster(vec![Object::Service(service)]);
    assert_eq!(cluster.remarks().count(), 1);
    apply(&mut cluster, Object::EndpointSlice(slice("web-1", "web", &["10.0.0.1"])));
    assert_eq!(cluster.remarks().count(), 0);
}
