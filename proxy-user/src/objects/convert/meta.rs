//! Names and annotations.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace as ApiNamespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::defects::Defects;
use super::field::{self, FieldError, FieldProblem};
use crate::model::Namespace;

/// Annotation of a NetworkPolicy, or of the Namespace of many.
const POLICY_MODE: &str = "sluice.io/policy-mode";

/// Name of an object.
pub(super) fn name(meta: &ObjectMeta) -> Result<String, FieldError> {
    let name = meta.name.clone().filter(|name| !name.is_empty());
    name.ok_or_else(|| FieldProblem::Missing.at("metadata.name"))
}

/// Namespace of an object: `default` where none is given.
pub(super) fn namespace(meta: &ObjectMeta) -> Result<String, FieldError> {
    let namespace = meta.namespace.clone().filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    field::label(&namespace, || "metadata.namespace".into())?;
    Ok(namespace)
}

/// Whether an object asks that policies be audited only. What isn't understood doesn't, and is a defect.
pub(super) fn is_audited(annotations: &BTreeMap<String, String>, defects: &mut Defects) -> bool {
    match annotations.get(POLICY_MODE).map(String::as_str) {
        None | Some("enforce") => false,
        Some("audit") => true,
        Some(value) => {
            let problem = FieldProblem::Unknown { value: value.to_owned(), expected: "audit, enforce" };
            defects.note(&problem.at(format!("metadata.annotations[\"{POLICY_MODE}\"]")));
            false
        }
    }
}

impl TryFrom<ApiNamespace> for Namespace {
    type Error = FieldError;

    fn try_from(object: ApiNamespace) -> Result<Self, FieldError> {
        let name = name(&object.metadata)?;
        field::label(&name, || "metadata.name".into())?;
        let ObjectMeta { labels, annotations, .. } = object.metadata;
        let mut labels = labels.unwrap_or_default();
        // The API server sees to this label.
        labels.insert("kubernetes.io/metadata.name".into(), name.clone());
        let mut defects = Defects::default();
        let audit = annotations.as_ref().is_some_and(|it| is_audited(it, &mut defects));
        Ok(Self { name, labels, audit, defects: defects.into_texts() })
    }
}
