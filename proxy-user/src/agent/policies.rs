//! From events about objects to the tables of NetworkPolicy.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context as _;
use proxy_common::addr::Addr;
use proxy_common::tables::{Device, pod_network_flags};

use super::bindings::Bindings;
use crate::complaint::{Complaint, Reason};
use crate::config::{Config, UnknownPods};
use crate::dataplane::Serves;
use crate::model::{self, Change, Kind, Object, ObjectRef, Pod};
use crate::node::{DeviceInfo, Role};
use crate::objects::ObjectEvent;
use crate::plan::{PolicyImage, PolicyPlan, PolicyWrite};

/// What is known of the cluster's policies, and what the tables hold of them.
#[derive(Debug)]
pub struct Policies {
    model: model::Policies,
    plan: PolicyPlan,
    hold_unknown: bool,
    /// The NetworkPolicies there are.
    known: BTreeSet<ObjectRef>,
    bindings: Bindings,
    /// Those of `bindings` that the kernel has.
    bound: Bindings,
    /// The pods' interfaces, by index.
    interfaces: BTreeMap<u32, String>,
    /// The same, as rules were last made for them.
    ruled: BTreeMap<u32, String>,
    /// The source has told everything there was at the start.
    complete: bool,
    /// The tables are to be read and compared as a whole: at the start, and after the kernel took a plan in part.
    from_scratch: bool,
    state: State,
    refused: BTreeSet<String>,
    /// What is wrong with policies, for people; `None` when that may have changed since it was put together.
    errors: Option<Arc<[Complaint]>>,
}

/// Whether the tables are this agent's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// They are an earlier agent's, or nobody's.
    Found,
    /// They stay an earlier agent's: what a manifest or object that can't be read says isn't known, and it may be what
    /// isolates a pod, or what a selector depends on.
    Kept,
    /// They are brought to what this one knows.
    Ours,
}

