//! The manifests that the chart makes.

use gotmpl::{Template, TemplateError, Value, to_value};
use serde::Serialize;

use crate::chart::{self, Chart};
use crate::functions::{functions, include};
use crate::{DeployError, Values};

/// Where manifests are for, and who made them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Release {
    /// What the objects are called.
    pub name: String,
    /// Where those are that have a namespace.
    pub namespace: String,
    /// Who looks after the objects (`app.kubernetes.io/managed-by`).
    pub service: String,
}

/// An object, as a template made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// File name of the template.
    pub template: &'static str,
    /// YAML, with its comments; ends with a line end.
    pub text: String,
}

impl Release {
    /// What the chart makes for this release, in the order in which the objects can be made: what others need first.
    pub fn render(&self, values: &Values) -> Result<Vec<Manifest>, DeployError> {
        let data = self.data(values)?;
        let mut manifests = Vec::new();
        for (template, source) in chart::templates() {
            let text = execute(template, source, &data)
                .map_err(|source| DeployError::Template { template: format!("templates/{template}"), source })?;
            // A template whose object isn't wanted makes white space.
            if !text.trim().is_empty() {
                manifests.push(Manifest { template, text: text.trim().to_owned() + "\n" });
            }
        }
        manifests.sort_by_key(|manifest| rank(manifest.template));
        Ok(manifests)
    }

    /// What templates call the dot.
    fn data(&self, values: &Values) -> Result<Value, DeployError> {
        let fail = |source| DeployError::Template { template: "values".to_owned(), source };
        let chart = Chart::embedded()?;
        let chart = [("Name", chart.name), ("Version", chart.version), ("AppVersion", chart.app_version)];
        let chart = chart.map(|(name, value)| (name.to_owned(), Value::String(value.into())));
        Ok(Value::from_entries([
            ("Chart".to_owned(), Value::from_entries(chart)),
            ("Release".to_owned(), to_value(self).map_err(fail)?),
            ("Values".to_owned(), to_value(values.as_json()).map_err(fail)?),
        ]))
    }
}

fn execute(name: &str, source: &str, data: &Value) -> Result<String, TemplateError> {
    let helpers = Template::new("_helpers.tpl").funcs(functions()).parse(&chart::helpers())?;
    let template = Template::new(name).funcs(functions()).func("include", include(helpers));
    // The library has no methods, and this is the only one that the chart calls.
    template.parse(&source.replace(".Files.Get", "file"))?.execute_to_string(data)
}

/// The namespace before what is in it, and the Pods last.
fn rank(template: &str) -> u8 {
    match template {
        "namespace.yaml" => 0,
        "daemonset.yaml" => 2,
        _ => 1,
    }
}
