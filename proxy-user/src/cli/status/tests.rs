//! The status as it is printed; from real pinned maps. Takes root.

use jiff::Timestamp;
use proxy_common::drop::Reason;
use proxy_common::tables::{self, Device};
use serde_json::json;

use super::*;
use crate::config::{DataplaneMode, PolicyDeny, SocketLb};
use crate::dataplane::ebpf::read::tests::PinnedTables;
use crate::status::{DeviceStatus, HeldStatus};

fn agent() -> AgentStatus {
    AgentStatus {
        version: "0.1.0".into(),
        pid: 4321,
        started_at: Timestamp::UNIX_EPOCH,
        node_name: "node1".into(),
        configuration: serde_json::Value::Null,
        mode: DataplaneMode::Ebpf,
        mode_reason: None,
        socket_lb: SocketLb::Host,
        policy_deny: PolicyDeny::Drop,
        objects: "manifests in /etc/sluice".into(),
        api_server: None,
        not_in_force: Vec::new(),
        taking_over: 0,
        ignored: Vec::new(),
        cgroup: None,
        ready: true,
        last_synced_at: None,
        devices: vec![DeviceStatus { name: "eth0".into(), ifindex: 2, role: "Uplink".into(), why: "a NIC".into() }],
        other_devices: vec![],
        pods: vec![],
        policy: PolicyStatus {
            policies: 3,
            policed_pods: 0,
            generation: 17,
            held: vec![HeldStatus { ip: "10.244.1.7".parse().unwrap(), device: "pod7".into() }],
            unbound: vec![],
        },
        errors: vec!["web.yaml: document 1: Service default/web: spec.ports: required".into(), "b.yaml: bad".into()],
    }
}

#[test]
fn agent_tables_and_drops_are_printed_in_columns() {
    let pinned = PinnedTables::empty();
    pinned.put(tables::DEVICES, [(2, Device::default())]);
    let dropped = pinned.put_drops(Reason::NoEndpoints);
    let audited = pinned.put_counts(tables::AUDITS, Reason::PolicyIngress);
    let bpffs = Bpffs { bpffs: pinned.bpffs().into() };
    let status = Status { alive: true, agent: Some(agent()), kernel: kernel(&bpffs).unwrap() };
    let expected = format!(
        "\
Agent:       running
Pinned at:   {}
Version:     0.1.0
Process:     4321
Since:       1970-01-01T00:00:00Z
Node:        node1
Mode:        ebpf
Socket LB:   host
Objects:     manifests in /etc/sluice
Ready:       yes
Synced:      never
Devices:     eth0 (Uplink)
Policies:    3, 0 of 0 Pods policed, generation 17
Held:        10.244.1.7 (pod7)
Errors:      web.yaml: document 1: Service default/web: spec.ports: required
             b.yaml: bad
Epoch:       0

TABLE           ENTRIES   LIMIT
SERVICES        0         258048
BACKENDS        0         524288
MEMBERS         0         524288
SERVICE_NAMES   0         131072
FLOWS           0         524288
FLOWS_NEW       0         131072
SOCK_BACKEND    0         32768
SOCK_ORIGIN     0         65536
ADDRESSES       0         262144
AFFINITY        0         65536
SOURCE_RANGES   0         131072
IDENTITIES      0         262144
BLOCKS          0         131072
RULES           0         524288
POLICY_NAMES    0         16384
SET_POLICIES    0         131072
RULE_HITS       0         65536
DEVICES         1         8192

DROPPED       PACKETS
NoEndpoints   {dropped}

AUDITED         PACKETS
PolicyIngress   {audited}
",
        pinned.bpffs().display()
    );
    assert_eq!(text(&status, &bpffs).unwrap(), expected);
}

#[test]
fn json_keeps_its_field_names_and_has_every_reason() {
    let pinned = PinnedTables::empty();
    let bpffs = Bpffs { bpffs: pinned.bpffs().into() };
    let status = Status { alive: false, agent: Some(agent()), kernel: kernel(&bpffs).unwrap() };
    let status = serde_json::to_value(&status).unwrap();
    assert_eq!(status["agent"]["nodeName"], json!("node1"));
    assert_eq!(
        status["agent"]["devices"][0],
        json!({ "name": "eth0", "ifindex": 2, "role": "Uplink", "why": "a NIC" })
    );
    assert_eq!(status["kernel"]["tables"][0], json!({ "name": "SERVICES", "entries": 0, "limit": 258_048 }));
    assert_eq!(status["kernel"]["drops"][0], json!({ "reason": "NoEndpoints", "packets": 0, "audited": 0 }));
    assert_eq!(status["kernel"]["drops"].as_array().unwrap().len(), Reason::ALL.len());
}

#[test]
fn where_nothing_is_pinned_the_kernel_has_no_part() {
    let pinned = PinnedTables::none();
    let bpffs = Bpffs { bpffs: pinned.bpffs().into() };
    let status = Status { alive: false, agent: None, kernel: kernel(&bpffs).unwrap() };
    assert!(text(&status, &bpffs).unwrap().contains("nothing pinned"));
    assert_eq!(serde_json::to_value(&status).unwrap(), json!({ "alive": false }));
}

#[test]
fn tables_that_are_nearly_full_are_warnings() {
    let pinned = PinnedTables::empty();
    let bpffs = Bpffs { bpffs: pinned.bpffs().into() };
    let limit = tables::DEVICES.max_entries;
    let four_fifths = (limit * 4).div_ceil(5);
    pinned.put(tables::DEVICES, (1..four_fifths).map(|ifindex| (ifindex, Device::default())));
    let status = || Status { alive: true, agent: Some(agent()), kernel: kernel(&bpffs).unwrap() };
    assert!(!text(&status(), &bpffs).unwrap().contains("Warnings:"));
    pinned.put(tables::DEVICES, [(four_fifths, Device::default())]);
    let warning = format!("table DEVICES holds {four_fifths} of {limit} entries; when it is full new ones are refused");
    let text = text(&status(), &bpffs).unwrap();
    assert!(text.contains(&format!("Warnings:    {warning}\n")), "{text}");
    assert_eq!(serde_json::to_value(status()).unwrap()["kernel"]["warnings"], json!([warning]));
}
