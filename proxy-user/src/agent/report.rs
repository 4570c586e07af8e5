//! What the agent tells about itself: the status file and the metrics that are read off tables.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use proxy_common::addr::{Addr, Family};
use proxy_common::tables::{
    ADDRESSES, BACKENDS, BLOCKS, DEVICES, IDENTITIES, MEMBERS, POLICY_NAMES, RULES, SERVICE_NAMES, SERVICES,
    SET_POLICIES, SOURCE_RANGES, pod_network_flags,
};

use super::policies::Policies;
use super::services::Services;
use crate::complaint::{Complaint, Reason};
use crate::config::Config;
use crate::dataplane::Fill;
use crate::dataplane::ebpf::Maps;
use crate::explain::explain;
use crate::model::Pod;
use crate::node::{NodeState, Role};
use crate::objects::kubernetes::{Connection, Recorder};
use crate::plan::PolicyImage;
use crate::serve::{Failures, Metrics};
use crate::status::{AgentStatus, DeviceStatus, HeldStatus, PodStatus, PolicyStatus, Publisher, StatusError};

/// The status as it was last written.
pub(super) struct Report {
    publisher: Publisher,
    status: AgentStatus,
    /// As [`Services::errors`], [`Policies::errors`] and the failures were when `status` was made.
    errors: ([Arc<[Complaint]>; 2], Vec<Complaint>),
    /// Where objects come from an API server, which is to hear of it.
    recorder: Option<Recorder>,
    writes: u64,
    /// `status` has what isn't written.
    is_old: bool,
}

/// What was tried and failed.
#[derive(Clone, Copy)]
pub(super) struct Failed<'a> {
    /// What the kernel doesn't have.
    pub(super) kernel: &'a [String],
    /// Where the servers don't listen.
    pub(super) servers: &'a Failures,
}

impl Report {
    /// Takes the hold on the `--bpffs` directory that one agent can have at a time, and puts the status of an agent that
    /// starts in the place of an earlier one's.
    pub(super) fn open(config: &Config) -> Result<Self, StatusError> {
        let (publisher, status) = (Publisher::open(&config.bpffs)?, AgentStatus::new(config));
        publisher.publish(&status)?;
        Ok(Self { publisher, status, errors: Default::default(), recorder: None, writes: 0, is_old: true })
    }

