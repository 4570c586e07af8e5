//! Names.

use k8s_openapi::api::core::v1::Namespace as ApiNamespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::field::{self, FieldError, FieldProblem};
use crate::model::Namespace;

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

impl TryFrom<ApiNamespace> for Namespace {
    type Error = FieldError;

    fn try_from(object: ApiNamespace) -> Result<Self, FieldError> {
        let name = name(&object.metadata)?;
        field::label(&name, || "metadata.name".into())?;
        let mut labels = object.metadata.labels.unwrap_or_default();
        // The API server sees to this label.
        labels.insert("kubernetes.io/metadata.name".into(), name.clone());
        Ok(Self { name, labels })
    }
}
