//! Why the chart can't be rendered.

/// The chart can't be rendered with these values.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A file of values, or one of the chart's own, can't be read as YAML.
    #[error("{file}: {source}")]
    Yaml {
        /// The file.
        file: String,
        /// Where, and what is wrong.
        source: serde_yaml_ng::Error,
    },
    /// `--set` without a value, or with an empty part of a key.
    #[error("\"{0}\" sets nothing: expected KEY=VALUE with a key of {file}, as in image.tag=0.1.0", file = super::chart::VALUES)]
    Assignment(String),
    /// A key that the chart doesn't have would be a setting that silently isn't in force.
    #[error("the chart has no value \"{key}\"; {file} has all there are", file = super::chart::VALUES)]
    UnknownValue {
        /// Dotted.
        key: String,
    },
    /// A value of the wrong kind: a word where a map is expected, say.
    #[error("value \"{key}\" takes {expected}, and got {got}; {file} has an example", file = super::chart::VALUES)]
    WrongKind {
        /// Dotted.
        key: String,
        /// What the chart has there.
        expected: &'static str,
        /// What was given.
        got: &'static str,
    },
    /// A template can't be parsed or executed, for a value that doesn't fit or one that is missing.
    #[error("template {template}: {source}")]
    Template {
        /// Its file.
        template: String,
        /// Where, and what is wrong.
        source: gotmpl::TemplateError,
    },
}
