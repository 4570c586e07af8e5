//! The watch on the running kernel, each test in network namespaces of its own.

pub(super) mod namespace;
mod pods;

use std::{
    collections::BTreeSet,
    io::Write,
    net::IpAddr,
    process::{Command, Stdio},
    time::Duration,
};

use proxy_common::addr::Family;
use tokio::sync::watch::Receiver;

use self::namespace::{Elsewhere, ip, on_a_node};
use super::{DeviceInfo, NodeState, Role, primary_address, watch};

async fn watch_all() -> Receiver<NodeState> {
    watch(Vec::new()).await.unwrap()
}

/// Waits until the state is as told; fails with the state there is.
async fn until(states: &mut Receiver<NodeState>, story: &str, holds: impl Fn(&NodeState) -> bool) {
    let reached = matches!(tokio::time::timeout(Duration::from_secs(10), states.wait_for(holds)).await, Ok(Ok(_)));
    assert!(reached, "{story}: {:#?}", *states.borrow());
}

fn device<'a>(state: &'a NodeState, name: &str) -> Option<&'a DeviceInfo> {
    state.devices.values().find(|device| device.name == name)
}

fn role(state: &NodeState, name: &str) -> Option<Role> {
    device(state, name).map(|device| device.role)
}

fn addresses(list: &[&str]) -> BTreeSet<IpAddr> {
    list.iter().map(|ip| ip.parse().unwrap()).collect()
}

#[test]
fn the_first_state_has_what_was_there_before() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        pod.pair("eth0");
        pod.pair("pod1");
        ip("link set eth0 up");
        ip("addr add 192.0.2.1/24 dev eth0");
        ip("addr add 192.0.2.7/24 dev eth0");
        ip("addr add 2001:db8::1/64 dev eth0 nodad");
        ip("addr add 198.51.100.9/32 dev lo");
        ip("addr add 10.1.1.1/32 dev pod1");
        let states = watch_all().await;
        let state = states.borrow();
        assert_eq!(role(&state, "lo"), Some(Role::Loopback));
        assert_eq!(role(&state, "pod1"), Some(Role::Pod));
        let eth0 = device(&state, "eth0").unwrap();
        assert_eq!(eth0.role, Role::Uplink);
        assert_eq!(eth0.source(Family::V4), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(eth0.source(Family::V6), Some("2001:db8::1".parse().unwrap()));
        assert!(eth0.up && !eth0.no_mac);
        assert!(!device(&state, "pod1").unwrap().up);
        assert_eq!(state.addresses, addresses(&["192.0.2.1", "192.0.2.7", "2001:db8::1", "198.51.100.9"]));
    });
}

#[test]
fn pod_interfaces_come_and_go() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        let mut states = watch_all().await;
        pod.pair("pod1");
        until(&mut states, "a pod came", |s| role(s, "pod1") == Some(Role::Pod)).await;
        ip("link del pod1");
        until(&mut states, "the pod went", |s| device(s, "pod1").is_none()).await;
    });
}

#[test]
fn a_pair_becomes_a_pod_s_when_its_peer_moves_away() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        let mut states = watch_all().await;
        ip("link add pod1 type veth peer name inner");
        until(&mut states, "both ends here", |s| role(s, "inner") == Some(Role::Other)).await;
        assert_eq!(role(&states.borrow(), "pod1"), Some(Role::Other));
        ip(&format!("link set inner netns {}", pod.holder));
        until(&mut states, "one end moved", |s| role(s, "pod1") == Some(Role::Pod)).await;
        pod.send_back("inner");
        until(&mut states, "it came back", |s| role(s, "pod1") == Some(Role::Other)).await;
    });
}

#[test]
fn a_pod_s_interface_vanishes_with_its_namespace() {
    on_a_node(|| async {
        let pod = Elsewhere::new();
        pod.pair("pod1");
        let mut states = watch_all().await;
        drop(pod);
        until(&mut states, "the namespace went", |s| device(s, "pod1").is_none()).await;
    });
}

