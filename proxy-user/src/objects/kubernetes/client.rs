//! Who to ask, and as whom.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::KubernetesError;

/// A client by a kubeconfig's current context, else by the service account of the Pod that this runs in, whose token is
/// read again as it is rotated.
pub(super) async fn connect(kubeconfig: Option<&Path>) -> Result<Client, KubernetesError> {
    let config = match kubeconfig {
        None => Config::incluster().map_err(Box::new)?,
        Some(path) => {
            let fail = |source| KubernetesError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
            let kubeconfig = Kubeconfig::read_from(path).map_err(fail)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(fail)?
        }
    };
    Client::try_from(config).map_err(|error| Box::new(error).into())
}
