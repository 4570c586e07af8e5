//! The Helm chart of Sluice, and what renders it without Helm.
//!
//! The chart is the only place that says what runs in a cluster. `sluice install` and the manifests for kustomize are
//! renderings of it by this crate: Go's template language is a library's, and what Helm adds to it is the few functions
//! that the chart uses. So nothing can drift, and nobody needs a `helm` to build, test or install.

mod chart;
mod error;
mod functions;
mod render;
mod values;

pub use chart::{ALERTS, Chart, DASHBOARD, file};
pub use error::DeployError;
pub use render::{Manifest, Release};
pub use values::Values;
