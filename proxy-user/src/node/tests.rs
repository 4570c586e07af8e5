//! The node watcher in network namespaces of the real kernel.

use std::io::Write as _;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::sync::watch::Receiver;

use super::*;

/// Runs a test's future on a thread in a network namespace of its own.
fn in_netns<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let in_own_netns = || {
        // SAFETY: only this thread's network namespace changes, and nothing else runs on it.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network namespace takes root");
        ip("link set lo up");
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    };
    if let Err(panic) = thread::spawn(in_own_netns).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Another network namespace, of this name, until dropped.
struct Netns(String);

impl Netns {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("sluice-node-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        ip(&format!("netns add {name}"));
        Self(name)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.0));
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A pair whose first end is here and whose second is in `netns`.
fn add_pair(name: &str, netns: &Netns) {
    ip(&format!("link add {name} type veth peer name {name}p netns {}", netns.0));
    ip(&format!("link set {name} up"));
}

async fn started() -> Receiver<NodeState> {
    let (receiver, running) = watch(DeviceSelection::default()).await.unwrap();
    tokio::spawn(running);
    receiver
}

/// Waits until the interface of this name is as wanted.
async fn until(node: &mut Receiver<NodeState>, name: &str, wanted: impl Fn(Option<&DeviceInfo>) -> bool) {
    let found = node.wait_for(|state| wanted(state.devices.values().find(|device| device.name == name)));
    let in_time = tokio::time::timeout(Duration::from_secs(5), found).await.is_ok();
    assert!(in_time, "{name}: {:#?}", node.borrow());
}

async fn until_role(node: &mut Receiver<NodeState>, name: &str, role: Role) {
    until(node, name, |device| device.is_some_and(|device| device.role == role)).await;
}

#[test]
fn pairs_come_and_go() {
    in_netns(|| async {
        let (pod, mut node) = (Netns::new(), started().await);
        assert_eq!(node.borrow().devices[&1].role, Role::Loopback);
        add_pair("veth1", &pod);
        until_role(&mut node, "veth1", Role::Pod).await;
        ip("link del veth1");
        until(&mut node, "veth1", |device| device.is_none()).await;
    });
}

#[test]
fn an_address_makes_a_pair_an_uplink_and_its_removal_a_pods_again() {
    in_netns(|| async {
        let (other, mut node) = (Netns::new(), started().await);
        add_pair("eth0", &other);
        ip("address add 10.9.0.1/32 dev eth0");
        until(&mut node, "eth0", |device| device.is_some_and(|device| device.ipv4.is_some())).await;
        until_role(&mut node, "eth0", Role::Pod).await;
        ip("address add 192.0.2.1/24 dev eth0");
        until_role(&mut node, "eth0", Role::Uplink).await;
        ip("address del 192.0.2.1/24 dev eth0");
        until_role(&mut node, "eth0", Role::Pod).await;
    });
}

#[test]
fn a_default_route_makes_a_pair_an_uplink_until_the_interface_goes_down() {
    in_netns(|| async {
        let (other, mut node) = (Netns::new(), started().await);
        add_pair("eth0", &other);
        ip("address add 10.9.0.1/32 dev eth0");
        ip("route add default dev eth0");
        until_role(&mut node, "eth0", Role::Uplink).await;
        ip("link set eth0 down");
        until_role(&mut node, "eth0", Role::Pod).await;
    });
}

#[test]
fn a_bridge_is_an_uplink_once_it_has_a_port_that_is_no_pods() {
    in_netns(|| async {
        let (pod, mut node) = (Netns::new(), started().await);
        ip("link add br0 type bridge");
        ip("address add 10.9.0.1/24 dev br0");
        add_pair("veth1", &pod);
        ip("link set veth1 master br0");
        until_role(&mut node, "veth1", Role::Pod).await;
        until_role(&mut node, "br0", Role::Other).await;
        ip("link add vx0 type vxlan id 7 dstport 4789 local 127.0.0.1");
        until_role(&mut node, "vx0", Role::Uplink).await;
        ip("link set vx0 master br0");
        until_role(&mut node, "br0", Role::Uplink).await;
        until_role(&mut node, "vx0", Role::Other).await;
    });
}

