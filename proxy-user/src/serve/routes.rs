//! Paths and answers of the servers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::health::{Health, Report};
use super::metrics::Metrics;
use crate::config::{Config, GROUP};

const NOSNIFF: (header::HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

#[derive(Clone)]
struct Shared {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

/// `/healthz`, `/livez` and `/readyz`, by any method.
pub(super) fn health_routes(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", any(healthz))
        .route("/livez", any(livez))
        .route("/readyz", any(readyz))
        .with_state(Shared { health, metrics })
}

/// `/metrics`, `/healthz` (of the server itself), `/proxyMode` and `/configz`, which tells `config` under the name of its
/// group, as all components of Kubernetes do; by any method.
pub(super) fn metrics_routes(metrics: Arc<Metrics>, config: &Config) -> Router {
    let text = |body: &'static str| ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), NOSNIFF], body);
    let mode = config.dataplane().name();
    let configz = json!({ GROUP: config.to_json() });
    Router::new()
        .route("/metrics", any(scrape))
        .route("/healthz", any(move || async move { text("ok") }))
        .route("/proxyMode", any(move || async move { text(mode) }))
        .route("/configz", any(move || async move { ([NOSNIFF], Json(configz)) }))
        .with_state(metrics)
}

/// The body of kube-proxy's health server.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProxyHealth {
    last_updated: Timestamp,
    current_time: Timestamp,
    /// Of the proxy alone, whatever the node is.
    healthy: bool,
    status: Families,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    /// What is wrong, for people; kube-proxy has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// One loop serves both families: what holds for one holds for the other.
#[derive(Serialize)]
struct Families {
    #[serde(rename = "IPv4")]
    ipv4: FamilyHealth,
    #[serde(rename = "IPv6")]
    ipv6: FamilyHealth,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct FamilyHealth {
    last_updated: Timestamp,
    healthy: bool,
}

/// For load balancers: 200 where Services are served, that is a healthy agent, a first full state in the kernel and an
/// eligible node. kube-proxy gets the second from the third, as it knows no node before it knows its Services.
async fn healthz(State(shared): State<Shared>) -> Response {
    let report = shared.health.report();
    let serving = report.stuck.is_none() && report.missing.is_none() && report.node_eligible;
    let code = status_code(serving);
    shared.metrics.count_healthz(code.as_u16());
    let reason =
        report.stuck.clone().or_else(|| report.missing.clone().map(|missing| format!("waiting for {missing}")));
    answer(code, &report, Some(report.node_eligible), reason)
}

/// For the kubelet: 503 means that a restart may help.
async fn livez(State(shared): State<Shared>) -> Response {
    let report = shared.health.report();
    let code = status_code(report.stuck.is_none());
    shared.metrics.count_livez(code.as_u16());
    answer(code, &report, None, report.stuck.clone())
}

/// For the kubelet: 200 once the first full state is in the kernel.
async fn readyz(State(shared): State<Shared>) -> Response {
    let (code, body) = match shared.health.report().missing {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: waiting for {missing}\n")),
    };
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), NOSNIFF], body).into_response()
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE), NOSNIFF], metrics.encode()).into_response()
}

fn status_code(ok: bool) -> StatusCode {
    if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn answer(code: StatusCode, report: &Report, node_eligible: Option<bool>, reason: Option<String>) -> Response {
    let now = Timestamp::now();
    let healthy = report.stuck.is_none();
    let family = FamilyHealth { last_updated: report.last_updated, healthy };
    let body = ProxyHealth {
        // kube-proxy's rule: a good answer is as new as can be, a bad one tells since when.
        last_updated: if code == StatusCode::OK { now } else { report.last_updated },
        current_time: now,
        healthy,
        status: Families { ipv4: family, ipv6: family },
        node_eligible,
        reason,
    };
    (code, [NOSNIFF], Json(body)).into_response()
}
