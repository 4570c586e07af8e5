//! kube-proxy's own configuration, as file (`KubeProxyConfiguration`) and as flags: what it means here.
//!
//! A cluster's kube-proxy `ConfigMap` and the arguments of its DaemonSet work as they are. Each field and flag has a row in
//! [`fields`]: it becomes a setting of ours, or is ignored for a reason that an operator is told where it was set to other
//! than its default. kube-proxy reads unknown fields leniently, and so they are ignored here too.

mod fields;
mod file;
mod flags;
mod given;
mod settings;

pub use flags::KubeProxyFlags;
pub use given::Ignored;

pub(super) use file::{is_kube_proxys, read};

#[cfg(test)]
mod tests;
