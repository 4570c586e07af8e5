//! What the server says of itself: enough for kubectl to find the kinds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kind::{KINDS, Kind};

/// `/version`
pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// `/api`
pub(super) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub(super) fn groups() -> Value {
    let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.group).filter(|group| !group.is_empty()).collect();
    let group = |name: &&str| {
        let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
        json!({"name": name, "versions": [version], "preferredVersion": version})
    };
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": names.iter().map(group).collect::<Vec<_>>()})
}

/// `/api/v1` and `/apis/GROUP/VERSION`; none of a group that isn't served.
pub(super) fn kinds(group: &str, version: &str) -> Option<Value> {
    let of_group: Vec<&Kind> = KINDS.iter().filter(|kind| (kind.group, kind.version) == (group, version)).collect();
    let group_version = of_group.first()?.api_version();
    let resource = |kind: &&Kind| {
        json!({
            "name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
        })
    };
    let resources: Vec<_> = of_group.iter().map(resource).collect();
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}))
}
