//! From events about objects to the tables of Services.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Context as _;

use crate::dataplane::ebpf::Dataplane;
use crate::model::{Cluster, ServiceRef};
use crate::objects::{ObjectEvent, Problems};
use crate::plan::{Image, Limits, Plan};
use crate::serve::Metrics;

/// What is known of the cluster, and what the tables hold of it.
pub(super) struct Services {
    cluster: Cluster,
    plan: Plan,
    problems: Problems,
    /// Services that changed and are not in the tables yet.
    pending: BTreeSet<ServiceRef>,
    /// The source has told everything there was at the start.
    complete: bool,
    /// Nothing was planned yet, or the kernel took a plan in part: the tables are to be compared as a whole.
    from_scratch: bool,
}

impl Services {
    /// Begins with what the tables hold.
    pub(super) fn new(node_name: &str, image: Image) -> Self {
        Self {
            cluster: Cluster::new(node_name),
            plan: Plan::adopt(image, Limits::default()),
            problems: Problems::default(),
            pending: BTreeSet::new(),
            complete: false,
            from_scratch: true,
        }
    }

    /// Takes events in; whether the tables are to be changed for them.
    pub(super) fn take(&mut self, events: Vec<ObjectEvent>) -> bool {
        for event in events {
            self.problems.record(&event);
            match event {
                ObjectEvent::Change(change) => self.pending.extend(self.cluster.apply(change)),
                ObjectEvent::Synced => self.complete = true,
                ObjectEvent::Problem(problem) => tracing::error!("{}", problem.error),
                ObjectEvent::Resolved(path) => tracing::info!(path = %path.display(), "usable again"),
            }
        }
        self.complete && !self.pending.is_empty()
    }

    /// Brings the tables to what the objects ask for. Nothing before the first full list: what isn't known yet would
    /// look as if it were gone.
    pub(super) fn sync(&mut self, dataplane: &mut Dataplane, metrics: &Metrics) -> anyhow::Result<()> {
        if !self.complete || (self.pending.is_empty() && !self.from_scratch) {
            return Ok(());
        }
        let started = Instant::now();
        let done = self.write(dataplane);
        metrics.synced(started.elapsed(), done.is_ok());
        done
    }

    fn write(&mut self, dataplane: &mut Dataplane) -> anyhow::Result<()> {
        let changed = std::mem::take(&mut self.pending);
        let services: BTreeSet<ServiceRef> = if self.from_scratch {
            self.cluster.services().map(|service| service.id.clone()).collect()
        } else {
            changed
        };
        let desired = services.into_iter().map(|service| (service.clone(), self.cluster.service_ports(&service)));
        let mut writes = self.plan.update(&desired.collect());
        if self.from_scratch {
            writes.extend(self.plan.finish_first_sync());
        }
        for refused in self.plan.refused() {
            tracing::error!("{refused}");
        }
        if let Err(error) = dataplane.apply(&writes) {
            self.plan = Plan::adopt(dataplane.read_image()?, Limits::default());
            self.from_scratch = true;
            return Err(error).context("the tables of Services");
        }
        self.from_scratch = false;
        Ok(())
    }

    /// Services that are served.
    pub(super) fn count(&self) -> usize {
        self.cluster.services().count()
    }

    /// What the tables hold.
    pub(super) fn image(&self) -> &Image {
        self.plan.image()
    }

    /// What is wrong with objects at present, for people.
    pub(super) fn errors(&self) -> Vec<String> {
        let problems = self.problems.iter().map(|(_, error)| error.to_string());
        let conflicts = self.cluster.conflicts().map(|conflict| conflict.to_string());
        let refused = self.plan.refused().map(ToString::to_string);
        problems.chain(conflicts).chain(refused).collect()
    }
}
