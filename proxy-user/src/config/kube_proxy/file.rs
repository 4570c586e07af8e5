//! A `KubeProxyConfiguration`, field by field.

use std::path::Path;

use serde_json::{Map, Value};

use super::fields::leads_to_fields;
use super::given::{Given, Values};
use super::settings::settings;
use crate::config::{ConfigError, Settings};

/// The version that kube-proxy has had since its configuration has a file.
const API_VERSION: &str = "kubeproxy.config.k8s.io/v1alpha1";

/// Whether a file says that it is for kube-proxy.
///
/// # Errors
/// It is the `ConfigMap` that holds such a file, or has a version nobody has.
pub(in crate::config) fn is_kube_proxys(path: &Path, document: &Value) -> Result<bool, ConfigError> {
    let text = |key| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let fail = |key: &str, message: String| Err(ConfigError::Parse { path: path.into(), key: key.into(), message });
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    if kind == "ConfigMap" {
        let keys = document.get("data").and_then(Value::as_object).map(|keys| keys.keys().cloned().collect::<Vec<_>>());
        let keys = keys.unwrap_or_default().join(", ");
        return fail(
            "kind",
            format!(
                "this is a ConfigMap (keys: {keys}) and not the file in it; mount it and name the file (config.conf), or \
                 write that one key to a file: kubectl -n kube-system get configmap kube-proxy -o \
                 jsonpath='{{.data.config\\.conf}}'"
            ),
        );
    }
    if !api_version.starts_with("kubeproxy.config.k8s.io/") && kind != "KubeProxyConfiguration" {
        return Ok(false);
    }
    match (kind, api_version) {
        ("KubeProxyConfiguration", API_VERSION) => Ok(true),
        (_, API_VERSION) => fail("kind", format!("\"{kind}\" should be KubeProxyConfiguration")),
        _ => fail("apiVersion", format!("\"{api_version}\" should be {API_VERSION}")),
    }
}

/// The settings that a file of kube-proxy's makes.
pub(in crate::config) fn read(document: &Value) -> Result<Settings, ConfigError> {
    let mut values = Values::default();
    if let Value::Object(fields) = document {
        let fields = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "kind" | "apiVersion"));
        take(fields, "", &mut values);
    }
    settings(&values)
}

/// Takes what has fields below it apart, and all else as it is.
fn take<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>, prefix: &str, values: &mut Values) {
    for (name, value) in fields {
        let path = format!("{prefix}{name}");
        match value {
            Value::Object(below) if leads_to_fields(&path) => take(Map::iter(below), &format!("{path}."), values),
            _ => drop(values.0.insert(path.clone(), Given { name: path, value: value.clone() })),
        }
    }
}
