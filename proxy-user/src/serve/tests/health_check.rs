//! Health check ports of Services, on loopback.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proxy_common::addr::Family;

use super::*;
use crate::model::{HealthCheck, ServiceRef};
use crate::serve::{HealthCheckServers, HealthChecks};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ALL: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

struct Node {
    servers: HealthCheckServers,
    health: Arc<Health>,
    failures: Failures,
    addresses: BTreeSet<IpAddr>,
}

fn node(addresses: &[IpAddr], retry: Duration) -> Node {
    let (health, failures) = (Arc::new(Health::new(BRIEF)), Failures::default());
    let servers = HealthCheckServers::start_with_retry(health.clone(), failures.clone(), retry);
    Node { servers, health, failures, addresses: addresses.iter().copied().collect() }
}

impl Node {
    fn set(&self, checks: &HealthChecks) {
        self.servers.set(&Arc::new(checks.clone()), &self.addresses);
    }
}

fn loopback() -> Node {
    node(&[V4, V6], RETRY)
}

/// A port that nobody has now, in either family.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("[::]:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

fn checks(wanted: &[(&str, Family, u16, usize)]) -> HealthChecks {
    let check = |(name, family, port, local_endpoints): &(&str, Family, u16, usize)| {
        let check = HealthCheck { port: *port, local_endpoints: *local_endpoints };
        ((ServiceRef::new("default", *name), *family), check)
    };
    wanted.iter().map(check).collect()
}

async fn is_open(ip: IpAddr, port: u16) -> bool {
    TcpStream::connect((ip, port)).await.is_ok()
}