impl Policies {
    /// Knows nothing yet, of the cluster nor of the tables.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let hold_unknown = config.unknown_pods == UnknownPods::Hold;
        Self {
            model: model::Policies::new(&config.node_name, config.policy_mode),
            plan: PolicyPlan::adopt(PolicyImage::default(), hold_unknown),
            hold_unknown,
            known: BTreeSet::new(),
            bindings: Bindings::default(),
            bound: Bindings::default(),
            interfaces: BTreeMap::new(),
            ruled: BTreeMap::new(),
            complete: false,
            from_scratch: true,
            state: State::Found,
            refused: BTreeSet::new(),
            errors: None,
        }
    }

    /// Takes over which pod an earlier agent knew behind which interface.
    pub(super) fn adopt(&mut self, devices: &BTreeMap<u32, Device>) {
        self.set_bindings(Bindings::adopt(devices));
        self.bound = self.bindings.clone();
    }

    fn set_bindings(&mut self, bindings: Bindings) {
        if bindings != self.bindings {
            self.model.set_interfaces(bindings.interfaces().clone());
            self.bindings = bindings;
        }
    }

    /// Takes events in; returns whether the tables may have to change for them.
    pub fn take(&mut self, events: &[ObjectEvent]) -> bool {
        let mut matters = false;
        for event in events {
            match event {
                ObjectEvent::Change(change) => {
                    self.note(change);
                    matters |= Self::matters(change);
                    self.model.apply(change);
                }
                ObjectEvent::Synced => self.complete = true,
                // What was kept may go on, or is to be told of.
                ObjectEvent::Problem(_) | ObjectEvent::Resolved(_) => matters |= self.state == State::Kept,
            }
        }
        self.errors.take_if(|_| matters);
        self.complete && matters
    }

    fn note(&mut self, change: &Change) {
        match change {
            Change::Apply(object @ Object::NetworkPolicy(_)) => drop(self.known.insert(object.object_ref())),
            Change::Delete(object) => drop(self.known.remove(object)),
            Change::Apply(_) => {}
        }
    }

    const fn matters(change: &Change) -> bool {
        match change {
            Change::Apply(object) => {
                matches!(object, Object::Pod(_) | Object::Namespace(_) | Object::Node(_) | Object::NetworkPolicy(_))
            }
            Change::Delete(object) => {
                matches!(object.kind, Kind::Pod | Kind::Namespace | Kind::Node | Kind::NetworkPolicy)
            }
        }
    }

    /// Finds the interfaces that the Pods of this node are behind now. What the programs check the source of packets by
    /// loses those that are over at once ([`Policies::bound`]), and gains the new ones with the next sync. Before the first
    /// full list nobody knows the Pods, and those of an earlier agent stay for as long as their interfaces.
    pub(super) fn bind<'a>(
        &mut self,
        pods: impl Iterator<Item = &'a Pod>,
        devices: &BTreeMap<u32, DeviceInfo>,
        hidden: bool,
    ) {
        let pods_ends = devices.iter().filter(|(_, device)| device.role == Role::Pod);
        self.interfaces = pods_ends.map(|(ifindex, device)| (*ifindex, device.name.clone())).collect();
        if !self.complete {
            self.bound = self.bound.retain(|_, ifindex| devices.contains_key(&ifindex));
            return;
        }
        let ips = pods.filter(|pod| !pod.host_network).flat_map(|pod| pod.ips.iter().copied()).collect();
        let bindings = self.bindings.update(&ips, devices);
        self.set_bindings(bindings);
        self.bound = if hidden && self.state != State::Ours {
            // Their Pods may be there.
            self.bound.retain(|_, ifindex| devices.contains_key(&ifindex))
        } else {
            self.bound.common(&self.bindings)
        };
    }

    /// The pods behind interfaces whose identities are in the kernel, so that the programs may hold them to their addresses.
    pub(super) const fn bound(&self) -> &Bindings {
        &self.bound
    }

    /// Brings the tables to what the objects ask for. Nothing is before the first full list; nor while what there was at the
    /// start can't all be read (`hidden`), if the tables have policies of an earlier agent: they stay in force as they are.
    ///
    /// # Errors
    /// Not all of it is in the kernel; the next sync reads the tables and compares all.
    pub fn sync(&mut self, dataplane: &mut impl Serves, hidden: bool) -> anyhow::Result<()> {
        if !self.complete {
            return Ok(());
        }
        let whole = self.from_scratch;
        if whole {
            let image = dataplane.maps().read_policy_image()?;
            let keep = self.state != State::Ours && hidden && has_policies(&image);
            self.plan = PolicyPlan::adopt(image, self.hold_unknown);
            self.enter(if keep { State::Kept } else { State::Ours });
            if keep {
                // Rules may not be there yet: what programs enforced goes on as it is, too.
                return self.enforce(dataplane, None);
            }
        }
        // Until the kernel has all of it.
        self.from_scratch = true;
        let writes = self.plan.update(&mut self.model);
        self.tell_refused();
        dataplane.maps_mut().apply_policy(&writes).context("the tables of NetworkPolicy")?;
        if whole || !writes.is_empty() || self.interfaces != self.ruled {
            self.enforce(dataplane, (!whole).then_some(&writes))?;
        }
        self.from_scratch = false;
        let identities = &self.plan.image().identities;
        let is_there = |ip: IpAddr, ifindex| identities.get(&Addr::from(ip)).is_some_and(|it| it.ifindex == ifindex);
        self.bound = self.bindings.retain(is_there);
        Ok(())
    }

    fn enforce(&mut self, dataplane: &mut impl Serves, writes: Option<&[PolicyWrite]>) -> anyhow::Result<()> {
        let done = dataplane.enforce_policies(self.plan.image(), writes, &self.interfaces);
        done.context("the rules of NetworkPolicy")?;
        self.ruled.clone_from(&self.interfaces);
        Ok(())
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            self.errors = None;
            if state == State::Kept {
                tracing::error!("{KEPT}");
            }
        }
        self.state = state;
    }

    fn tell_refused(&mut self) {
        let refused: BTreeSet<String> = self.plan.refused().collect();
        for new in refused.difference(&self.refused) {
            tracing::error!("{new}");
        }
        self.errors.take_if(|_| refused != self.refused);
        self.refused = refused;
    }

    /// The Pods that policy is about, of all nodes.
    pub(super) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.model.pods()
    }

    /// What the tables hold.
    pub(super) fn image(&self) -> &PolicyImage {
        self.plan.image()
    }

    /// NetworkPolicies there are.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// Whether the kernel judges by addresses that this one has found no interface for.
    pub(super) fn is_unbound(&self, pod: &Pod) -> bool {
        !pod.host_network && pod.ips.iter().any(|ip| !self.bindings.interfaces().contains_key(ip))
    }

    /// What is wrong with policies at present, for people; the same list, not only an equal one, while nothing changed.
    pub(super) fn errors(&mut self) -> Arc<[Complaint]> {
        let errors = self.errors.take().unwrap_or_else(|| self.list_errors());
        self.errors = Some(errors.clone());
        errors
    }

    fn list_errors(&self) -> Arc<[Complaint]> {
        let kept = (self.state == State::Kept).then(|| Complaint::about_here(Reason::StateKept, KEPT));
        let defects = self.model.defects();
        let defects = defects.map(|it| Complaint::about(it.object.clone(), Reason::InvalidPolicy, it));
        let refused = self.refused.iter().map(|text| Complaint::about_here(Reason::PolicyTableFull, text));
        kept.into_iter().chain(defects).chain(refused).collect()
    }
}

const KEPT: &str = "NetworkPolicies stay as an earlier agent enforced them, also for new Pods, until everything can be read: \
                    what can't be may be what isolates a Pod";

/// Whether somebody is isolated by what the tables hold, or would be held.
fn has_policies(image: &PolicyImage) -> bool {
    let flags = pod_network_flags::POLICED | pod_network_flags::HOLD_UNKNOWN;
    !image.names.is_empty() || image.pod_network.flags & flags != 0
}
