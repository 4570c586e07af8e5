//! What Helm adds to Go's template language, as far as the chart uses it.

use std::sync::Arc;

use gotmpl::{FuncMap, Template, TemplateError, Value, ValueFunc};
use serde_json::json;

use crate::chart;

type Outcome = Result<Value, TemplateError>;

/// The functions, but for [`include()`].
pub(crate) fn functions() -> FuncMap {
    let all: [(_, ValueFunc); 6] = [
        ("default", Arc::new(default)),
        ("file", Arc::new(file)),
        ("nindent", Arc::new(nindent)),
        ("quote", Arc::new(quote)),
        ("required", Arc::new(required)),
        ("toYaml", Arc::new(to_yaml)),
    ];
    all.into_iter().map(|(name, function)| (name.to_owned(), function)).collect()
}

/// `include NAME DATA`: what a named template makes, as a value for other functions to work on.
pub(crate) fn include(named: Template) -> impl Fn(&[Value]) -> Outcome + Send + Sync + 'static {
    move |arguments| {
        let [name, data] = take("include", arguments)?;
        named.execute_template_to_string(text("include", name)?, data).map(|made| Value::String(made.into()))
    }
}

/// `file PATH`: the text of a file of the chart, Helm's `.Files.Get`.
fn file(arguments: &[Value]) -> Outcome {
    let [path] = take("file", arguments)?;
    Ok(Value::String(chart::file(text("file", path)?).into()))
}

/// `default FALLBACK VALUE`.
fn default(arguments: &[Value]) -> Outcome {
    let [fallback, value] = take("default", arguments)?;
    Ok(if value.is_truthy() { value } else { fallback }.clone())
}

/// `required COMPLAINT VALUE`.
fn required(arguments: &[Value]) -> Outcome {
    let [complaint, value] = take("required", arguments)?;
    if value.is_truthy() { Ok(value.clone()) } else { Err(TemplateError::Exec(complaint.to_string())) }
}

/// `quote VALUE`: in double quotes, which JSON's are to YAML too.
fn quote(arguments: &[Value]) -> Outcome {
    let [value] = take("quote", arguments)?;
    Ok(Value::String(json!(value.to_string()).to_string().into()))
}

/// `nindent SPACES TEXT`: on lines of its own, with so many spaces before each.
fn nindent(arguments: &[Value]) -> Outcome {
    let [spaces, lines] = take("nindent", arguments)?;
    let spaces = spaces.as_int().and_then(|spaces| usize::try_from(spaces).ok());
    let spaces = spaces.ok_or_else(|| TemplateError::Exec("nindent takes a number of spaces".into()))?;
    let start = format!("\n{}", " ".repeat(spaces));
    Ok(Value::String((start.clone() + &text("nindent", lines)?.replace('\n', &start)).into()))
}

/// `toYaml VALUE`, without the line end at its end.
fn to_yaml(arguments: &[Value]) -> Outcome {
    let [value] = take("toYaml", arguments)?;
    let yaml = serde_yaml_ng::to_string(&to_json(value)).map_err(|error| TemplateError::Exec(error.to_string()))?;
    Ok(Value::String(yaml.trim_end().into()))
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil | Value::Function(_) => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Uint(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::String(value) => json!(**value),
        Value::List(values) => values.iter().map(to_json).collect(),
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect(),
    }
}

/// The arguments, if they are as many as the function takes.
fn take<'a, const N: usize>(function: &str, arguments: &'a [Value]) -> Result<&'a [Value; N], TemplateError> {
    arguments
        .try_into()
        .map_err(|_| TemplateError::Exec(format!("{function} takes {N} arguments, and got {}", arguments.len())))
}

fn text<'a>(function: &str, value: &'a Value) -> Result<&'a str, TemplateError> {
    value.as_str().ok_or_else(|| TemplateError::Exec(format!("{function} takes a text, and got {}", value.type_name())))
}
