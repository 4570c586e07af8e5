//! Objects from the API server, by list and watch.

mod client;
mod connection;
mod error;

use std::path::Path;

use kube::Client;
use tokio::sync::{mpsc, watch};

pub use connection::Connection;
pub use error::KubernetesError;

use super::Batch;

/// The API server as a source of objects, watched for as long as this lives.
pub struct KubernetesSource {
    client: Client,
    batches: mpsc::Receiver<Batch>,
    connection: watch::Receiver<Connection>,
}

impl KubernetesSource {
    /// Starts to list and watch. `kubeconfig` names who to ask and as whom; without it, the service account of the Pod
    /// that this runs in. Of Nodes only `node_name` is watched. The API server need not answer yet.
    ///
    /// # Errors
    /// Who to ask can't be told.
    pub async fn new(kubeconfig: Option<&Path>, _node_name: &str) -> Result<Self, KubernetesError> {
        let client = client::connect(kubeconfig).await?;
        let (_, batches) = mpsc::channel(1);
        let (_, connection) = watch::channel(Connection::default());
        Ok(Self { client, batches, connection })
    }

    /// The next changes; [`super::ObjectEvent::Synced`] comes once, after the first full list of every kind.
    /// May be dropped while it waits without losing any.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// How the API server is doing, now and whenever that changes.
    #[must_use]
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// For other things to ask of the API server.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

impl std::fmt::Debug for KubernetesSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesSource").field("connection", &self.connection).finish_non_exhaustive()
    }
}
