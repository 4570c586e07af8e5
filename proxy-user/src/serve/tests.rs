//! The servers over real connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::SignedDuration;
use proxy_common::addr::Family;
use proxy_common::drop::Reason;
use proxy_common::tables::Table;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::listen::{Place, Server};
use super::routes::{health_routes, metrics_routes};
use super::*;
use crate::config::{BindAddress, Config, Mode, Settings};
use crate::dataplane::Fill;

const BRIEF: Limits = Limits {
    unapplied: Duration::from_millis(80),
    heartbeat: Duration::from_millis(400),
    start: Duration::from_millis(1200),
};

struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, "GET", path).await
}

async fn ask(addr: SocketAddr, method: &str, path: &str) -> Answer {
    try_ask(addr, method, path).await.unwrap()
}

async fn try_ask(addr: SocketAddr, method: &str, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { code, head: head.to_lowercase(), body: body.into() })
}

async fn start(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    addr
}

fn config() -> Config {
    let settings = Settings { manifests: Some("/m".into()), node_name: Some("node1".into()), ..Settings::default() };
    settings.resolve().unwrap()
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&config()))
}

async fn start_health(limits: Limits) -> (Arc<Health>, Arc<Metrics>, SocketAddr) {
    let (health, metrics) = (Arc::new(Health::new(limits)), metrics());
    let addr = start(health_routes(health.clone(), metrics.clone())).await;
    (health, metrics, addr)
}

#[tokio::test]
async fn ready_only_after_the_first_full_state_and_says_what_is_missing() {
    let (health, _, addr) = start_health(Limits::default()).await;
    let before = get(addr, "/readyz").await;
    assert_eq!((before.code, before.body.as_str()), (503, "not ready: waiting for the first full state\n"));
    health.waiting_for("the list of Services");
    assert_eq!(get(addr, "/readyz").await.body, "not ready: waiting for the list of Services\n");
    health.ready();
    health.waiting_for("nothing that counts");
    assert_eq!(get(addr, "/readyz").await.code, 200);
}

#[tokio::test]
async fn livez_fails_while_a_change_waits_too_long_and_recovers_once_it_is_applied() {
    let (health, _, addr) = start_health(BRIEF).await;
    health.queued();
    assert_eq!(get(addr, "/livez").await.code, 200, "a change may wait a while");
    tokio::time::sleep(BRIEF.unapplied).await;
    // A younger change doesn't make the older one younger.
    health.queued();
    health.heartbeat();
    let late = get(addr, "/livez").await;
    assert_eq!((late.code, &late.json()["healthy"]), (503, &Value::Bool(false)));
    assert!(late.json()["reason"].as_str().unwrap().contains("a change is not in the kernel"), "{}", late.body);
    health.synced();
    assert_eq!(get(addr, "/livez").await.code, 200);
}

#[tokio::test]
async fn an_idle_agent_stays_live_while_its_loop_goes_round_and_no_longer() {
    let (health, _, addr) = start_health(BRIEF).await;
    health.ready();
    for _ in 0..6 {
        tokio::time::sleep(BRIEF.heartbeat / 4).await;
        health.heartbeat();
    }
    assert_eq!(get(addr, "/livez").await.code, 200);
    tokio::time::sleep(BRIEF.heartbeat + Duration::from_millis(50)).await;
    assert_eq!(get(addr, "/livez").await.code, 503);
}

#[tokio::test]
async fn a_step_of_the_start_may_take_longer_than_a_round_of_the_loop_but_not_for_ever() {
    let (health, _, addr) = start_health(BRIEF).await;
    health.waiting_for("the kernel programs");
    tokio::time::sleep(BRIEF.heartbeat + Duration::from_millis(50)).await;
    assert_eq!(get(addr, "/livez").await.code, 200);
    tokio::time::sleep(BRIEF.start).await;
    let late = get(addr, "/livez").await;
    assert_eq!(late.code, 503);
    assert!(late.body.contains("the start waits for the kernel programs for"), "{}", late.body);
}

#[tokio::test]
async fn healthz_needs_a_ready_agent_and_an_eligible_node_which_livez_does_not() {
    let (health, _, addr) = start_health(Limits::default()).await;
    assert_eq!(get(addr, "/healthz").await.code, 503);
    health.ready();
    let healthy = get(addr, "/healthz").await;
    assert_eq!((healthy.code, &healthy.json()["nodeEligible"]), (200, &Value::Bool(true)));
    health.set_node_eligible(false);
    let ineligible = get(addr, "/healthz").await;
    assert_eq!((ineligible.code, &ineligible.json()["nodeEligible"]), (503, &Value::Bool(false)));
    assert_eq!(ineligible.json()["healthy"], Value::Bool(true), "the proxy itself is healthy");
    assert_eq!(get(addr, "/livez").await.code, 200);
}

