//! Why the API server can't be asked.

use std::path::PathBuf;

/// Who to ask can't be told.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// The file named by `--kubeconfig` can't be used.
    #[error("kubeconfig {}: {source}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// No service account is mounted here.
    #[error("no service account of a Pod: {0}; outside a cluster, give --kubeconfig or --manifests")]
    InCluster(#[from] Box<kube::config::InClusterError>),
    /// The kubeconfig, or the environment, asks for a proxy.
    #[error("the API server is to be asked through the proxy {0}, which is not supported: unset proxy-url")]
    Proxy(String),
    /// The client can't be made of it: a bad certificate, say.
    #[error("cannot make a client of the API server: {0}")]
    Client(#[from] Box<kube::Error>),
}
