//! What the API server answers when it doesn't do what it was asked: `meta/v1` Status objects.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::request::Request;
use super::store::Gone;

/// A refusal.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) retry_after: Option<u32>,
}

impl Refusal {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), retry_after: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn not_found(resource: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} \"{name}\" not found"))
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// What a status code says of a request.
    pub(super) fn of(code: u16, request: &Request) -> Self {
        let resource = &request.resource;
        match code {
            401 => Self::unauthorized(),
            403 => {
                let verb = request.verb.map_or_else(|| "get".into(), |verb| format!("{verb:?}").to_lowercase());
                let who = "User \"system:serviceaccount:sluice-system:sluice\"";
                let message = format!(
                    "{resource} is forbidden: {who} cannot {verb} resource \"{resource}\" in API group \"\" at the cluster scope"
                );
                Self::new(403, "Forbidden", message)
            }
            404 => Self::new(404, "NotFound", "the server could not find the requested resource"),
            410 => Self::new(410, "Expired", "The resourceVersion for the provided list is too old."),
            429 => Self::new(429, "TooManyRequests", "too many requests, please try again later"),
            503 => Self::new(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
            _ => Self::new(code, "InternalError", format!("Internal error occurred: {resource} is made to fail")),
        }
    }

    pub(super) fn body(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(seconds) = self.retry_after {
            status["details"] = json!({"retryAfterSeconds": seconds});
        }
        status
    }
}

impl From<Gone> for Refusal {
    fn from(gone: Gone) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {} ({})", gone.asked, gone.oldest))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (code, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
