//! What the chart is rendered with: its own values, and over them files and single assignments, as Helm merges them.

use serde_json::{Map, Value};

use crate::DeployError;
use crate::chart;

/// Keys below which the chart fixes nothing.
const FREE: [&str; 13] = [
    "affinity",
    "config",
    "grafanaDashboard.labels",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "podMonitor.labels",
    "prometheusRule.labels",
    "resources",
    "serviceMonitor.labels",
    "securityContext.seLinuxOptions",
    "updateStrategy",
    "tolerations",
];

/// The chart's values. Maps are merged, everything else is replaced; a key that the chart doesn't have is refused.
#[derive(Clone, PartialEq, Debug)]
pub struct Values(Value);

impl Values {
    /// Those of `values.yaml`.
    pub fn defaults() -> Result<Self, DeployError> {
        Ok(Self(from_yaml(chart::VALUES, &chart::defaults())?))
    }

    /// Merges a file of values.
    pub fn merge(&mut self, file: &str, yaml: &str) -> Result<(), DeployError> {
        match from_yaml(file, yaml)? {
            Value::Null => Ok(()),
            over => merge(&mut self.0, over, ""),
        }
    }

    /// Sets one value by its dotted key; the value is read as YAML, so that `true` is a truth value and `[a, b]` a list.
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), DeployError> {
        let over = key.rsplit('.').fold(value, |inner, part| Value::Object(Map::from_iter([(part.to_owned(), inner)])));
        merge(&mut self.0, over, "")
    }

    /// Sets one value from `KEY=VALUE`.
    pub fn assign(&mut self, assignment: &str) -> Result<(), DeployError> {
        let (key, value) = assignment
            .split_once('=')
            .filter(|(key, _)| key.split('.').all(|part| !part.is_empty()))
            .ok_or_else(|| DeployError::Assignment(assignment.to_owned()))?;
        // An empty word is an empty text, as in Helm.
        let value = if value.is_empty() { Value::String(String::new()) } else { from_yaml(key, value)? };
        self.set(key, value)
    }

    /// The value at a dotted key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.0, |value, part| value.get(part))
    }

    pub(crate) const fn as_json(&self) -> &Value {
        &self.0
    }
}

/// As JSON, which is YAML too.
impl std::fmt::Display for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn from_yaml(file: &str, yaml: &str) -> Result<Value, DeployError> {
    serde_yaml_ng::from_str(yaml).map_err(|source| DeployError::Yaml { file: file.to_owned(), source })
}

fn merge(base: &mut Value, over: Value, key: &str) -> Result<(), DeployError> {
    let (expected, got) = (kind(base), kind(&over));
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                let is_free = FREE.iter().any(|free| key.starts_with(&format!("{free}.")));
                match base.get_mut(&name) {
                    Some(base) => merge(base, value, &key)?,
                    None if is_free => {
                        base.insert(name, value);
                    }
                    None => return Err(DeployError::UnknownValue { key }),
                }
            }
            Ok(())
        }
        (base, over) if expected == got || is_scalar(base) && is_scalar(&over) || is_below_free(key) => {
            *base = over;
            Ok(())
        }
        _ => Err(DeployError::WrongKind { key: key.to_owned(), expected, got }),
    }
}

fn is_below_free(key: &str) -> bool {
    FREE.iter().any(|free| key.starts_with(&format!("{free}.")))
}

/// Texts, numbers and truth values can be taken for each other: `--set image.tag=1.0` gives a number.
const fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assigned(assignment: &str) -> Result<Values, DeployError> {
        let mut values = Values::defaults().unwrap();
        values.assign(assignment).map(|()| values)
    }

    #[test]
    fn an_assignment_reaches_below_maps_and_leaves_the_rest() {
        let values = assigned("image.repository=registry.example/sluice").unwrap();
        assert_eq!(values.get("image.repository"), Some(&json!("registry.example/sluice")));
        assert_eq!(values.get("image.pullPolicy"), Some(&json!("IfNotPresent")));
    }

    #[test]
    fn a_value_is_read_as_yaml() {
        assert_eq!(assigned("namespace.create=true").unwrap().get("namespace.create"), Some(&json!(true)));
        assert_eq!(assigned("k8sServicePort=443").unwrap().get("k8sServicePort"), Some(&json!(443)));
        assert_eq!(
            assigned("extraArgs=[--policy-mode=audit]").unwrap().get("extraArgs"),
            Some(&json!(["--policy-mode=audit"]))
        );
        assert_eq!(assigned("image.digest=").unwrap().get("image.digest"), Some(&json!("")));
    }

    #[test]
    fn a_key_the_chart_does_not_have_is_refused_but_for_the_agents_own() {
        let error = assigned("image.tga=1").unwrap_err().to_string();
        assert!(error.contains("image.tga"), "{error}");
        assert_eq!(assigned("config.socketLb=host").unwrap().get("config.socketLb"), Some(&json!("host")));
    }

    #[test]
    fn a_word_where_a_map_is_expected_is_refused() {
        let error = assigned("image=sluice").unwrap_err().to_string();
        assert!(error.contains("\"image\" takes a map, and got a text"), "{error}");
    }

    #[test]
    fn a_word_without_a_value_is_refused() {
        assert!(assigned("image.tag").unwrap_err().to_string().contains("KEY=VALUE"));
        assert!(assigned("image..tag=1").unwrap_err().to_string().contains("KEY=VALUE"));
    }

    #[test]
    fn lists_of_a_file_replace_the_charts() {
        let mut values = Values::defaults().unwrap();
        values.merge("mine.yaml", "tolerations: []\nnodeSelector: {pool: a}").unwrap();
        assert_eq!(values.get("tolerations"), Some(&json!([])));
        assert_eq!(values.get("nodeSelector"), Some(&json!({"kubernetes.io/os": "linux", "pool": "a"})));
    }
}
