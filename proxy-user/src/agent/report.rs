//! What the agent tells about itself: the status file and the metrics that are read off tables.

use jiff::Timestamp;
use proxy_common::tables::{ADDRESSES, BACKENDS, DEVICES, MEMBERS, SERVICE_NAMES, SERVICES, SOURCE_RANGES};

use super::services::Services;
use crate::config::Config;
use crate::dataplane::ebpf::Dataplane;
use crate::explain::explain;
use crate::model::Pod;
use crate::node::{NodeState, Role};
use crate::serve::Metrics;
use crate::status::{AgentStatus, DeviceStatus, PodStatus, Publisher, StatusError};

/// The status as it was last written.
pub(super) struct Report {
    publisher: Publisher,
    status: AgentStatus,
    writes: u64,
}

impl Report {
    /// Takes the hold on the `--bpffs` directory that one agent can have at a time, and puts the status of an agent that
    /// starts in the place of an earlier one's.
    pub(super) fn open(config: &Config) -> Result<Self, StatusError> {
        let (publisher, status) = (Publisher::open(&config.bpffs)?, AgentStatus::new(config));
        publisher.publish(&status)?;
        Ok(Self { publisher, status, writes: 0 })
    }

    /// Brings status and metrics up to date. `failures` is what the kernel doesn't have although it was tried.
    pub(super) fn publish(
        &mut self,
        services: &Services,
        node: &NodeState,
        dataplane: &Dataplane,
        metrics: &Metrics,
        failures: &[String],
    ) {
        let wrote = dataplane.writes() != self.writes || self.status.last_synced_at.is_none();
        let synced = wrote && failures.is_empty();
        let mut errors = services.errors();
        metrics.manifest_errors.set(errors.len().cast_signed() as i64);
        errors.extend_from_slice(failures);
        metrics.refused_services.set(services.refused().count().cast_signed() as i64);
        let status = AgentStatus {
            ready: true,
            last_synced_at: if synced { Some(Timestamp::now()) } else { self.status.last_synced_at },
            devices: devices(node),
            pods: services.local_pods().map(pod).collect(),
            errors,
            ..self.status.clone()
        };
        if status != self.status {
            if let Err(error) = self.publisher.publish(&status) {
                tracing::warn!("the status is not written: {}", explain(&error));
            }
            self.status = status;
        }
        metrics.map_writes.inc_by(dataplane.writes() - self.writes);
        self.writes = dataplane.writes();
        let image = services.image();
        let held = [
            (SERVICES, image.services.len()),
            (BACKENDS, image.backends.len()),
            (MEMBERS, image.members.len()),
            (SERVICE_NAMES, image.names.len()),
            (DEVICES, node.devices.len() + 1),
            (ADDRESSES, image.addresses.len()),
            (SOURCE_RANGES, image.source_ranges.len()),
        ];
        for (table, entries) in held {
            metrics.set_table(table.name, entries as u64, table.max_entries);
        }
        match dataplane.drops() {
            Ok(drops) => drops.iter().for_each(|count| metrics.set_drops(count.reason, count.packets)),
            Err(error) => tracing::warn!("the drops are not counted: {}", explain(&error)),
        }
    }
}

fn pod(pod: &Pod) -> PodStatus {
    PodStatus { namespace: pod.namespace.clone(), name: pod.name.clone(), ips: pod.ips.clone() }
}

fn devices(node: &NodeState) -> Vec<DeviceStatus> {
    let served = node.devices.iter().filter(|(_, device)| device.role != Role::Other);
    served
        .map(|(ifindex, device)| DeviceStatus {
            name: device.name.clone(),
            ifindex: *ifindex,
            role: format!("{:?}", device.role),
        })
        .collect()
}
