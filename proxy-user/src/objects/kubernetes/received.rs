//! An object as it comes from the API server: converted while it is read.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeSeed, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::kinds::Followed;
use crate::model::{Object, ObjectRef};
use crate::objects::{FieldError, convert};

/// An object of the kind `K`, reduced to what we use. What is wrong with it costs the object and not the list it is in.
#[derive(Debug)]
pub(super) struct Received<K> {
    /// Name, namespace and version; what else is needed is in `object`.
    metadata: ObjectMeta,
    object: Result<Object, Arc<FieldError>>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Followed> Received<K> {
    /// Which object it is, and the object, unless something is wrong with it.
    pub(super) fn into_parts(self) -> (ObjectRef, Result<Object, Arc<FieldError>>) {
        let Self { metadata, object, .. } = self;
        let namespace = metadata.namespace.unwrap_or_default();
        (ObjectRef { kind: K::KIND, namespace, name: metadata.name.unwrap_or_default() }, object)
    }
}

impl<'de, K: Followed> Deserialize<'de> for Received<K> {
    /// # Errors
    /// It isn't JSON, or nobody can tell which object it is.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = K::KEEP.deserialize(deserializer)?;
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).filter(|it| !it.is_empty());
        let name = text("/metadata/name").ok_or_else(|| D::Error::missing_field("metadata.name"))?;
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: text("/metadata/namespace").map(str::to_owned),
            resource_version: text("/metadata/resourceVersion").map(str::to_owned),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, object: convert::object(K::KIND, value).map_err(Arc::new), kind: PhantomData })
    }
}

// Not derived, which would ask it of `K` too.
impl<K> Clone for Received<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), object: self.object.clone(), kind: PhantomData }
    }
}

impl<K: Followed> Resource for Received<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn metadata_api() -> bool {
        K::METADATA_ONLY
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
