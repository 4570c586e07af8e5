//! `sluice get devices`: one row for each interface of the node, also for those without programs, and why.

use serde::Serialize;

use super::Row;
use crate::status::{AgentStatus, DeviceStatus};

#[derive(Serialize, PartialEq, Eq, Debug)]
#[serde(transparent)]
pub(super) struct DeviceRow(DeviceStatus);

/// Of all interfaces, by their indices.
pub(super) fn rows(agent: &AgentStatus, name: Option<&str>) -> Vec<DeviceRow> {
    let mut devices: Vec<_> = agent.devices.iter().chain(&agent.other_devices).cloned().collect();
    devices.retain(|device| name.is_none_or(|name| name == device.name));
    devices.sort_by_key(|device| device.ifindex);
    devices.into_iter().map(DeviceRow).collect()
}

impl Row for DeviceRow {
    const LIST_KIND: &'static str = "DeviceList";
    const COLUMNS: &'static [&'static str] = &["NAME", "INDEX", "ROLE", "WHY"];
    const WIDE_COLUMNS: &'static [&'static str] = &[];

    fn cells(&self) -> Vec<String> {
        let Self(DeviceStatus { name, ifindex, role, why }) = self;
        vec![name.clone(), ifindex.to_string(), role.clone(), why.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn an_interface_without_programs_is_listed_with_the_reason() {
        let settings = Settings { manifests: Some("/m".into()), node_name: Some("n".into()), ..Settings::default() };
        let device = |name: &str, ifindex, role: &str, why: &str| DeviceStatus {
            name: name.into(),
            ifindex,
            role: role.into(),
            why: why.into(),
        };
        let agent = AgentStatus {
            devices: vec![device("eth0", 2, "Uplink", "leads out"), device("pod1", 9, "Pod", "a pod's")],
            other_devices: vec![device("docker0", 3, "Other", "Docker's")],
            ..AgentStatus::new(&settings.resolve().unwrap())
        };
        let cells: Vec<_> = rows(&agent, None).iter().map(Row::cells).collect();
        assert_eq!(cells[1], ["docker0", "3", "Other", "Docker's"]);
        assert_eq!(cells.len(), 3);
        assert_eq!(rows(&agent, Some("pod1")).len(), 1);
    }
}