/// Waits until a port says so many local endpoints.
async fn says(ip: IpAddr, port: u16, local_endpoints: usize) -> Answer {
    for _ in 0..200 {
        // A port that is closing, to be another Service's, answers with a reset.
        if let Ok(answer) = try_ask((ip, port).into(), "GET", "/").await
            && answer.json()["localEndpoints"] == local_endpoints
        {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{ip} port {port} never says {local_endpoints}");
}

async fn closes(ip: IpAddr, port: u16) {
    for _ in 0..200 {
        if !is_open(ip, port).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{ip} port {port} stays open");
}

#[tokio::test]
async fn a_health_check_has_the_code_body_and_headers_of_kube_proxy() {
    let (node, port) = (loopback(), free_port().await);
    node.set(&checks(&[("web", Family::V4, port, 2)]));
    let answer = says(V4, port, 2).await;
    assert_eq!(answer.code, 200);
    let expected = json!({
        "service": {"namespace": "default", "name": "web"}, "localEndpoints": 2, "serviceProxyHealthy": true
    });
    assert_eq!(answer.json(), expected);
    for header in ["content-type: application/json", "x-content-type-options: nosniff", "endpoint-weight: 2"] {
        assert!(answer.head.contains(&format!("{header}\r\n")), "{header} is not in {}", answer.head);
    }
}

#[tokio::test]
async fn without_a_local_endpoint_or_a_healthy_proxy_a_health_check_fails_and_tells_its_weight() {
    let (node, port) = (loopback(), free_port().await);
    node.set(&checks(&[("web", Family::V4, port, 1)]));
    says(V4, port, 1).await;
    node.set(&checks(&[("web", Family::V4, port, 0)]));
    let failing = says(V4, port, 0).await;
    assert_eq!((failing.code, &failing.json()["serviceProxyHealthy"]), (503, &json!(true)));
    assert!(failing.head.contains("x-load-balancing-endpoint-weight: 0"), "{}", failing.head);

    node.set(&checks(&[("web", Family::V4, port, 3)]));
    says(V4, port, 3).await;
    node.health.queued();
    tokio::time::sleep(BRIEF.unapplied * 2).await;
    node.health.heartbeat();
    let stuck = get((V4, port).into(), "/").await;
    assert_eq!((stuck.code, &stuck.json()["serviceProxyHealthy"]), (503, &json!(false)));
    assert!(stuck.head.contains("x-load-balancing-endpoint-weight: 3"), "{}", stuck.head);
}

#[tokio::test]
async fn an_ineligible_node_fails_no_health_check() {
    let (node, port) = (loopback(), free_port().await);
    node.health.set_node_eligible(false);
    node.set(&checks(&[("web", Family::V4, port, 1)]));
    assert_eq!(says(V4, port, 1).await.code, 200);
}

#[tokio::test]
async fn any_path_and_method_gets_the_answer() {
    let (node, port) = (loopback(), free_port().await);
    node.set(&checks(&[("web", Family::V4, port, 1)]));
    says(V4, port, 1).await;
    for (method, path) in [("GET", "/a/b?c=d"), ("POST", "/healthz"), ("OPTIONS", "*"), ("BREW", "/")] {
        assert_eq!(ask((V4, port).into(), method, path).await.json()["localEndpoints"], 1, "{method} {path}");
    }
}

#[tokio::test]
async fn a_port_is_open_in_the_families_that_ask_for_it() {
    let (node, port) = (node(&ALL, RETRY), free_port().await);
    node.set(&checks(&[("web", Family::V6, port, 6)]));
    says(V6, port, 6).await;
    assert!(!is_open(V4, port).await, "IPv6 alone");
    node.set(&checks(&[("web", Family::V4, port, 4), ("web", Family::V6, port, 6)]));
    says(V4, port, 4).await;
    says(V6, port, 6).await;
    node.set(&checks(&[("web", Family::V4, port, 4)]));
    closes(V6, port).await;
    says(V4, port, 4).await;
}

#[tokio::test]
async fn a_port_is_open_at_the_given_addresses_only() {
    let other: IpAddr = "127.0.0.2".parse().unwrap();
    let (node, port) = (node(&[other], RETRY), free_port().await);
    node.set(&checks(&[("web", Family::V4, port, 1), ("web", Family::V6, port, 1)]));
    says(other, port, 1).await;
    assert!(!is_open(V4, port).await && !is_open(V6, port).await);
}

#[tokio::test]
async fn a_port_follows_its_service_and_moves_to_another_one_at_once() {
    // Who failed once would be seen: nothing is tried again while the test runs.
    let node = node(&ALL, Duration::from_hours(1));
    let (first, second) = (free_port().await, free_port().await);
    node.set(&checks(&[("web", Family::V4, first, 1)]));
    says(V4, first, 1).await;
    node.set(&checks(&[("web", Family::V4, second, 2)]));
    says(V4, second, 2).await;
    closes(V4, first).await;
    node.set(&checks(&[("other", Family::V4, second, 3)]));
    assert_eq!(says(V4, second, 3).await.json()["service"]["name"], "other");
    node.set(&HealthChecks::new());
    closes(V4, second).await;
    assert_eq!(node.failures.list(), []);
}

#[tokio::test]
async fn a_connection_from_before_the_port_closed_ends_with_it() {
    let (node, port) = (loopback(), free_port().await);
    node.set(&checks(&[("web", Family::V4, port, 1)]));
    says(V4, port, 1).await;
    let mut early = TcpStream::connect((V4, port)).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    early.write_all(request).await.unwrap();
    let mut start = [0; 12];
    early.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    node.set(&HealthChecks::new());
    let mut rest = String::new();
    tokio::time::timeout(Duration::from_secs(2), early.read_to_string(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_port_is_told_with_its_service_and_tried_again_at_the_next_sync() {
    let node = node(&[V4], Duration::from_hours(1));
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let wanted = checks(&[("web", Family::V4, port, 1)]);
    node.set(&wanted);
    eventually("a failure", || !node.failures.list().is_empty()).await;
    let failure = node.failures.list().remove(0);
    assert!(failure.text.contains("Service default/web") && failure.text.contains(&port.to_string()), "{failure}");
    drop(taken);
    node.set(&wanted);
    says(V4, port, 1).await;
    assert_eq!(node.failures.list(), []);
}

#[tokio::test]
async fn a_taken_port_is_tried_again_after_a_while_and_its_failure_goes_with_its_service() {
    let node = loopback();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let (free, wanted) = (free_port().await, checks(&[("web", Family::V4, port, 1)]));
    node.set(&wanted);
    eventually("a failure", || node.failures.list().len() == 1).await;
    node.set(&checks(&[("web", Family::V4, free, 1)]));
    eventually("no failure", || node.failures.list().is_empty()).await;
    node.set(&wanted);
    eventually("a failure", || node.failures.list().len() == 1).await;
    drop(taken);
    says(V4, port, 1).await;
}
