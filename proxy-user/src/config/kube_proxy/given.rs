//! What is given: fields of a file and flags alike.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::ConfigError;

/// A field or flag of kube-proxy that has no meaning here and was set to other than its default.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Ignored {
    /// The field's path (`iptables.masqueradeBit`), or the flag.
    pub name: String,
    /// What it was set to.
    pub value: String,
    /// Why it changes nothing.
    pub reason: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name, self.value, self.reason)
    }
}

/// A value, and under which name it was given.
pub(super) struct Given {
    /// As in [`Ignored::name`].
    pub(super) name: String,
    pub(super) value: Value,
}

/// What is given for fields, by the fields' paths. An empty value is none: kube-proxy's own rule for every field of the file.
#[derive(Default)]
pub(super) struct Values(pub(super) BTreeMap<String, Given>);

impl Values {
    fn get(&self, field: &str) -> Option<&Given> {
        self.0.get(field).filter(|given| !is_empty(&given.value))
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<String>, ConfigError> {
        let Some(given) = self.get(field) else { return Ok(None) };
        match &given.value {
            Value::String(text) => Ok(Some(text.clone())),
            Value::Number(number) => Ok(Some(number.to_string())),
            _ => Err(wrong(given, "a string")),
        }
    }

    pub(super) fn bool(&self, field: &str) -> Result<Option<bool>, ConfigError> {
        let Some(given) = self.get(field) else { return Ok(None) };
        match &given.value {
            Value::Bool(value) => Ok(Some(*value)),
            // What a flag of Go's may be.
            Value::String(text) => match text.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
                _ => Err(wrong(given, "true or false")),
            },
            _ => Err(wrong(given, "true or false")),
        }
    }

    pub(super) fn list(&self, field: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(given) = self.get(field) else { return Ok(None) };
        let item = |item: &Value| item.as_str().map(str::to_owned);
        let items = given.value.as_array().and_then(|items| items.iter().map(item).collect());
        items.map(Some).ok_or_else(|| wrong(given, "a list of strings"))
    }
}

/// The value of a setting as people write it.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Nothing was given: in Kubernetes' configuration files that is the same as an empty value.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A value of the wrong type.
pub(super) fn wrong(given: &Given, expected: &'static str) -> ConfigError {
    ConfigError::KubeProxy { name: given.name.clone(), value: text(&given.value), expected }
}
