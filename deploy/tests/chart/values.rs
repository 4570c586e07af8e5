//! `values.schema.json`, by which Helm refuses values, says the same of `values.yaml` as `values.yaml` itself.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

fn chart(path: &str) -> String {
    deploy::file(path)
}

#[test]
fn the_schema_has_every_value_with_its_type_and_no_other() -> Result<()> {
    let values: Value = serde_yaml_ng::from_str(&chart("values.yaml"))?;
    let mut schema: Value = serde_json::from_str(&chart("values.schema.json"))?;
    // Helm's own, which a chart can't set.
    schema["properties"].as_object_mut().context("no properties")?.remove("global").context("no global")?;
    compare(&schema, &values, "")
}

fn compare(schema: &Value, value: &Value, key: &str) -> Result<()> {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") if schema["additionalProperties"] == false => {
            let object = value.as_object().with_context(|| format!("{key}: not a map"))?;
            let properties = schema["properties"].as_object().with_context(|| format!("{key}: no properties"))?;
            for name in object.keys().chain(properties.keys()) {
                let key = format!("{key}.{name}");
                let schema = properties.get(name).with_context(|| format!("{key}: not in the schema"))?;
                // Kubernetes gives requests and limits their meaning; either may be left out.
                match object.get(name) {
                    Some(value) => compare(schema, value, &key)?,
                    None => ensure!(key == ".resources.limits", "{key}: in the schema only"),
                }
            }
            Ok(())
        }
        Some("object") => is(value.is_object(), key),
        Some("array") => is(value.is_array(), key),
        Some("boolean") => is(value.is_boolean(), key),
        Some("integer") => is(value.is_i64(), key),
        Some("string") => is(value.is_string(), key),
        Some(other) => anyhow::bail!("{key}: the test doesn't know the type {other}"),
        None => is(schema["enum"].as_array().is_some_and(|values| values.contains(value)), key),
    }
}

fn is(holds: bool, key: &str) -> Result<()> {
    ensure!(holds, "{key}: values.yaml and values.schema.json differ");
    Ok(())
}
