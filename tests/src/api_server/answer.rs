//! From a request to its answer.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tokio::time::sleep;

use super::discovery;
use super::fault::{Fault, Verb};
use super::list::{get, list};
use super::request::Request;
use super::selector::Selection;
use super::shared::Shared;
use super::status::Refusal;
use super::target::Target;
use super::watch::watch;
use super::write::write;

/// The longest body that is read, in bytes.
const BODY_MAX: usize = 4 << 20;

/// Answers a request, or fails it as it is to be failed.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, http: HttpRequest) -> Response {
    let (parts, body) = http.into_parts();
    let request = Request::of(&parts);
    shared.record(request.clone());
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !shared.admits(authorization) {
        return Refusal::unauthorized().into_response();
    }
    if let Some(refusal) = suffer(&shared, &request).await {
        return refusal.into_response();
    }
    let answered = match Target::of(parts.uri.path()) {
        target @ Target::Objects { .. } => of_objects(&shared, &target, &request, body).await,
        Target::Version => Ok(Json(discovery::version()).into_response()),
        Target::Health => Ok("ok".into_response()),
        Target::CoreVersions => Ok(Json(discovery::core_versions()).into_response()),
        Target::Groups => Ok(Json(discovery::groups()).into_response()),
        Target::Kinds { group, version } => discovery::kinds(group, version)
            .map(|kinds| Json(kinds).into_response())
            .ok_or_else(|| Refusal::of(404, &request)),
        Target::Unknown => Err(Refusal::of(404, &request)),
    };
    answered.unwrap_or_else(Refusal::into_response)
}

/// The fault that is due, if it is one that comes before the answer.
async fn suffer(shared: &Shared, request: &Request) -> Option<Refusal> {
    match shared.fault(request.verb?, &request.resource)? {
        Fault::Status(code) => Some(Refusal::of(code, request)),
        Fault::TooManyRequests(seconds) => Some(Refusal { retry_after: Some(seconds), ..Refusal::of(429, request) }),
        Fault::Slow(delay) => {
            sleep(delay).await;
            None
        }
        Fault::Hang => std::future::pending().await,
        Fault::Cut | Fault::Garbled => None,
    }
}

async fn of_objects(
    shared: &Arc<Shared>,
    target: &Target<'_>,
    request: &Request,
    body: Body,
) -> Result<Response, Refusal> {
    let Target::Objects { kind, namespace, name, .. } = *target else { return Err(Refusal::of(404, request)) };
    let selection =
        Selection::parse(kind, namespace, request.parameter("labelSelector"), request.parameter("fieldSelector"));
    let selection = selection.map_err(Refusal::bad_request)?;
    let selection = name.map_or(selection.clone(), |name| selection.one(name));
    match request.verb.ok_or_else(|| Refusal::of(404, request))? {
        Verb::Watch => watch(shared, kind, selection, request),
        Verb::List => {
            let cut = shared.take_fault(Verb::List, kind.plural, Fault::Cut);
            list(shared, kind, &selection, request, cut)
        }
        Verb::Get => {
            let key = (namespace.unwrap_or_default().into(), name.unwrap_or_default().into());
            get(shared, kind, &key, request)
        }
        verb => {
            let body = to_bytes(body, BODY_MAX).await.map_err(|error| Refusal::bad_request(error.to_string()))?;
            write(shared, kind, (namespace, name), verb, &body)
        }
    }
}