#[test]
fn addresses_of_both_families_are_followed() {
    in_netns(|| async {
        let (other, mut node) = (Netns::new(), started().await);
        add_pair("eth0", &other);
        ip("address add 192.0.2.1/24 dev eth0");
        ip("address add 192.0.2.2/24 dev eth0");
        ip("address add fd00::1/64 dev eth0 nodad");
        let (ipv4, ipv6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "fd00::1".parse().unwrap());
        until(&mut node, "eth0", |device| {
            device.is_some_and(|device| (device.ipv4, device.ipv6) == (Some(ipv4), Some(ipv6)))
        })
        .await;
        let expected: Vec<IpAddr> =
            ["127.0.0.1", "192.0.2.1", "192.0.2.2", "::1", "fd00::1"].map(|ip| ip.parse().unwrap()).into();
        let has_all = |state: &NodeState| expected.iter().all(|ip| state.addresses.contains(ip));
        assert!(has_all(&node.borrow()), "{:#?}", node.borrow());
        ip("address del fd00::1/64 dev eth0");
        let gone = node.wait_for(|state| !state.addresses.contains(&ipv6) && state.addresses.contains(&ipv4));
        tokio::time::timeout(Duration::from_secs(5), gone).await.expect("the address to go").unwrap();
    });
}

#[test]
fn what_was_followed_is_what_a_new_list_says() {
    in_netns(|| async {
        let (other, mut node) = (Netns::new(), started().await);
        add_pair("eth0", &other);
        // Going down takes the IPv6 addresses away, and what the kernel says of that is not much.
        ip("address add fd02::1/64 dev eth0 nodad");
        ip("link set eth0 down");
        ip("link set eth0 up");
        for address in ["192.0.2.1/24", "198.51.100.1/24", "fd00::1/64", "fd01::1/64", "fd00::2/64"] {
            ip(&format!("address add {address} dev eth0{}", if address.contains(':') { " nodad" } else { "" }));
        }
        ip("address del 192.0.2.1/24 dev eth0");
        ip("link set eth0 mtu 1400");
        until(&mut node, "eth0", |device| device.is_some_and(|device| device.mtu == 1400 && device.up)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (fresh, _) = watch(DeviceSelection::default()).await.unwrap();
        assert_eq!(*node.borrow(), *fresh.borrow());
    });
}

#[test]
fn nothing_is_published_when_nothing_changes() {
    in_netns(|| async {
        let (other, mut node) = (Netns::new(), started().await);
        add_pair("eth0", &other);
        until_role(&mut node, "eth0", Role::Pod).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        node.mark_unchanged();
        ip("link set eth0 txqueuelen 77");
        ip("route add 203.0.113.0/24 dev lo");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!node.has_changed().unwrap());
    });
}

#[test]
fn a_namespace_has_one_cookie_and_another_has_another() {
    let here = netns_cookie().unwrap();
    assert_eq!(netns_cookie().unwrap(), here);
    in_netns(move || async move { assert_ne!(netns_cookie().unwrap(), here) });
}

#[test]
fn a_storm_of_events_ends_in_the_right_state() {
    in_netns(|| async {
        let (other, mut node) = (Netns::new(), started().await);
        add_pair("eth0", &other);
        // All at once, while the watcher waits: more than its socket holds, so that the kernel drops events.
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for number in 0..5_000 {
            writeln!(file, "address add 10.9.{}.{}/32 dev eth0", number / 250, number % 250 + 1).unwrap();
        }
        ip(&format!("-batch {}", file.path().display()));
        let all = node.wait_for(|state| state.addresses.len() >= 5_000);
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("all addresses to be known").unwrap();
    });
}
