//! The configuration file.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{ConfigError, Settings, kube_proxy};

impl Settings {
    /// Reads a YAML (or JSON, its subset) file of ours or of kube-proxy's. An empty file sets nothing.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        // What isn't YAML at all, or none of one document, is told by what reads it as ours.
        let document = serde_yaml_ng::from_str(&text).unwrap_or(Value::Null);
        if kube_proxy::is_kube_proxys(path, &document)? {
            return kube_proxy::read(&document);
        }
        let document = serde_yaml_ng::Deserializer::from_str(&text);
        let settings: Option<Self> = serde_path_to_error::deserialize(document).map_err(|error| {
            let (key, message) = (error.path().to_string(), error.inner().to_string());
            // YAML's own messages begin with the key, but not where that is the top.
            let message = message.strip_prefix(&format!("{key}: ")).unwrap_or(&message).to_owned();
            ConfigError::Parse { path: path.into(), key, message }
        })?;
        Ok(settings.unwrap_or_default())
    }
}

/// The settings as a file.
pub(super) fn print(settings: &Settings) -> String {
    #[expect(clippy::expect_used, reason = "strings, lists and unit variants always have a YAML form")]
    serde_yaml_ng::to_string(settings).expect("settings hold only strings, lists of strings and names")
}
