//! Which addresses the pods behind interfaces have.

use super::*;

fn pod_ips(state: &NodeState, name: &str) -> BTreeSet<IpAddr> {
    device(state, name).map(|device| device.pod_ips.clone()).unwrap_or_default()
}

fn pod_routes(state: &NodeState, name: &str) -> BTreeSet<IpAddr> {
    device(state, name).map(|device| device.pod_routes.clone()).unwrap_or_default()
}

#[test]
fn the_first_state_has_the_addresses_inside_pods() {
    on_a_node(|| async {
        let (one, other) = (Elsewhere::new(), Elsewhere::new());
        one.pair("pod1");
        other.pair("pod2");
        one.ip("addr add 10.1.1.5/24 dev peer-pod1");
        one.ip("addr add fd00::5/64 dev peer-pod1 nodad");
        one.ip("link set lo up");
        other.ip("addr add 10.1.1.6/24 dev peer-pod2");
        let states = watch_all().await;
        assert_eq!(pod_ips(&states.borrow(), "pod1"), addresses(&["10.1.1.5", "fd00::5"]), "and not those of its lo");
        assert_eq!(pod_ips(&states.borrow(), "pod2"), addresses(&["10.1.1.6"]));
    });
}

#[test]
fn addresses_inside_a_pod_come_and_go() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        let mut states = watch_all().await;
        pod.pair("pod1");
        until(&mut states, "it has none", |s| device(s, "pod1").is_some() && pod_ips(s, "pod1").is_empty()).await;
        pod.ip("addr add 10.1.1.5/32 dev peer-pod1");
        until(&mut states, "one came", |s| pod_ips(s, "pod1") == addresses(&["10.1.1.5"])).await;
        pod.ip("addr add 10.1.1.7/32 dev peer-pod1");
        until(&mut states, "a second came", |s| pod_ips(s, "pod1") == addresses(&["10.1.1.5", "10.1.1.7"])).await;
        pod.ip("addr del 10.1.1.5/32 dev peer-pod1");
        until(&mut states, "the first went", |s| pod_ips(s, "pod1") == addresses(&["10.1.1.7"])).await;
    });
}

#[test]
fn of_a_pod_with_two_interfaces_each_has_its_own_addresses() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        pod.pair("pod1");
        pod.pair("pod2");
        pod.ip("addr add 10.1.1.5/32 dev peer-pod1");
        let mut states = watch_all().await;
        assert_eq!(pod_ips(&states.borrow(), "pod2"), addresses(&["10.1.1.5"]), "it has none of its own");
        pod.ip("addr add 10.1.2.5/32 dev peer-pod2");
        until(&mut states, "it has one", |s| pod_ips(s, "pod2") == addresses(&["10.1.2.5"])).await;
        assert_eq!(pod_ips(&states.borrow(), "pod1"), addresses(&["10.1.1.5"]));
    });
}

#[test]
fn an_address_on_the_node_s_end_is_not_the_pod_s() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        pod.pair("pod1");
        ip("addr add 10.1.1.1/32 dev pod1");
        let states = watch_all().await;
        assert_eq!(pod_ips(&states.borrow(), "pod1"), addresses(&[]));
    });
}

#[test]
fn routes_of_single_addresses_through_a_pod_s_interface_follow_the_kernel() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        pod.pair("pod1");
        pod.pair("pod2");
        for up in ["pod1", "pod2"] {
            ip(&format!("link set {up} up"));
        }
        ip("route add 10.1.1.5 dev pod1");
        ip("route add 10.1.3.0/24 dev pod1");
        let mut states = watch_all().await;
        assert_eq!(pod_routes(&states.borrow(), "pod1"), addresses(&["10.1.1.5"]), "and no subnet's");
        ip("-6 route add fd00::5 dev pod1");
        ip("route add 10.1.9.9 via 10.1.1.5 dev pod1 onlink");
        until(&mut states, "IPv6", |s| pod_routes(s, "pod1") == addresses(&["10.1.1.5", "fd00::5"])).await;
        ip("route replace 10.1.1.5 dev pod2");
        until(&mut states, "one moved", |s| {
            pod_routes(s, "pod1") == addresses(&["fd00::5"]) && pod_routes(s, "pod2") == addresses(&["10.1.1.5"])
        })
        .await;
        ip("-6 route del fd00::5 dev pod1");
        until(&mut states, "one went", |s| pod_routes(s, "pod1").is_empty()).await;
        let restarted = watch_all().await;
        assert_eq!(*restarted.borrow(), *states.borrow(), "a dump agrees with the notifications");
        ip("link set pod2 down");
        until(&mut states, "the kernel dropped the last unsaid", |s| pod_routes(s, "pod2").is_empty()).await;
    });
}
