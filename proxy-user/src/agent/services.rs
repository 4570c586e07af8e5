//! From events about objects to the tables of Services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use proxy_common::addr::{Addr, Family};
use proxy_common::tables::Address;

use super::latency::{Latency, Trigger};
use super::told::Told;
use crate::complaint::{Complaint, Reason};
use crate::config::Config;
use crate::dataplane::Serves;
use crate::dataplane::ebpf::Maps;
use crate::dataplane::iptables;
use crate::model::{Change, Cluster, Eligible, Kind, NodePortAddresses, Object, Pod, ServiceRef};
use crate::objects::{ObjectEvent, Place, Problems};
use crate::plan::{Image, Limits, NodePorts, Plan, TableFull, Write};
use crate::serve::Metrics;

/// Where node ports are served.
fn node_ports(config: &Config) -> NodePorts {
    NodePorts { addresses: config.node_port_addresses.clone(), localhost: config.localhost_node_ports }
}

/// What is known of the cluster, and what the tables hold of it.
#[derive(Debug)]
pub struct Services {
    cluster: Cluster,
    plan: Plan,
    problems: Problems,
    /// Services that changed and are not in the tables yet.
    pending: BTreeSet<ServiceRef>,
    node_ports: NodePorts,
    /// The addresses that the node's interfaces have.
    interfaces: BTreeSet<IpAddr>,
    /// The addresses of type `InternalIP` that its Node object has.
    internal_ips: Vec<IpAddr>,
    /// What the node's addresses are to the programs.
    node_addresses: BTreeMap<Addr, Address>,
    /// The node as rules were last made for it.
    ruled: iptables::Node,
    /// Services that were last written, or tried to be, and that the kernel isn't known to have yet.
    written: BTreeSet<ServiceRef>,
    told: Told,
    latency: Latency,
    /// The source has told everything there was at the start.
    complete: bool,
    /// The tables are to be read and compared as a whole: at the start, and after the kernel took a plan in part.
    from_scratch: bool,
    /// What was found in the tables and nobody has asked for since hasn't been looked through.
    leftovers: bool,
    /// What is wrong with objects, for people; `None` when that may have changed since it was put together.
    errors: Option<Arc<[Complaint]>>,
}

impl Services {
    /// Knows nothing yet, of the cluster nor of the tables; `node_name` is the Node whose endpoints are local.
    #[must_use]
    pub fn new(node_name: &str) -> Self {
        Self {
            cluster: Cluster::new(node_name),
            plan: Plan::adopt(Image::default(), Limits::default()),
            problems: Problems::default(),
            pending: BTreeSet::new(),
            node_ports: NodePorts { addresses: NodePortAddresses::All, localhost: true },
            interfaces: BTreeSet::new(),
            internal_ips: Vec::new(),
            ruled: iptables::Node::default(),
            written: BTreeSet::new(),
            told: Told::default(),
            latency: Latency::new(),
            node_addresses: BTreeMap::new(),
            complete: false,
            from_scratch: true,
            leftovers: true,
            errors: None,
        }
    }

    /// Serves what `config` has served; everything, without it. To be said before the first event.
    pub(super) fn with_config(self, config: &Config) -> Self {
        let cluster = self.cluster.with_external_ips(config.allow_service_external_ips);
        let cluster = cluster.with_endpoints_from_pods(!config.objects.is_api_server());
        Self { cluster, node_ports: node_ports(config), ..self }
    }