    /// From now on `recorder` is told of what is wrong.
    pub(super) fn set_recorder(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// The first full state is in the kernel.
    pub(super) fn set_ready(&mut self) {
        self.status.ready = true;
        self.is_old = true;
    }

    /// How the API server is doing.
    pub(super) fn set_api_server(&mut self, connection: &Connection, metrics: &Metrics) {
        metrics.set_api_server(connection);
        if self.status.api_server.as_ref() != Some(connection) {
            self.status.api_server = Some(connection.clone());
            self.is_old = true;
        }
    }

    /// This of the configuration is not in force, and why.
    pub(super) fn not_in_force(&mut self, settings: Vec<String>) {
        self.is_old |= self.status.not_in_force != settings;
        self.status.not_in_force = settings;
    }

    /// So many connections of another proxy are alive.
    pub(super) fn taking_over(&mut self, connections: u64) {
        self.is_old |= self.status.taking_over != connections;
        self.status.taking_over = connections;
    }

    /// Brings status and metrics up to date, at no cost that grows with the cluster.
    pub(super) fn publish(
        &mut self,
        services: &mut Services,
        policies: &mut Policies,
        node: &NodeState,
        maps: &Maps,
        metrics: &Metrics,
        Failed { kernel, servers }: Failed<'_>,
    ) {
        let wrote = maps.writes() != self.writes || self.status.last_synced_at.is_none();
        let synced = self.status.ready && wrote && kernel.is_empty();
        let errors = [services.errors(), policies.errors()];
        metrics.manifest_errors.set(errors.iter().map(|errors| errors.len()).sum::<usize>().cast_signed() as i64);
        let kernel = kernel.iter().map(|text| Complaint::about_here(Reason::FailedToSync, text));
        let failures: Vec<Complaint> = kernel.chain(servers.list()).collect();
        metrics.refused_services.set(services.refused().count().cast_signed() as i64);
        let mut is_old = std::mem::take(&mut self.is_old);
        let is_same = |(new, old): (&Arc<[Complaint]>, &Arc<[Complaint]>)| Arc::ptr_eq(new, old);
        if !errors.iter().zip(&self.errors.0).all(is_same) || failures != self.errors.1 {
            let complaints = || errors.iter().flat_map(|errors| &**errors).chain(&failures);
            self.status.errors = complaints().map(ToString::to_string).collect();
            if let Some(recorder) = &self.recorder {
                recorder.complain(complaints().cloned().collect());
            }
            self.errors = (errors, failures);
            is_old = true;
        }
        let [devices, other_devices] = [true, false].map(|served| devices(node, served));
        if devices != self.status.devices || other_devices != self.status.other_devices {
            self.status.devices = devices;
            self.status.other_devices = other_devices;
            is_old = true;
        }
        let pods: Vec<_> = services.local_pods().map(pod).collect();
        if pods != self.status.pods {
            self.status.pods = pods;
            is_old = true;
        }
        let policy = policy_status(policies, services, node);
        metrics.set_policies(&policy);
        if policy != self.status.policy {
            self.status.policy = policy;
            is_old = true;
        }
        if synced {
            self.status.last_synced_at = Some(Timestamp::now());
            is_old = true;
        }
        if is_old && let Err(error) = self.publisher.publish(&self.status) {
            tracing::warn!("the status is not written: {}", explain(&error));
        }
        metrics.map_writes.inc_by(maps.writes() - self.writes);
        self.writes = maps.writes();
        let (image, policy) = (services.image(), policies.image());
        let held = [
            (SERVICES, image.services.len()),
            (BACKENDS, image.backends.len()),
            (MEMBERS, image.members.len()),
            (SERVICE_NAMES, image.names.len()),
            (DEVICES, node.devices.len() + 1),
            (ADDRESSES, image.addresses.len()),
            (SOURCE_RANGES, image.source_ranges.len()),
            (IDENTITIES, policy.identities.len()),
            (BLOCKS, policy.blocks.len()),
            (RULES, policy.rules.len()),
            (POLICY_NAMES, policy.names.len()),
            (SET_POLICIES, policy.set_policies.len()),
        ];
        // Before that, the tables may hold what this agent has not read yet.
        for (table, entries) in held.into_iter().filter(|_| self.status.ready) {
            metrics.set_table(&Fill { table, entries: entries as u64, evicts: false });
        }
        for of in [Family::V4, Family::V6] {
            let (internal, external) = services.told().no_local_endpoints(of);
            metrics.set_no_local_endpoints(of, internal, external);
        }
        match maps.drops() {
            Ok(drops) => drops.iter().for_each(|count| metrics.set_drops(count.reason, count.packets)),
            Err(error) => tracing::warn!("the drops are not counted: {}", explain(&error)),
        }
        match maps.audits() {
            Ok(audits) => audits.iter().for_each(|count| metrics.set_audits(count.reason, count.packets)),
            Err(error) => tracing::warn!("the audits are not counted: {}", explain(&error)),
        }
    }
}

fn pod(pod: &Pod) -> PodStatus {
    PodStatus { namespace: pod.namespace.clone(), name: pod.name.clone(), ips: pod.ips.clone() }
}

fn policy_status(policies: &Policies, services: &Services, node: &NodeState) -> PolicyStatus {
    let image = policies.image();
    let is_policed =
        |ip: &IpAddr| image.identities.get(&Addr::from(*ip)).is_some_and(|it| it.is_local() && it.next.is_policed());
    PolicyStatus {
        policies: policies.count(),
        policed_pods: services.local_pods().filter(|pod| pod.ips.iter().any(is_policed)).count(),
        generation: image.generation,
        held: held(image, node).collect(),
        unbound: services.local_pods().filter(|it| policies.is_unbound(it)).map(pod).collect(),
    }
}

/// The addresses behind pods' interfaces that the programs hold.
fn held<'a>(image: &'a PolicyImage, node: &'a NodeState) -> impl Iterator<Item = HeldStatus> + 'a {
    let holds = image.pod_network.flags & pod_network_flags::HOLD_UNKNOWN != 0;
    let pods = node.devices.values().filter(move |device| holds && device.role == Role::Pod);
    let addresses = pods.flat_map(|device| device.pod_ips.union(&device.pod_routes).map(move |ip| (device, *ip)));
    let is_held = |addr: &Addr| image.pod_network.contains(addr) && !image.identities.contains_key(addr);
    addresses
        .filter(move |(_, ip)| is_held(&(*ip).into()))
        .map(|(device, ip)| HeldStatus { ip, device: device.name.clone() })
}

/// Interfaces that get programs, or those that don't.
fn devices(node: &NodeState, served: bool) -> Vec<DeviceStatus> {
    let devices = node.devices.iter().filter(|(_, device)| (device.role != Role::Other) == served);
    devices
        .map(|(ifindex, device)| DeviceStatus {
            name: device.name.clone(),
            ifindex: *ifindex,
            role: format!("{:?}", device.role),
            why: device.why.to_string(),
        })
        .collect()
}