#[tokio::test]
async fn health_has_the_body_and_headers_of_kube_proxy() {
    let (health, metrics, addr) = start_health(Limits::default()).await;
    health.ready();
    let answer = get(addr, "/healthz").await;
    assert!(
        answer.head.contains("content-type: application/json") && answer.head.contains("nosniff"),
        "{}",
        answer.head
    );
    let body = answer.json();
    let updated = body["lastUpdated"].as_str().unwrap();
    assert!(updated.parse::<jiff::Timestamp>().is_ok() && body["currentTime"] == body["lastUpdated"], "{body}");
    assert_eq!(body["status"]["IPv4"]["healthy"], Value::Bool(true));
    assert!(body["status"]["IPv6"]["lastUpdated"].is_string());
    assert!(get(addr, "/livez").await.json().get("nodeEligible").is_none());
    let text = metrics.encode();
    assert!(text.contains("kubeproxy_proxy_healthz_total{code=\"200\"} 1\n"), "{text}");
    assert!(text.contains("kubeproxy_proxy_livez_total{code=\"200\"} 1\n"), "{text}");
}

#[tokio::test]
async fn metrics_are_served_with_their_names_and_labels() {
    let metrics = metrics();
    metrics.set_drops(Reason::NoEndpoints, 7);
    metrics.set_drops(Reason::NoEndpoints, 9);
    metrics.set_audits(Reason::PolicyIngress, 4);
    metrics.set_table(&Fill { table: Table::new("FLOWS", 10), entries: 5, evicts: false });
    metrics.set_table(&Fill { table: Table::new("FLOWS_NEW", 10), entries: 8, evicts: true });
    metrics.programmed(Duration::from_millis(3));
    metrics.network_programmed(Family::V6, SignedDuration::from_millis(300));
    metrics.set_no_local_endpoints(Family::V4, 1, 2);
    metrics.manifest_errors.set(2);
    metrics.synced(Duration::from_millis(3), true);
    metrics.service_changed();
    metrics.endpoints_changed();
    metrics.nothing_pending();
    metrics.endpoints_changed();
    let addr = start(metrics_routes(metrics, &config())).await;
    let answer = get(addr, "/metrics").await;
    assert!(answer.head.contains("application/openmetrics-text"), "{}", answer.head);
    for line in [
        "sluice_drops_total{reason=\"NoEndpoints\"} 9",
        "sluice_audits_total{reason=\"PolicyIngress\"} 4",
        "sluice_table_entries{table=\"FLOWS\"} 5",
        "sluice_table_limit{table=\"FLOWS\"} 10",
        "sluice_table_nearly_full{table=\"FLOWS\"} 0",
        "sluice_table_nearly_full{table=\"FLOWS_NEW\"} 1",
        "sluice_programming_duration_seconds_bucket{le=\"0.002\"} 0",
        "sluice_programming_duration_seconds_bucket{le=\"0.004\"} 1",
        "kubeproxy_network_programming_duration_seconds_bucket{le=\"0.25\",ip_family=\"IPv6\"} 0",
        "kubeproxy_network_programming_duration_seconds_bucket{le=\"0.5\",ip_family=\"IPv6\"} 1",
        "kubeproxy_network_programming_duration_seconds_bucket{le=\"300.0\",ip_family=\"IPv6\"} 1",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"internal\",ip_family=\"IPv4\"} 1",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"external\",ip_family=\"IPv4\"} 2",
        "sluice_manifest_errors 2",
        "sluice_agent_info{node=\"node1\",mode=\"ebpf\",socket_lb=\"on\"} 1",
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{le=\"0.002\",ip_family=\"IPv4\"} 0",
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{le=\"0.004\",ip_family=\"IPv4\"} 1",
        "kubeproxy_sync_proxy_rules_service_changes_total 1",
        "kubeproxy_sync_proxy_rules_service_changes_pending 0",
        "kubeproxy_sync_proxy_rules_endpoint_changes_total 2",
        "kubeproxy_sync_proxy_rules_endpoint_changes_pending 1",
    ] {
        assert!(answer.body.contains(&format!("{line}\n")), "{line} is not in\n{}", answer.body);
    }
    assert!(answer.body.contains("kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1"));
}

#[tokio::test]
async fn s8_30_a_failed_sync_has_a_duration_and_no_success() {
    let metrics = metrics();
    let succeeded = || {
        let text = metrics.encode();
        let line = "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} ";
        text.lines().find_map(|it| it.strip_prefix(line)).map(ToOwned::to_owned)
    };
    let before = succeeded();
    metrics.queued();
    metrics.synced(Duration::from_millis(3), false);
    assert_eq!(succeeded(), before);
    let text = metrics.encode();
    assert!(text.contains("kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"} 1\n"), "{text}");
    assert!(!text.contains("last_queued_timestamp_seconds{ip_family=\"IPv4\"} 0"), "{text}");
}

#[tokio::test]
async fn any_method_is_answered() {
    let (_, _, addr) = start_health(Limits::default()).await;
    assert_eq!(ask(addr, "POST", "/livez").await.code, 200);
}

#[tokio::test]
async fn the_metrics_server_tells_its_mode_as_kube_proxy_does() {
    let addr = start(metrics_routes(metrics(), &config())).await;
    let mode = get(addr, "/proxyMode").await;
    assert_eq!((mode.code, mode.body.as_str()), (200, "ebpf"));
    let rules = Config { mode: Mode::Iptables, ..config() };
    assert_eq!(get(start(metrics_routes(metrics(), &rules)).await, "/proxyMode").await.body, "iptables");
    assert!(mode.head.contains("content-type: text/plain; charset=utf-8"), "{}", mode.head);
    assert_eq!(get(addr, "/healthz").await.body, "ok");
}

#[tokio::test]
async fn the_configuration_in_force_is_told_under_its_group() {
    let addr = start(metrics_routes(metrics(), &config())).await;
    let told = get(addr, "/configz").await;
    assert!(told.head.contains("content-type: application/json"), "{}", told.head);
    let config = &told.json()["sluice.dev"];
    assert_eq!(config["kind"], "SluiceConfiguration");
    assert_eq!((&config["nodeName"], &config["metricsBindAddress"]), (&json!("node1"), &json!("127.0.0.1:10249")));
}

/// Long enough to look at what is there before it.
const RETRY: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_taken_address_is_told_of_and_tried_again_until_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap();
    let failures = Failures::default();
    let place = Place { addr, only_own_family: false };
    let (name, failure) =
        ("metrics server".into(), failures.place(None, crate::complaint::Reason::FailedToStartMetricServer));
    let server = Server { name, place, failure, retry: RETRY, again: Arc::default() };
    let bound = server.bind();
    tokio::spawn(server.run(bound, metrics_routes(metrics(), &config())));
    tokio::time::sleep(RETRY / 2).await;
    let [failure] = &failures.list()[..] else { panic!("{:?}", failures.list()) };
    assert!(
        failure.text.starts_with(&format!("metrics server: cannot listen on {addr}: Address already in use")),
        "{failure}"
    );
    drop(taken);
    eventually("an answer", || failures.list().is_empty()).await;
    assert_eq!(get(addr, "/proxyMode").await.body, "ebpf");
}

#[test]
fn the_process_is_told_as_prometheus_libraries_do() {
    let text = metrics().encode();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
    };
    assert!(value("process_cpu_seconds_total") >= 0.0);
    let resident = value("process_resident_memory_bytes");
    assert!(resident > 1e6 && resident < value("process_virtual_memory_bytes"), "{resident}");
    assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
    let age = jiff::Timestamp::now().as_duration().as_secs_f64() - value("process_start_time_seconds");
    assert!((-2.0..3600.0).contains(&age), "{age}");
}

#[tokio::test]
async fn a_taken_address_ends_the_start_where_that_is_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = |bind_address_hard_fail| Config {
        healthz_bind_address: BindAddress::At(taken.local_addr().unwrap()),
        metrics_bind_address: BindAddress::Disabled,
        bind_address_hard_fail,
        ..config()
    };
    let (health, failures) = (Arc::new(Health::new(Limits::default())), Failures::default());
    let error = super::start(&config(true), &health, &metrics(), &failures).unwrap_err().to_string();
    assert!(error.contains("healthzBindAddress") && error.contains("Address already in use"), "{error}");
    super::start(&config(false), &health, &metrics(), &failures).unwrap();
}

async fn eventually(what: &str, look: impl Fn() -> bool) {
    for _ in 0..200 {
        if look() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not in 2 s");
}

mod dashboard;
mod health_check;
