//! From events about objects to the tables of Services.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Context as _;
use proxy_common::addr::Addr;
use proxy_common::tables::Address;

use crate::dataplane::ebpf::Dataplane;
use crate::model::{Change, Cluster, Kind, Pod, ServiceRef};
use crate::objects::{ObjectEvent, Problems};
use crate::plan::{Image, Limits, Plan, TableFull, Write};
use crate::serve::Metrics;

/// What is known of the cluster, and what the tables hold of it.
pub(super) struct Services {
    cluster: Cluster,
    plan: Plan,
    problems: Problems,
    /// Services that changed and are not in the tables yet.
    pending: BTreeSet<ServiceRef>,
    node_addresses: BTreeMap<Addr, Address>,
    /// The source has told everything there was at the start.
    complete: bool,
    /// The tables are to be read and compared as a whole: at the start, and after the kernel took a plan in part.
    from_scratch: bool,
    /// What was found in the tables and nobody has asked for since may still be there.
    leftovers: bool,
}

impl Services {
    /// Knows nothing yet, of the cluster nor of the tables.
    pub(super) fn new(node_name: &str) -> Self {
        Self {
            cluster: Cluster::new(node_name),
            plan: Plan::adopt(Image::default(), Limits::default()),
            problems: Problems::default(),
            pending: BTreeSet::new(),
            node_addresses: BTreeMap::new(),
            complete: false,
            from_scratch: true,
            leftovers: true,
        }
    }

    /// Takes events in; whether the tables are to be changed for them.
    pub(super) fn take(&mut self, events: Vec<ObjectEvent>, metrics: &Metrics) -> bool {
        for event in events {
            self.problems.record(&event);
            match event {
                ObjectEvent::Change(change) => {
                    count(&change, metrics);
                    self.pending.extend(self.cluster.apply(change));
                }
                ObjectEvent::Synced => self.complete = true,
                ObjectEvent::Problem(problem) => tracing::error!("{}", problem.error),
                ObjectEvent::Resolved(path) => tracing::info!(path = %path.display(), "usable again"),
            }
        }
        self.is_due()
    }

    /// The node's addresses are these now.
    pub(super) fn set_node_addresses(&mut self, addresses: BTreeMap<Addr, Address>) {
        self.node_addresses = addresses;
    }

    /// Nothing is before the first full list: what isn't known yet would look as if it were gone.
    fn is_due(&self) -> bool {
        self.complete
            && (self.from_scratch || self.node_changed() || !self.pending.is_empty() || self.may_clear_leftovers())
    }

    fn node_changed(&self) -> bool {
        *self.plan.node_addresses() != self.node_addresses
    }

    /// What a manifest that can't be read asks for isn't known, so nothing found in the tables is known to be a leftover.
    fn may_clear_leftovers(&self) -> bool {
        self.leftovers && !self.problems.hide_objects()
    }

    /// Brings the tables to what the objects ask for.
    pub(super) fn sync(&mut self, dataplane: &mut Dataplane, metrics: &Metrics) -> anyhow::Result<()> {
        if !self.is_due() {
            return Ok(());
        }
        let started = Instant::now();
        let done = self.write(dataplane);
        metrics.synced(started.elapsed(), done.is_ok());
        done
    }

    fn write(&mut self, dataplane: &mut Dataplane) -> anyhow::Result<()> {
        let whole = self.from_scratch;
        if whole {
            self.plan = Plan::adopt(dataplane.read_image()?, Limits::default());
            self.leftovers = true;
            self.pending.extend(self.cluster.services().map(|service| service.id.clone()));
        }
        // Until the kernel has all of it.
        self.from_scratch = true;
        let refused_before: BTreeSet<ServiceRef> = self.plan.refused().map(|refused| refused.service.clone()).collect();
        let services = std::mem::take(&mut self.pending).into_iter();
        let desired = services.map(|service| (service.clone(), self.cluster.service_ports(&service)));
        let mut writes = self.plan.set_node_addresses(self.node_addresses.clone());
        writes.extend(self.plan.update(&desired.collect()));
        if self.may_clear_leftovers() {
            writes.extend(self.plan.finish_first_sync());
            self.leftovers = false;
        }
        for refused in self.plan.refused().filter(|refused| !refused_before.contains(&refused.service)) {
            tracing::error!("{refused}");
        }
        if whole {
            // Whoever wrote last may have ended between taking an endpoint out and saying so.
            writes.push(Write::AdvanceEpoch);
        }
        dataplane.apply(&writes).context("the tables of Services")?;
        self.from_scratch = false;
        Ok(())
    }

    /// Services that are served.
    pub(super) fn count(&self) -> usize {
        self.cluster.services().filter(|service| service.is_served()).count()
    }

    /// The Pods of this node that run.
    pub(super) fn local_pods(&self) -> impl Iterator<Item = &Pod> {
        self.cluster.local_pods()
    }

    /// What the tables hold.
    pub(super) fn image(&self) -> &Image {
        self.plan.image()
    }

    /// The changes that a table has no room for.
    pub(super) fn refused(&self) -> impl Iterator<Item = &TableFull> {
        self.plan.refused()
    }

    /// What is wrong with objects at present, for people.
    pub(super) fn errors(&self) -> Vec<String> {
        let problems = self.problems.iter().map(|(_, error)| error.to_string());
        let conflicts = self.cluster.conflicts().map(|conflict| conflict.to_string());
        let refused = self.refused().map(ToString::to_string);
        problems.chain(conflicts).chain(refused).collect()
    }
}

fn count(change: &Change, metrics: &Metrics) {
    let kind = match change {
        Change::Apply(object) => object.object_ref().kind,
        Change::Delete(object) => object.kind,
    };
    match kind {
        Kind::Service => metrics.service_changed(),
        Kind::EndpointSlice | Kind::Endpoints => metrics.endpoints_changed(),
        Kind::Namespace | Kind::Node | Kind::Pod => {}
    }
}
