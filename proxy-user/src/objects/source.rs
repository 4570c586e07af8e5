//! Where an agent gets its objects from: one of the sources, with one face.

use super::Batch;
use super::kubernetes::KubernetesSource;
use super::manifest::ManifestSource;

/// What an agent's objects come from.
#[derive(Debug)]
pub enum Source {
    /// A directory of manifests.
    Manifests(ManifestSource),
    /// The API server.
    Kubernetes(KubernetesSource),
}

impl Source {
    /// The next changes, together those of one moment; `None` only after the source has ended for good. May be dropped
    /// while it waits without losing any.
    pub async fn next(&mut self) -> Option<Batch> {
        match self {
            Self::Manifests(source) => source.next().await,
            Self::Kubernetes(source) => source.next().await,
        }
    }
}
