//! The chart's files, as the build embedded them.

use std::path::Path;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::DeployError;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/helm/sluice");
const CHART: &str = "Chart.yaml";
pub(crate) const VALUES: &str = "deploy/helm/sluice/values.yaml";
const DEFAULTS: &str = "values.yaml";
const HELPERS: &str = "templates/_helpers.tpl";
/// The dashboard, a file of the chart.
pub const DASHBOARD: &str = "files/sluice.json";
/// The alerts, a file of the chart.
pub const ALERTS: &str = "files/alerts.yaml";

/// What `Chart.yaml` says that templates use.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chart {
    /// Name of the chart.
    pub name: String,
    /// Version of the chart.
    pub version: String,
    /// Version of Sluice, and the default tag of its image.
    pub app_version: String,
}

impl Chart {
    /// The chart of this build.
    pub fn embedded() -> Result<Self, DeployError> {
        serde_yaml_ng::from_str(&file(CHART)).map_err(|source| DeployError::Yaml { file: CHART.to_owned(), source })
    }
}

/// A text file of the chart by its path in it; empty where there is none, as Helm's `.Files.Get` has it.
#[must_use]
pub fn file(path: &str) -> String {
    FILES.get_file(path).and_then(|file| file.contents_utf8()).unwrap_or_default().to_owned()
}

/// The values the chart is rendered with where nobody says otherwise.
pub(crate) fn defaults() -> String {
    file(DEFAULTS)
}

/// The named templates that the others include.
pub(crate) fn helpers() -> String {
    file(HELPERS)
}

/// Names and texts of the templates that make manifests, in the order of their names.
pub(crate) fn templates() -> Vec<(&'static str, &'static str)> {
    let templates = FILES.get_dir("templates").map(Dir::files).into_iter().flatten();
    let mut found: Vec<_> = templates
        .filter_map(|file| Some((file.path().file_name()?.to_str()?, file.contents_utf8()?)))
        .filter(|(name, _)| Path::new(name).extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    found.sort_unstable();
    found
}
