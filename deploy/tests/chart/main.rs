//! The chart: what it makes, beside Kubernetes' types, Helm, and its own schema.

mod helm;
mod manifests;
mod support;
mod values;
