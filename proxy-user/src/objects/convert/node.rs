//! Nodes.

use k8s_openapi::api::core::v1::Node as ApiNode;

use super::field::{self, FieldError};
use super::meta;
use crate::model::Node;

/// The cluster autoscaler's mark on a node that it is about to remove.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

impl TryFrom<ApiNode> for Node {
    type Error = FieldError;

    fn try_from(object: ApiNode) -> Result<Self, FieldError> {
        let name = meta::name(&object.metadata)?;
        let addresses = object.status.and_then(|status| status.addresses).unwrap_or_default();
        let internal = addresses.iter().enumerate().filter(|(_, address)| address.type_ == "InternalIP");
        let internal_ips = internal
            .map(|(i, address)| field::address(&address.address, || format!("status.addresses[{i}].address")))
            .collect::<Result<_, _>>()?;
        let spec = object.spec.unwrap_or_default();
        let cidrs = spec.pod_cidrs.unwrap_or_else(|| spec.pod_cidr.into_iter().collect());
        let pod_cidrs = cidrs
            .into_iter()
            .enumerate()
            .map(|(i, cidr)| field::range(&cidr, || format!("spec.podCIDRs[{i}]")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            labels: object.metadata.labels.unwrap_or_default(),
            internal_ips,
            pod_cidrs,
            terminating: object.metadata.deletion_timestamp.is_some(),
            to_be_deleted: spec.taints.iter().flatten().any(|taint| taint.key == TO_BE_DELETED),
        })
    }
}
