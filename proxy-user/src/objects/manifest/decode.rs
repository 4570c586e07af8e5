//! From the bytes of a file to objects.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Deserialize;
use serde_json::Value;

use super::error::{DocumentError, SyntaxError};
use crate::model::{Kind, Object, ObjectRef};
use crate::objects::convert::{self, typed};
use crate::objects::{FieldError, FieldProblem};

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Yaml,
    Json,
}

/// The objects of one file.
pub(super) type Objects = BTreeMap<ObjectRef, Object>;

/// Reads every document of a file; the first that is bad makes the whole file bad.
pub(super) fn decode(bytes: &[u8], format: Format) -> Result<Objects, DocumentError> {
    let mut found: BTreeMap<ObjectRef, (usize, Object)> = BTreeMap::new();
    for (document, value) in documents(bytes, format) {
        let value = value.map_err(|source| DocumentError::Syntax { document, source })?;
        let mut objects = Vec::new();
        collect(value, "", &mut objects).map_err(|(object, source)| DocumentError::Field {
            document,
            object,
            source,
        })?;
        for object in objects {
            match found.entry(object.object_ref()) {
                Entry::Vacant(entry) => drop(entry.insert((document, object))),
                Entry::Occupied(entry) => {
                    let first = entry.get().0;
                    return Err(DocumentError::Twice { document, object: object.object_ref(), first });
                }
            }
        }
    }
    Ok(found.into_iter().map(|(name, (_, object))| (name, object)).collect())
}

type Documents<'a> = Box<dyn Iterator<Item = (usize, Result<Value, SyntaxError>)> + 'a>;

/// The documents of a file with their numbers.
fn documents(bytes: &[u8], format: Format) -> Documents<'_> {
    match format {
        Format::Json => {
            let values = serde_json::Deserializer::from_slice(bytes).into_iter();
            Box::new((1..).zip(values.map(|value| value.map_err(SyntaxError::from))))
        }
        Format::Yaml => {
            let documents = serde_yaml_ng::Deserializer::from_slice(bytes);
            Box::new((1..).zip(documents.map(yaml)))
        }
    }
}

/// YAML says more than JSON, of which Kubernetes takes anchors, merge keys (`<<`) and keys that are not strings.
fn yaml(document: serde_yaml_ng::Deserializer<'_>) -> Result<Value, SyntaxError> {
    let mut value = serde_yaml_ng::Value::deserialize(document)?;
    value.apply_merge()?;
    Ok(serde_json::to_value(value)?)
}

/// Adds the objects that `value` is, or lists. `path` is where it stands in its document.
fn collect(value: Value, path: &str, objects: &mut Vec<Object>) -> Result<(), (String, FieldError)> {
    if value.is_null() {
        return Ok(());
    }
    let described = describe(&value);
    let fail = |error: FieldError| (described.clone(), prefixed(error, path));
    let api_version = text(&value, "apiVersion").map_err(fail)?;
    let kind = text(&value, "kind").map_err(fail)?;
    if let Some(item_kind) = kind.strip_suffix("List")
        && value.get("items").is_some()
    {
        return collect_items(value, &api_version, item_kind, path, objects);
    }
    objects.extend(object(value).map_err(fail)?);
    Ok(())
}

/// The items of a list; those of a typed one (`ServiceList`) need not say their kind.
fn collect_items(
    mut list: Value,
    api_version: &str,
    item_kind: &str,
    path: &str,
    objects: &mut Vec<Object>,
) -> Result<(), (String, FieldError)> {
    let described = describe(&list);
    let items = list.get_mut("items").map(Value::take).unwrap_or_default();
    let items: Option<Vec<Value>> =
        typed(items).map_err(|error| (described, FieldError { field: format!("{path}items"), ..error }))?;
    for (i, mut item) in items.into_iter().flatten().enumerate() {
        if let Some(fields) = item.as_object_mut()
            && !item_kind.is_empty()
        {
            fields.entry("apiVersion").or_insert_with(|| api_version.into());
            fields.entry("kind").or_insert_with(|| item_kind.into());
        }
        collect(item, &format!("{path}items[{i}]."), objects)?;
    }
    Ok(())
}

/// Groups that NetworkPolicy is or once was in.
const POLICY_GROUPS: [&str; 2] = ["extensions/", "networking.k8s.io/"];

/// The object that `value` is, if it is one that we use.
///
/// # Errors
/// A field that the model can't do without can't be used.
pub fn object(value: Value) -> Result<Option<Object>, FieldError> {
    let (api_version, kind) = (text(&value, "apiVersion")?, text(&value, "kind")?);
    let kind = match (api_version.as_str(), kind.as_str()) {
        ("v1", "Namespace") => Kind::Namespace,
        ("v1", "Node") => Kind::Node,
        ("v1", "Pod") => Kind::Pod,
        ("v1", "Service") => Kind::Service,
        ("v1", "Endpoints") => Kind::Endpoints,
        ("discovery.k8s.io/v1", "EndpointSlice") => Kind::EndpointSlice,
        ("networking.k8s.io/v1", "NetworkPolicy") => Kind::NetworkPolicy,
        // Left out in silence, it would leave pods open. Other groups have kinds of the same name, which are not ours.
        (other, "NetworkPolicy") if POLICY_GROUPS.iter().any(|group| other.starts_with(group)) => {
            return Err(FieldProblem::NotServed(api_version, "networking.k8s.io/v1").at("apiVersion"));
        }
        _ => return Ok(None),
    };
    convert::object(kind, value).map(Some)
}

/// A string that every object has.
fn text(value: &Value, field: &str) -> Result<String, FieldError> {
    let text = value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| FieldProblem::Missing.at(field))
}

fn prefixed(error: FieldError, path: &str) -> FieldError {
    FieldError { field: format!("{path}{}", error.field), ..error }
}

/// Kind, namespace and name of what may not be an object at all.
fn describe(value: &Value) -> String {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let kind = text("/kind").unwrap_or("object");
    let name = text("/metadata/name").unwrap_or("(without a name)");
    let is_cluster_wide = [Kind::Namespace, Kind::Node].iter().any(|it| format!("{it:?}") == kind);
    match text("/metadata/namespace") {
        _ if is_cluster_wide || kind.ends_with("List") => format!("{kind} {name}"),
        namespace => format!("{kind} {}/{name}", namespace.unwrap_or("default")),
    }
}

#[cfg(test)]
mod tests;
