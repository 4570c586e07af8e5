//! GET of a list and of one object.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::sleep;

use super::kind::Kind;
use super::request::Request;
use super::selector::Selection;
use super::shared::Shared;
use super::status::Refusal;
use super::stored::{Key, Stored};
use super::watch::BEFORE_CUT;

/// A page of a list. As the real one does, a list at version 0 comes from a cache, all at once; any other is of one
/// moment over all of its pages.
pub(super) fn list(
    shared: &Shared,
    kind: &'static Kind,
    selection: &Selection,
    request: &Request,
    cut: bool,
) -> Result<Response, Refusal> {
    let number = |name| request.parameter(name).map(str::parse::<u64>).transpose();
    let invalid = |_| Refusal::bad_request("limit and resourceVersion are numbers");
    let (limit, wanted) = (number("limit").map_err(invalid)?, number("resourceVersion").map_err(invalid)?);
    let limit = limit.filter(|limit| *limit > 0 && wanted != Some(0));
    let (at, after) = match request.parameter("continue") {
        Some(token) => from_token(token)?,
        None => (shared.store().revision(), None),
    };
    let objects = shared.store().list(kind, at).map_err(|gone| {
        let mut refusal = Refusal::from(gone);
        refusal.message = "The provided continue parameter is too old to display a consistent list result.".into();
        refusal
    })?;
    let mut objects = objects
        .into_values()
        .filter(|object| selection.holds(object))
        .skip_while(|object| after.as_ref().is_some_and(|after| object.key <= *after));
    let page: Vec<_> = objects.by_ref().take(limit.map_or(usize::MAX, |limit| limit as usize)).collect();
    let left = objects.count();
    let mut metadata = json!({"resourceVersion": at.to_string()});
    if let Some(last) = page.last().filter(|_| left > 0) {
        metadata["continue"] = to_token(at, &last.key).into();
        metadata["remainingItemCount"] = left.into();
    }
    let (api_version, kind_name) = if request.is_metadata_only() {
        ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata")
    } else {
        (kind.api_version(), kind.kind)
    };
    let head = format!(r#"{{"kind":"{kind_name}List","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
    Ok(body(head, page, request.is_metadata_only(), cut))
}

/// One object.
pub(super) fn get(shared: &Shared, kind: &'static Kind, key: &Key, request: &Request) -> Result<Response, Refusal> {
    let object = shared.store().get(kind, key).ok_or_else(|| Refusal::not_found(kind.plural, &key.1))?;
    Ok(json_response(Body::from(whole(kind, &object, request.is_metadata_only()))))
}

/// An object with its kind and version.
pub(super) fn whole(kind: &Kind, object: &Stored, metadata_only: bool) -> Vec<u8> {
    let (head, rest) = if metadata_only {
        (partial(), &object.metadata)
    } else {
        (format!(r#"{{"kind":"{}","apiVersion":"{}","#, kind.kind, kind.api_version()), &object.item)
    };
    [head.as_bytes(), &rest[1..]].concat()
}

fn partial() -> String {
    r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","#.into()
}

/// The answer to a request for JSON.
pub(super) fn json_response(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The list as a stream of the objects' own bytes: nothing is copied, however long it is.
fn body(head: String, page: Vec<Arc<Stored>>, metadata_only: bool, cut: bool) -> Response {
    let mut comma = "";
    let items = page.into_iter().flat_map(move |object| {
        let before = std::mem::replace(&mut comma, ",");
        if metadata_only {
            [Bytes::from(before.to_owned() + &partial()), object.metadata.slice(1..)]
        } else {
            [Bytes::from_static(before.as_bytes()), object.item.clone()]
        }
    });
    let parts = std::iter::once(Bytes::from(head)).chain(items).map(Ok::<_, io::Error>);
    let end = stream::once(async move {
        if cut {
            sleep(BEFORE_CUT).await;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(Bytes::from_static(b"]}"))
    });
    json_response(Body::from_stream(stream::iter(parts).chain(end)))
}

/// Where a list goes on: its revision, and the last object that was sent. Opaque to clients, as the real one's.
fn to_token(at: u64, (namespace, name): &Key) -> String {
    let mut token = String::new();
    for byte in format!("{at}/{namespace}/{name}").bytes() {
        write!(token, "{byte:02x}").expect("a String takes all that is written to it");
    }
    token
}

fn from_token(token: &str) -> Result<(u64, Option<Key>), Refusal> {
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let parsed = text.as_deref().and_then(|text| {
        let (at, key) = text.split_once('/')?;
        let (namespace, name) = key.split_once('/')?;
        Some((at.parse().ok()?, Some((namespace.into(), name.into()))))
    });
    parsed.ok_or_else(|| Refusal::bad_request("continue key is not valid"))
}