#[test]
fn addresses_follow_the_kernel() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        outside.pair("eth0");
        let mut states = watch_all().await;
        assert_eq!(role(&states.borrow(), "eth0"), Some(Role::Pod), "nothing tells it from a pod's yet");
        ip("addr add 192.0.2.1/24 dev eth0");
        until(&mut states, "a subnet came", |s| {
            role(s, "eth0") == Some(Role::Uplink) && s.addresses == addresses(&["192.0.2.1"])
        })
        .await;
        ip("addr add 192.0.2.2/24 dev eth0");
        ip("addr add 2001:db8::2/64 dev eth0 nodad");
        ip("addr add 2001:db8::1/64 dev eth0 nodad");
        // No sources: the first for its scope, though the kernel has it first, the second as deprecated.
        ip("addr add 203.0.113.1/24 dev eth0 scope link");
        ip("addr add 2001:db8::/64 dev eth0 nodad preferred_lft 0");
        let all = ["192.0.2.1", "192.0.2.2", "203.0.113.1", "2001:db8::", "2001:db8::1", "2001:db8::2"];
        until(&mut states, "more addresses came", |s| s.addresses == addresses(&all)).await;
        let eth0 = device(&states.borrow(), "eth0").unwrap().clone();
        assert_eq!(eth0.ipv4, Some("192.0.2.1".parse().unwrap()), "the primary one");
        assert_eq!(eth0.ipv6, Some("2001:db8::1".parse().unwrap()), "the lowest one");
        let restarted = watch_all().await;
        assert_eq!(*restarted.borrow(), *states.borrow(), "a dump agrees with the notifications");
        ip("addr flush dev eth0");
        until(&mut states, "all went", |s| s.addresses.is_empty() && role(s, "eth0") == Some(Role::Pod)).await;
    });
}

#[test]
fn an_address_under_duplicate_detection_is_not_the_node_s_yet() {
    on_a_node(|| async {
        // Without a carrier the detection doesn't begin, let alone end.
        ip("link add br0 type bridge");
        ip("link set br0 up");
        ip("addr add 2001:db8::1/64 dev br0");
        ip("addr add 2001:db8::2/64 dev br0 nodad");
        let states = watch_all().await;
        assert_eq!(states.borrow().addresses, addresses(&["2001:db8::2"]));
    });
}

#[test]
fn a_bridge_of_pods_is_no_uplink_until_a_port_leads_out() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        let mut states = watch_all().await;
        ip("link add br0 type bridge");
        outside.pair("pod1");
        ip("link set pod1 master br0");
        ip("addr add 10.1.1.1/24 dev br0");
        until(&mut states, "a bridge of pods", |s| {
            role(s, "br0") == Some(Role::Other)
                && role(s, "pod1") == Some(Role::Pod)
                && s.addresses == addresses(&["10.1.1.1"])
        })
        .await;
        ip("link add vx0 type vxlan id 7 dstport 4789 local 10.1.1.1");
        until(&mut states, "a tunnel", |s| role(s, "vx0") == Some(Role::Uplink)).await;
        ip("link set vx0 master br0");
        until(&mut states, "the tunnel as a port", |s| {
            role(s, "br0") == Some(Role::Uplink) && role(s, "vx0") == Some(Role::Other)
        })
        .await;
        // The bridge tells of the port's removal with the message that tells of a deleted interface.
        ip("link set vx0 nomaster");
        until(&mut states, "the tunnel by itself again", |s| {
            role(s, "br0") == Some(Role::Other) && role(s, "vx0") == Some(Role::Uplink)
        })
        .await;
    });
}

#[test]
fn a_default_route_makes_an_uplink_and_its_loss_a_pod() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        let mut states = watch_all().await;
        outside.pair("eth0");
        outside.pair("eth1");
        ip("link set eth0 up");
        ip("link set eth1 up");
        ip("addr add 192.0.2.1/32 dev eth0");
        ip("addr add 192.0.2.9/32 dev eth1");
        until(&mut states, "only host addresses", |s| {
            role(s, "eth0") == Some(Role::Pod) && role(s, "eth1") == Some(Role::Pod)
        })
        .await;
        ip("route add default dev eth0 src 192.0.2.1 metric 100");
        ip("route add default dev eth1 src 192.0.2.9 metric 50");
        until(&mut states, "two default routes", |s| {
            role(s, "eth0") == Some(Role::Uplink) && role(s, "eth1") == Some(Role::Uplink)
        })
        .await;
        until(&mut states, "the better one", |s| primary_address(s, Family::V4) == Some("192.0.2.9".parse().unwrap()))
            .await;
        // The kernel drops the route unsaid.
        ip("link set eth1 down");
        until(&mut states, "one route is left", |s| {
            role(s, "eth1") == Some(Role::Pod) && primary_address(s, Family::V4) == Some("192.0.2.1".parse().unwrap())
        })
        .await;
        ip("route del default dev eth0 metric 100");
        until(&mut states, "no route is left", |s| role(s, "eth0") == Some(Role::Pod) && s.default_devices.is_empty())
            .await;
    });
}

