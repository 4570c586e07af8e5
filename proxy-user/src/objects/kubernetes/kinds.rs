//! The kinds that are followed: which objects of each, and which of their fields.

use std::fmt::Debug;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::networking::v1 as networking;
use kube::Resource;
use kube::runtime::watcher::Config;

use super::keep::Keep::{self, All, Fields};
use crate::model::Kind;

/// A kind that is followed by list and watch.
pub(super) trait Followed: Resource<DynamicType = ()> + Debug + 'static {
    /// What it is to us.
    const KIND: Kind;
    /// What is used of its objects.
    const KEEP: Keep;
    /// Only `metadata` is asked for.
    const METADATA_ONLY: bool = false;

    /// Those of its objects that are asked for by the agent on the Node `node_name`.
    fn selection(_node_name: &str) -> Config {
        Config::default()
    }
}

/// Objects in one answer to a list.
const PAGE: u32 = 500;

/// As much of `metadata` as any kind needs; labels and annotations cost the more for being of every object.
const METADATA: Keep = Fields(&[
    ("name", All),
    ("namespace", All),
    ("resourceVersion", All),
    ("labels", All),
    ("annotations", All),
    ("creationTimestamp", All),
    ("deletionTimestamp", All),
]);
const POD_METADATA: Keep =
    Fields(&[("name", All), ("namespace", All), ("resourceVersion", All), ("labels", All), ("deletionTimestamp", All)]);

/// `spec.ports`, `.containers[].ports` and so on are lists: see [`Keep`].
const CONTAINER: Keep = Fields(&[("name", All), ("ports", All), ("restartPolicy", All)]);

impl Followed for core::Service {
    const KIND: Kind = Kind::Service;
    const KEEP: Keep = Fields(&[("metadata", METADATA), ("spec", All), ("status", All)]);

    /// Those that another proxy serves are no business of ours (1.2 of kube-proxy's rules). Headless ones are none either, but
    /// older API servers refuse to select by `spec.clusterIP`.
    fn selection(_: &str) -> Config {
        Config::default().labels("!service.kubernetes.io/service-proxy-name")
    }
}

impl Followed for discovery::EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;
    const KEEP: Keep = Fields(&[
        ("metadata", METADATA),
        ("addressType", All),
        ("ports", All),
        (
            "endpoints",
            Fields(&[("addresses", All), ("conditions", All), ("hints", All), ("nodeName", All), ("zone", All)]),
        ),
    ]);

    /// 1.4 of kube-proxy's rules.
    fn selection(_: &str) -> Config {
        Config::default().labels("!service.kubernetes.io/headless")
    }
}

impl Followed for networking::NetworkPolicy {
    const KIND: Kind = Kind::NetworkPolicy;
    /// Also fields that nobody knows: one may be what narrows a rule.
    const KEEP: Keep = Fields(&[("metadata", METADATA), ("spec", All)]);
}

impl Followed for core::Namespace {
    const KIND: Kind = Kind::Namespace;
    const KEEP: Keep = Fields(&[("metadata", METADATA)]);
    const METADATA_ONLY: bool = true;
}

impl Followed for core::Pod {
    const KIND: Kind = Kind::Pod;
    const KEEP: Keep = Fields(&[
        ("metadata", POD_METADATA),
        (
            "spec",
            Fields(&[
                ("nodeName", All),
                ("hostNetwork", All),
                ("containers", CONTAINER),
                ("initContainers", CONTAINER),
            ]),
        ),
        (
            "status",
            Fields(&[
                ("phase", All),
                ("podIP", All),
                ("podIPs", All),
                ("hostIP", All),
                ("hostIPs", All),
                ("conditions", Fields(&[("type", All), ("status", All)])),
            ]),
        ),
    ]);

    /// All that may still send or receive, on every node: a policy's peers.
    fn selection(_: &str) -> Config {
        Config::default().fields("status.phase!=Succeeded,status.phase!=Failed")
    }
}

impl Followed for core::Node {
    const KIND: Kind = Kind::Node;
    const KEEP: Keep = Fields(&[
        ("metadata", METADATA),
        ("spec", Fields(&[("podCIDR", All), ("podCIDRs", All), ("taints", All)])),
        ("status", Fields(&[("addresses", All)])),
    ]);

    /// Nothing depends on other Nodes (1.5 of kube-proxy's rules).
    fn selection(node_name: &str) -> Config {
        Config::default().fields(&format!("metadata.name={node_name}"))
    }
}

/// How objects of `K` are listed and watched: in pages, with bookmarks, and a watch that ends after 290 s whatever
/// becomes of its connection.
pub(super) fn config<K: Followed>(node_name: &str) -> Config {
    K::selection(node_name).page_size(PAGE)
}
