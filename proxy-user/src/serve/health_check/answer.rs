//! What a health check port answers, to whatever path and method: what load balancers know from kube-proxy (8.2 to 8.6
//! of its rules).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::Serialize;

use crate::model::ServiceRef;
use crate::serve::health::Health;

const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    service: Name<'a>,
    local_endpoints: usize,
    service_proxy_healthy: bool,
}

#[derive(Serialize)]
struct Name<'a> {
    namespace: &'a str,
    name: &'a str,
}

pub(super) fn routes(service: ServiceRef, local_endpoints: Arc<AtomicUsize>, health: Arc<Health>) -> Router {
    let respond = move || {
        let answer = answer(&service, local_endpoints.load(Ordering::Relaxed), health.is_healthy());
        async move { answer }
    };
    Router::new().fallback(respond)
}

/// 200 where a healthy proxy has a ready endpoint of the Service on this node.
fn answer(service: &ServiceRef, local_endpoints: usize, service_proxy_healthy: bool) -> Response {
    let serves = local_endpoints > 0 && service_proxy_healthy;
    let code = if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let headers = [(header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()), (WEIGHT, local_endpoints.to_string())];
    let service = Name { namespace: &service.namespace, name: &service.name };
    (code, headers, Json(Body { service, local_endpoints, service_proxy_healthy })).into_response()
}