#[test]
fn a_replaced_default_route_leaves_its_former_interface() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        for name in ["eth0", "eth1"] {
            outside.pair(name);
            ip(&format!("link set {name} up"));
        }
        ip("-6 route add default dev eth0");
        ip("route add default dev eth0");
        let mut states = watch_all().await;
        assert_eq!(role(&states.borrow(), "eth0"), Some(Role::Uplink));
        ip("-6 route replace default dev eth1");
        ip("route replace default dev eth1");
        until(&mut states, "the routes moved", |s| {
            role(s, "eth0") == Some(Role::Pod)
                && role(s, "eth1") == Some(Role::Uplink)
                && s.default_devices.len() == 2
                && s.default_devices.values().all(|index| s.devices[index].name == "eth1")
        })
        .await;
    });
}

#[test]
fn a_default_route_goes_with_the_last_address() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        outside.pair("eth0");
        ip("link set eth0 up");
        ip("addr add 192.0.2.1/24 dev eth0");
        ip("route add default via 192.0.2.254");
        let mut states = watch_all().await;
        assert!(states.borrow().default_devices.contains_key(&Family::V4));
        ip("addr del 192.0.2.1/24 dev eth0");
        until(&mut states, "no address, no route", |s| s.default_devices.is_empty()).await;
    });
}

#[test]
fn the_primary_address_is_an_uplink_s_before_any_other() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        let mut states = watch_all().await;
        assert_eq!(primary_address(&states.borrow(), Family::V4), None);
        ip("addr add 10.0.0.1/32 dev lo");
        let primary = |ip: &str| Some(ip.parse::<IpAddr>().unwrap());
        until(&mut states, "only on lo", |s| primary_address(s, Family::V4) == primary("10.0.0.1")).await;
        outside.pair("eth0");
        ip("addr add 192.0.2.1/24 dev eth0");
        until(&mut states, "an uplink", |s| primary_address(s, Family::V4) == primary("192.0.2.1")).await;
        assert_eq!(primary_address(&states.borrow(), Family::V6), None);
    });
}

#[test]
fn a_list_of_devices_decides_which_are_uplinks() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        for (name, address) in [("eth0", "192.0.2.1/24"), ("wan0", "198.51.100.1/24")] {
            outside.pair(name);
            ip(&format!("addr add {address} dev {name}"));
        }
        outside.pair("ethpod");
        let mut states = watch(vec!["eth*".into()]).await.unwrap();
        assert_eq!(role(&states.borrow(), "eth0"), Some(Role::Uplink));
        assert_eq!(role(&states.borrow(), "wan0"), Some(Role::Other));
        assert_eq!(role(&states.borrow(), "ethpod"), Some(Role::Pod));
        ip("link set wan0 name eth1");
        until(&mut states, "renamed", |s| role(s, "eth1") == Some(Role::Uplink)).await;
    });
}

#[test]
fn a_tun_device_has_no_ethernet_header() {
    on_a_node(|| async {
        let mut states = watch_all().await;
        ip("tuntap add dev tun0 mode tun");
        ip("link set tun0 up");
        ip("route add 10.244.2.0/24 dev tun0");
        until(&mut states, "a tunnel", |s| device(s, "tun0").is_some_and(|tun| tun.role == Role::Uplink && tun.no_mac))
            .await;
    });
}

#[test]
fn what_changes_nothing_is_not_published() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        outside.pair("eth0");
        ip("link set eth0 up");
        ip("addr add 192.0.2.1/24 dev eth0");
        let mut states = watch_all().await;
        ip("link set eth0 mtu 1400");
        ip("route add 203.0.113.0/24 dev eth0");
        let published = tokio::time::timeout(Duration::from_millis(200), states.changed()).await;
        assert!(published.is_err(), "{:#?}", *states.borrow());
    });
}

#[test]
fn nothing_is_lost_in_a_burst_that_overruns_the_socket() {
    on_a_node(|| async {
        let outside = Elsewhere::new();
        outside.pair("eth0");
        let mut states = watch_all().await;
        // This runtime's only thread waits for the child: nobody reads the socket, and its buffer holds a few hundred.
        let mut batch = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        let line = |i: u32| format!("addr add 10.9.{}.{}/16 dev eth0", i / 250, i % 250 + 1);
        let lines = (0..4000).map(line).collect::<Vec<_>>().join("\n");
        batch.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(batch.wait().unwrap().success());
        until(&mut states, "all are there", |s| s.addresses.len() == 4000).await;
    });
}

#[test]
fn the_watch_ends_with_its_last_receiver() {
    on_a_node(|| async {
        let states = watch_all().await;
        let sockets = || std::fs::read_to_string("/proc/thread-self/net/netlink").unwrap().lines().count();
        let watching = sockets();
        drop(states);
        let closed = async {
            while sockets() >= watching {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), closed).await.expect("the socket stays open");
    });
}
