//! Objects from the API server, by list and watch.
//!
//! Each kind is followed by a task of its own (`watch`), whose objects are reduced to what we use while they are read
//! (`received`, `keep`). What a watch says becomes events (`feed`); the events of all kinds that come together become
//! a batch (`batches`). How the server is doing is put together from all watches (`connection`).

mod batches;
mod client;
mod connection;
mod error;
mod feed;
mod keep;
mod kinds;
mod received;
mod recorder;
mod trouble;
mod watch;

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use connection::Connection;
pub use error::KubernetesError;
pub use recorder::Recorder;

use self::connection::Tracker;
use self::kinds::Followed;
use self::watch::{Context, follow};
use super::Batch;

/// What the watches have told and isn't in a batch yet.
const TOLD: usize = 1024;
/// Batches that may wait to be taken; while they do, further changes come together in one.
const QUEUE: usize = 4;

/// The API server as a source of objects, watched for as long as this lives.
pub struct KubernetesSource {
    client: Client,
    batches: mpsc::Receiver<Batch>,
    tracker: Arc<Tracker>,
    /// Ended with this.
    _tasks: JoinSet<()>,
}

impl KubernetesSource {
    /// Starts to list and watch. `kubeconfig` names who to ask and as whom; without it, the service account of the Pod
    /// that this runs in. Of Nodes only `node_name` is watched. The API server need not answer yet.
    ///
    /// # Errors
    /// Who to ask can't be told.
    pub async fn new(kubeconfig: Option<&Path>, node_name: &str) -> Result<Self, KubernetesError> {
        let config = client::config(kubeconfig).await?;
        let client = client::connect(&config)?;
        let tracker = Arc::new(Tracker::new(config.cluster_url.to_string().trim_end_matches('/').to_owned()));
        let (told, telling) = mpsc::channel(TOLD);
        let mut watches = Watches {
            context: Context { client: client.clone(), node_name: node_name.into(), tracker: tracker.clone(), told },
            tasks: JoinSet::new(),
        };
        watches.add::<Service>();
        watches.add::<EndpointSlice>();
        watches.add::<NetworkPolicy>();
        watches.add::<Namespace>();
        watches.add::<Pod>();
        watches.add::<Node>();
        let mut tasks = watches.tasks;
        let (outgoing, batches) = mpsc::channel(QUEUE);
        tasks.spawn(batches::gather(telling, outgoing, tasks.len()));
        Ok(Self { client, batches, tracker, _tasks: tasks })
    }

    /// The next changes; [`super::ObjectEvent::Synced`] comes once, after the first full list of every kind.
    /// May be dropped while it waits without losing any.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// How the API server is doing, now and whenever that changes.
    #[must_use]
    pub fn connection(&self) -> tokio::sync::watch::Receiver<Connection> {
        self.tracker.subscribe()
    }

    /// For other things to ask of the API server.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

impl std::fmt::Debug for KubernetesSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesSource")
            .field("connection", &self.tracker.subscribe().borrow())
            .finish_non_exhaustive()
    }
}

/// The tasks that follow a kind each.
struct Watches {
    context: Context,
    tasks: JoinSet<()>,
}

impl Watches {
    fn add<K: Followed>(&mut self) {
        self.context.tracker.wait_for(K::KIND);
        self.tasks.spawn(follow::<K>(self.context.clone()));
    }
}
