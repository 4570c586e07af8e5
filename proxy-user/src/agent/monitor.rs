//! The agent's part of `sluice monitor`: starts it, and keeps the names of Pods while somebody listens.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::dataplane::ebpf::Dataplane;
use crate::dataplane::ebpf::read::Pinned;
use crate::explain::explain;
use crate::model::Pod;
use crate::monitor::{Listeners, NodeNames, Pods, Socket, read};
use crate::objects::ObjectEvent;
use crate::status::monitor_socket;

/// Most verdicts a second that the programs tell of, all CPUs together: naming each costs the agent some microseconds.
const PER_SECOND: u32 = 4_000;
/// But as many from each CPU, of however many.
const PER_SECOND_AND_CPU: u32 = 100;

/// What serves those who listen; nothing where that can't be had, which keeps nobody from being served otherwise.
pub(super) struct Monitor {
    running: Option<Running>,
}

struct Running {
    listeners: Arc<Listeners>,
    pods: Arc<Pods>,
    occupied: watch::Receiver<bool>,
    _socket: Socket,
}

impl Monitor {
    /// Lets listeners in.
    pub(super) fn start(bpffs: &Path, dataplane: &mut Dataplane) -> Self {
        let running = Running::start(bpffs, dataplane);
        let refused =
            |error: &anyhow::Error| tracing::warn!("`sluice monitor` is not served: {}", explain(error.as_ref()));
        Self { running: running.inspect_err(refused).ok() }
    }

    /// Lets nobody in: there are no programs that tell of packets.
    pub(super) const fn without_programs() -> Self {
        Self { running: None }
    }

    /// Waits until somebody begins to listen, or nobody does any more.
    pub(super) async fn changed(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        // The sender is in `listeners`, so it is there as long as this waits.
        if running.occupied.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Has the names of Pods while somebody listens, and only then.
    pub(super) fn refresh<'a>(&mut self, pods: impl Iterator<Item = &'a Pod>) {
        let Some(running) = &mut self.running else { return };
        if *running.occupied.borrow_and_update() {
            running.pods.fill(pods);
        } else {
            running.pods.clear();
        }
    }

    /// Follows changes of Pods.
    pub(super) fn note(&self, events: &[ObjectEvent]) {
        let Some(running) = &self.running else { return };
        for event in events {
            if let ObjectEvent::Change(change) = event {
                running.pods.apply(change);
            }
        }
    }
}

impl Running {
    fn start(bpffs: &Path, dataplane: &mut Dataplane) -> anyhow::Result<Self> {
        let (events, mut switch) = dataplane.events()?;
        let cpus = available_parallelism().map_or(1, NonZero::get) as u32;
        let listeners = Arc::new(Listeners::new((PER_SECOND / cpus).max(PER_SECOND_AND_CPU), move |listening| {
            if let Err(error) = switch.set(listening) {
                tracing::warn!("the kernel programs can't be told who listens: {}", explain(&error));
            }
        }));
        let pods = Arc::new(Pods::default());
        let names =
            NodeNames::new(Pinned::open(bpffs)?, pods.clone()).context("a socket to ask interfaces' names by")?;
        let path = monitor_socket(bpffs);
        let occupied = listeners.occupied();
        let socket =
            Socket::open(&path, listeners.clone(), pods.clone()).with_context(|| path.display().to_string())?;
        let reading = listeners.clone();
        tokio::spawn(async move {
            if let Err(error) = read(events, &reading, names).await {
                tracing::error!("`sluice monitor` has nothing to tell any more: {}", explain(&error));
                reading.close();
            }
        });
        Ok(Self { listeners, pods, occupied, _socket: socket })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.listeners.close();
    }
}
