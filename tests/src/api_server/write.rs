//! POST, PUT, PATCH and DELETE of one object: as much as the lab, kubectl and a recorder of Events need.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::fault::Verb;
use super::kind::Kind;
use super::list::{json_response, whole};
use super::shared::Shared;
use super::status::Refusal;
use super::stored::{Key, Stored};

/// Changes an object.
pub(super) fn write(
    shared: &Shared,
    kind: &'static Kind,
    (namespace, name): (Option<&str>, Option<&str>),
    verb: Verb,
    body: &[u8],
) -> Result<Response, Refusal> {
    let key: Key = (namespace.unwrap_or_default().into(), name.unwrap_or_default().into());
    if verb == Verb::Delete {
        let deleted = shared.delete(kind, &key).ok_or_else(|| Refusal::not_found(kind.plural, &key.1))?;
        return Ok(json_response(Body::from(whole(kind, &deleted, false))));
    }
    let mut object = read(body)?;
    let before = shared.store().get(kind, &key);
    match (verb, &before) {
        (Verb::Create, _) => check_new(shared, kind, namespace, &mut object)?,
        (Verb::Update, None) => return Err(Refusal::not_found(kind.plural, &key.1)),
        (Verb::Patch, before) => {
            let mut merged = before.as_ref().map_or_else(|| json!({"metadata": {"name": name}}), |it| it.value());
            merge(&mut merged, object);
            object = merged;
        }
        _ => check_version(before.as_deref(), &object)?,
    }
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    let stored = shared.put(kind, object);
    let mut response = json_response(Body::from(whole(kind, &stored, false)));
    if before.is_none() {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// JSON, or YAML, which kubectl sends to be applied; JSON is YAML.
fn read(body: &[u8]) -> Result<Value, Refusal> {
    let object: Value = serde_yaml_ng::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))?;
    if object.is_object() { Ok(object) } else { Err(Refusal::bad_request("the body is no object")) }
}

/// Names an object that asks to be, and refuses one that exists.
fn check_new(shared: &Shared, kind: &Kind, namespace: Option<&str>, object: &mut Value) -> Result<(), Refusal> {
    if let (None, Some(prefix)) = (object["metadata"]["name"].as_str(), object["metadata"]["generateName"].as_str()) {
        let name = format!("{prefix}{}", shared.store().revision());
        object["metadata"]["name"] = name.into();
    }
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    let key = Stored::key_of(kind, object);
    if key.1.is_empty() {
        return Err(Refusal::new(422, "Invalid", "metadata.name: Required value: name or generateName is required"));
    }
    if shared.store().get(kind, &key).is_some() {
        return Err(Refusal::new(409, "AlreadyExists", format!("{} \"{}\" already exists", kind.plural, key.1)));
    }
    Ok(())
}

fn check_version(before: Option<&Stored>, object: &Value) -> Result<(), Refusal> {
    let wanted = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let is = before.map(|before| before.revision.to_string());
    if wanted.is_empty() || is.as_deref() == Some(wanted) {
        return Ok(());
    }
    let message = "the object has been modified; please apply your changes to the latest version and try again";
    Err(Refusal::new(409, "Conflict", message))
}

/// RFC 7396. Every kind of patch is taken for one, which is what they are in what the lab's clients send.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("it was made one").remove(&name);
        } else {
            merge(&mut target[name], value);
        }
    }
}
