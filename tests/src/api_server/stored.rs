//! An object as it is kept: its JSON once, ready to be sent, and beside it what selectors ask for.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::kind::Kind;

/// Namespace (empty for kinds without) and name.
pub(super) type Key = (String, String);

/// One state of an object. A hundred thousand of them cost little more than their JSON.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) key: Key,
    /// Its resource version.
    pub(super) revision: u64,
    labels: Box<[(String, String)]>,
    fields: Box<[(&'static str, String)]>,
    /// `{"metadata":...}` with the rest of the object, and without kind and version, as in a list.
    pub(super) item: Bytes,
    /// The same with nothing but the metadata.
    pub(super) metadata: Bytes,
}

impl Stored {
    /// An object with what the API server adds: where it is, since when, and `revision`.
    pub(super) fn new(kind: &Kind, mut object: Value, revision: u64) -> Self {
        let (namespace, name) = Self::key_of(kind, &object);
        let members = object.as_object_mut().expect("an object is a JSON object");
        members.remove("kind");
        members.remove("apiVersion");
        let metadata = &mut object["metadata"];
        if kind.namespaced {
            metadata["namespace"] = namespace.clone().into();
        }
        metadata["resourceVersion"] = revision.to_string().into();
        if metadata["uid"].is_null() {
            metadata["uid"] = format!("00000000-0000-4000-8000-{revision:012x}").into();
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        if kind.kind == "Namespace" {
            metadata["labels"]["kubernetes.io/metadata.name"] = name.clone().into();
        }
        let labels = metadata["labels"].as_object().into_iter().flatten();
        let labels = labels.map(|(label, value)| (label.clone(), text(value))).collect();
        let mut fields: Vec<_> = kind
            .fields
            .iter()
            .map(|(field, pointer, unset)| (*field, object.pointer(pointer).map_or_else(|| (*unset).into(), text)))
            .collect();
        fields.push(("metadata.name", name.clone()));
        fields.push(("metadata.namespace", namespace.clone()));
        let metadata = Bytes::from(json!({"metadata": object["metadata"]}).to_string());
        let item = Bytes::from(object.to_string());
        Self { key: (namespace, name), revision, labels, fields: fields.into(), item, metadata }
    }

    /// Where an object is; in the namespace `default` unless it says otherwise.
    pub(super) fn key_of(kind: &Kind, object: &Value) -> Key {
        let metadata = &object["metadata"];
        let namespace = if kind.namespaced { metadata["namespace"].as_str().unwrap_or("default") } else { "" };
        (namespace.into(), metadata["name"].as_str().unwrap_or_default().into())
    }

    pub(super) fn label(&self, label: &str) -> Option<&str> {
        self.labels.iter().find(|(found, _)| found == label).map(|(_, value)| value.as_str())
    }

    pub(super) fn field(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| *found == field).map(|(_, value)| value.as_str())
    }

    /// The object without kind and version.
    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.item).expect("what was written can be read")
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