    /// Serves what `config` has served from the next sync on.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.node_ports = node_ports(config);
        self.note_node_addresses();
        self.pending.extend(self.cluster.set_external_ips(config.allow_service_external_ips));
        self.errors = None;
    }

    /// Takes events in; returns whether the tables are to be changed for them.
    pub fn take(&mut self, events: Vec<ObjectEvent>, metrics: &Metrics) -> bool {
        for event in events {
            self.problems.record(&event);
            self.errors.take_if(|_| can_alter_errors(&event));
            match event {
                ObjectEvent::Change(change) => {
                    count(&change, metrics);
                    let trigger = Trigger::from(&change);
                    let affected = self.cluster.apply(change);
                    self.latency.changed(trigger, &affected);
                    self.pending.extend(affected);
                }
                ObjectEvent::Synced => self.complete = true,
                ObjectEvent::Problem(problem) => tracing::error!("{}", problem.error),
                ObjectEvent::Resolved(place) => tracing::info!(%place, "usable again"),
            }
        }
        if self.internal_ips != self.cluster.internal_ips() {
            self.note_node_addresses();
        }
        self.is_due()
    }

    /// The node's interfaces have these addresses now, loopback left out.
    pub(super) fn set_node_addresses(&mut self, interfaces: &BTreeSet<IpAddr>) {
        if self.interfaces != *interfaces || self.node_addresses.is_empty() {
            self.interfaces.clone_from(interfaces);
            self.pending.extend(self.cluster.set_node_addresses(interfaces));
            self.note_node_addresses();
        }
    }

    fn note_node_addresses(&mut self) {
        self.internal_ips = self.cluster.internal_ips().to_vec();
        self.node_addresses = self.node_ports.entries(&self.interfaces, &self.internal_ips);
    }

    /// Whether all objects that there were at the start are known.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Nothing is before the first full list: what isn't known yet would look as if it were gone.
    fn is_due(&self) -> bool {
        self.complete
            && (self.from_scratch || self.node_changed() || !self.pending.is_empty() || self.may_clear_leftovers())
    }

    fn node_changed(&self) -> bool {
        *self.plan.node_addresses() != self.node_addresses || self.ruled != self.rules_node()
    }

    /// The node as rules are to be made for it.
    fn rules_node(&self) -> iptables::Node {
        let node = self.cluster.node(self.cluster.node_name());
        iptables::Node { pod_cidrs: node.map(|node| node.pod_cidrs.clone()).unwrap_or_default() }
    }

    /// What a manifest that can't be read asks for isn't known, so nothing found in the tables is known to be a leftover.
    fn may_clear_leftovers(&self) -> bool {
        let is_leftover = |service| !self.problems.may_hide(service);
        !self.problems.hide_services() && (self.leftovers || self.plan.unconfirmed().any(is_leftover))
    }

    /// Brings the tables to what the objects ask for.
    ///
    /// # Errors
    /// Not all of it is in the kernel; the next sync reads the tables and compares all.
    pub fn sync(&mut self, dataplane: &mut impl Serves, metrics: &Metrics) -> anyhow::Result<()> {
        if !self.is_due() {
            return Ok(());
        }
        let started = Instant::now();
        let done = self.write(dataplane);
        metrics.synced(started.elapsed(), done.is_ok());
        if done.is_ok() {
            self.confirm(metrics);
        }
        done
    }

    /// The kernel has all that was written. A Service that a table has no room for is served as it was before, so that is
    /// what is told of it: no load balancer is sent to a node that doesn't know the Service.
    fn confirm(&mut self, metrics: &Metrics) {
        let refused: BTreeSet<&ServiceRef> = self.plan.refused().map(|refused| &refused.service).collect();
        for service in std::mem::take(&mut self.written).iter().filter(|service| !refused.contains(service)) {
            self.told.update(&self.cluster, service);
        }
        self.latency.applied(metrics);
    }

    fn write(&mut self, dataplane: &mut impl Serves) -> anyhow::Result<()> {
        let node = self.rules_node();
        let whole = self.from_scratch || node != self.ruled;
        let writes = self.writes(dataplane.maps())?;
        self.carry_out(dataplane.maps_mut(), &writes)?;
        // Until the rules are those of the tables.
        self.from_scratch = true;
        let writes = (!whole).then_some(&writes[..]);
        dataplane.serve_services(self.plan.image(), writes, &node).context("the rules of Services")?;
        self.ruled = node;
        self.from_scratch = false;
        Ok(())
    }

    /// First half of a sync: what leads the tables to what the objects ask for.
    ///
    /// # Errors
    /// The tables are to be read and can't be.
    pub fn writes(&mut self, maps: &Maps) -> anyhow::Result<Vec<Write>> {
        let whole = self.from_scratch;
        if whole {
            self.plan = Plan::adopt(maps.read_image()?, Limits::default());
            self.leftovers = true;
            self.pending.extend(self.cluster.services().map(|service| service.id.clone()));
            // Those that went at the attempt that failed are no leftovers of which nobody knows.
            self.pending.append(&mut self.written);
        }
        // Until the kernel has all of it.
        self.from_scratch = true;
        let refused_before: BTreeSet<ServiceRef> = self.plan.refused().map(|refused| refused.service.clone()).collect();
        self.written.extend(self.pending.iter().chain(&refused_before).cloned());
        let services = std::mem::take(&mut self.pending).into_iter();
        let desired = services.map(|service| (service.clone(), self.cluster.service_ports(&service)));
        self.errors.take_if(|_| !refused_before.is_empty());
        let mut writes = self.plan.set_node_addresses(self.node_addresses.clone());
        writes.extend(self.plan.update(&desired.collect()));
        if self.may_clear_leftovers() {
            writes.extend(self.plan.finish_first_sync(|service| self.problems.may_hide(service)));
            self.leftovers = false;
        }
        for refused in self.plan.refused().filter(|refused| !refused_before.contains(&refused.service)) {
            tracing::error!("{refused}");
        }
        self.errors.take_if(|_| self.plan.refused().next().is_some());
        if whole {
            // Whoever wrote last may have ended between taking an endpoint out and saying so.
            writes.push(Write::AdvanceEpoch);
        }
        Ok(writes)
    }

    /// Second half: has the kernel take them.
    ///
    /// # Errors
    /// The kernel refused one; the next sync reads the tables and compares all.
    pub fn carry_out(&mut self, maps: &mut Maps, writes: &[Write]) -> anyhow::Result<()> {
        maps.apply(writes).context("the tables of Services")?;
        self.from_scratch = false;
        Ok(())
    }

    /// What is told of Services that the kernel has.
    pub(super) const fn told(&self) -> &Told {
        &self.told
    }

    /// What is known of the cluster.
    pub(super) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Services that are served.
    pub(super) fn count(&self) -> usize {
        self.cluster.services().filter(|service| service.is_served()).count()
    }

    /// The Pods of this node that run.
    pub(super) fn local_pods(&self) -> impl Iterator<Item = &Pod> {
        self.cluster.local_pods()
    }

    /// Whether something that policies depend on isn't known.
    pub(super) fn policies_are_hidden(&self) -> bool {
        self.problems.hide_policies()
    }

    /// What the tables hold.
    pub(super) fn image(&self) -> &Image {
        self.plan.image()
    }

    /// The changes that a table has no room for.
    pub(super) fn refused(&self) -> impl Iterator<Item = &TableFull> {
        self.plan.refused()
    }

    /// What is wrong with objects at present, for people; the same list, not only an equal one, while nothing changed.
    pub(super) fn errors(&mut self) -> Arc<[Complaint]> {
        let errors = self.errors.take().unwrap_or_else(|| self.list_errors());
        self.errors = Some(errors.clone());
        errors
    }

    fn list_errors(&self) -> Arc<[Complaint]> {
        let problems = self.problems.iter().map(|(place, error)| match place {
            Place::Object(object) => Complaint::about(object.clone(), Reason::InvalidObject, error),
            Place::File(_) => Complaint::about_here(Reason::InvalidObject, error),
        });
        let conflicts = self.cluster.conflicts();
        let conflicts = conflicts.map(|it| Complaint::about_service(&it.loser, Reason::FrontendConflict, &it));
        let remarks = self.cluster.remarks();
        let remarks = remarks.map(|it| Complaint::about_service(it.service(), Reason::PartlyServed, it));
        let refused = self.plan.refused();
        let refused = refused.map(|it| Complaint::about_service(&it.service, Reason::TableFull, it));
        let kept = self.plan.unconfirmed().map(|service| {
            let text = format!(
                "Service {service}: an earlier agent served it, and no object asks for it; it stays until what \
                 may ask for it can be used"
            );
            Complaint::about_here(Reason::StateKept, text)
        });
        problems.chain(conflicts).chain(remarks).chain(refused).chain(kept).chain(self.unserved_node_ports()).collect()
    }

    /// Families that have node ports and no address to serve them on, because it isn't known.
    fn unserved_node_ports(&self) -> impl Iterator<Item = Complaint> {
        let families = [(Family::V4, "IPv4"), (Family::V6, "IPv6")].into_iter();
        let unknown = families.filter(|(of, _)| {
            let eligible = self.node_ports.eligible(*of, self.cluster.internal_ips());
            eligible == Eligible::Unknown && self.plan.has_node_ports(*of)
        });
        unknown.map(|(_, family)| {
            let text = format!(
                "Node {}: status.addresses: no InternalIP of {family}, so with --nodeport-addresses primary no node port of \
                 that family is served; add the address, or give ranges",
                self.cluster.node_name()
            );
            Complaint::about_here(Reason::NodePortsNotServed, text)
        })
    }
}

/// Conflicts come of Services, remarks also of Nodes and of whether there are slices. What has no room is known after the
/// plan only.
const fn can_alter_errors(event: &ObjectEvent) -> bool {
    match event {
        ObjectEvent::Change(Change::Apply(object)) => {
            matches!(object, Object::Service(_) | Object::Node(_) | Object::EndpointSlice(_))
        }
        ObjectEvent::Change(Change::Delete(object)) => {
            matches!(object.kind, Kind::Service | Kind::Node | Kind::EndpointSlice)
        }
        ObjectEvent::Problem(_) | ObjectEvent::Resolved(_) => true,
        ObjectEvent::Synced => false,
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
        Kind::Namespace | Kind::NetworkPolicy | Kind::Node | Kind::Pod => {}
    }
}
