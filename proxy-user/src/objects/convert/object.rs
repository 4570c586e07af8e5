//! From an object's fields to the object.

use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ApiNetworkPolicy;
use super::field::{FieldError, FieldProblem};
use crate::model::{Kind, Object};

/// The object of `kind` that has the fields of `value`, whatever `apiVersion` and `kind` these say.
///
/// # Errors
/// A field that the model can't do without can't be used.
pub(in crate::objects) fn object(kind: Kind, value: Value) -> Result<Object, FieldError> {
    Ok(match kind {
        Kind::Namespace => Object::Namespace(typed::<core::Namespace>(value)?.try_into()?),
        Kind::Node => Object::Node(typed::<core::Node>(value)?.try_into()?),
        Kind::Pod => Object::Pod(typed::<core::Pod>(value)?.try_into()?),
        Kind::Service => Object::Service(typed::<core::Service>(value)?.try_into()?),
        Kind::Endpoints => Object::Endpoints(typed::<core::Endpoints>(value)?.try_into()?),
        Kind::EndpointSlice => Object::EndpointSlice(typed::<discovery::EndpointSlice>(value)?.try_into()?),
        Kind::NetworkPolicy => Object::NetworkPolicy(typed::<ApiNetworkPolicy>(value)?.try_into()?),
    })
}

/// A value of the API's type `T`. To keep track of where in it one is costs as much as to read it, so that is done only for
/// the one that can't be read.
pub(in crate::objects) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, FieldError> {
    T::deserialize(&value).or_else(|_| {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let field = error.path().to_string();
            FieldProblem::Type(error.into_inner()).at(field)
        })
    })
}
