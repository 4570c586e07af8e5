//! A request, as the server understood it: what it acts on, and what it remembers for tests.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use axum::http::{HeaderName, header};

use super::fault::Verb;
use super::target::Target;

/// A request that reached the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// What it does; none of a request that isn't for objects.
    pub verb: Option<Verb>,
    /// Name of the kind in paths, or the whole path of a request that isn't for objects.
    pub resource: String,
    /// The namespace, if it names one.
    pub namespace: Option<String>,
    /// The object, if it names one.
    pub name: Option<String>,
    /// Its query, decoded.
    pub query: BTreeMap<String, String>,
    /// Its `User-Agent`.
    pub user_agent: String,
    /// Its `Accept`.
    pub accept: String,
}

impl Request {
    pub(super) fn of(parts: &Parts) -> Self {
        let query = decode(parts.uri.query().unwrap_or_default());
        let header =
            |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (resource, namespace, name) = match Target::of(parts.uri.path()) {
            Target::Objects { kind, namespace, name, .. } => (kind.plural, namespace, name),
            _ => (parts.uri.path(), None, None),
        };
        let mut request = Self {
            verb: None,
            resource: resource.into(),
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            user_agent: header(header::USER_AGENT).into(),
            accept: header(header::ACCEPT).into(),
            query,
        };
        let is_of_objects = matches!(Target::of(parts.uri.path()), Target::Objects { .. });
        request.verb = is_of_objects.then(|| request.verb_of(parts.method.as_str())).flatten();
        request
    }

    /// A parameter of its query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a parameter is true.
    #[must_use]
    pub fn asks(&self, name: &str) -> bool {
        matches!(self.parameter(name), Some("true" | "1"))
    }

    /// Whether it wants no more than metadata.
    #[must_use]
    pub fn is_metadata_only(&self) -> bool {
        self.accept.contains("as=PartialObjectMetadata")
    }

    fn verb_of(&self, method: &str) -> Option<Verb> {
        Some(match method {
            "GET" if self.asks("watch") => Verb::Watch,
            "GET" if self.name.is_some() => Verb::Get,
            "GET" => Verb::List,
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "PATCH" => Verb::Patch,
            "DELETE" => Verb::Delete,
            _ => return None,
        })
    }
}

/// `application/x-www-form-urlencoded`
fn decode(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}

fn plain(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or_default() as u8;
        plain.push(match byte {
            b'%' => digit(bytes.next()) << 4 | digit(bytes.next()),
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8_lossy(&plain).into_owned()
}
