//! What the agent tells about itself: the status file and the metrics that are read off tables.

use jiff::Timestamp;
use proxy_common::tables::{BACKENDS, DEVICES, MEMBERS, NODE_ADDRESSES, SERVICE_NAMES, SERVICES};

use super::services::Services;
use crate::config::Config;
use crate::dataplane::ebpf::Dataplane;
use crate::node::{NodeState, Role};
use crate::serve::Metrics;
use crate::status::{AgentStatus, DeviceStatus, Publisher, StatusError};

/// The status as it was last written.
pub(super) struct Report {
    publisher: Publisher,
    status: AgentStatus,
    writes: u64,
}

impl Report {
    /// Takes the hold on the `--bpffs` directory that one agent can have at a time.
    pub(super) fn open(config: &Config) -> Result<Self, StatusError> {
        Ok(Self { publisher: Publisher::open(&config.bpffs)?, status: AgentStatus::new(config), writes: 0 })
    }

    /// Brings status and metrics up to date.
    pub(super) fn publish(&mut self, services: &Services, node: &NodeState, dataplane: &Dataplane, metrics: &Metrics) {
        let synced = dataplane.writes() != self.writes || self.status.last_synced_at.is_none();
        let status = AgentStatus {
            ready: true,
            last_synced_at: if synced { Some(Timestamp::now()) } else { self.status.last_synced_at },
            devices: devices(node),
            errors: services.errors(),
            ..self.status.clone()
        };
        if status != self.status {
            if let Err(error) = self.publisher.publish(&status) {
                tracing::warn!("{error}");
            }
            self.status = status;
        }
        metrics.manifest_errors.set(self.status.errors.len().cast_signed() as i64);
        metrics.map_writes.inc_by(dataplane.writes() - self.writes);
        self.writes = dataplane.writes();
        let image = services.image();
        let held = [
            (SERVICES, image.services.len()),
            (BACKENDS, image.backends.len()),
            (MEMBERS, image.members.len()),
            (SERVICE_NAMES, image.names.len()),
            (DEVICES, node.devices.len() + 1),
            (NODE_ADDRESSES, node.addresses.len()),
        ];
        for (table, entries) in held {
            metrics.set_table(table.name, entries as u64, table.max_entries);
        }
    }
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
