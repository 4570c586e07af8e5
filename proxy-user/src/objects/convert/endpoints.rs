//! Endpoints.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints as ApiEndpoints};

use super::field::{self, FieldError};
use super::meta;
use crate::model::{EndpointGroup, Endpoints, GroupEndpoint, GroupPort, ServiceRef};

impl TryFrom<ApiEndpoints> for Endpoints {
    type Error = FieldError;

    fn try_from(object: ApiEndpoints) -> Result<Self, FieldError> {
        let subsets = object.subsets.iter().flatten().enumerate();
        Ok(Self {
            service: ServiceRef::new(meta::namespace(&object.metadata)?, meta::name(&object.metadata)?),
            subsets: subsets.map(|(i, it)| subset(it, &format!("subsets[{i}]"))).collect::<Result<_, _>>()?,
        })
    }
}

fn subset(subset: &EndpointSubset, path: &str) -> Result<EndpointGroup, FieldError> {
    let ports = subset.ports.iter().flatten().enumerate().map(|(i, it)| {
        Ok(GroupPort {
            name: it.name.clone().unwrap_or_default(),
            protocol: field::protocol(it.protocol.as_deref(), || format!("{path}.ports[{i}].protocol"))?,
            port: field::port(it.port, || format!("{path}.ports[{i}].port"))?,
        })
    });
    let mut endpoints = addresses(subset.addresses.as_deref(), true, &format!("{path}.addresses"))?;
    let not_ready = subset.not_ready_addresses.as_deref();
    endpoints.extend(addresses(not_ready, false, &format!("{path}.notReadyAddresses"))?);
    Ok(EndpointGroup { ports: ports.collect::<Result<_, FieldError>>()?, endpoints })
}

fn addresses(addresses: Option<&[EndpointAddress]>, ready: bool, path: &str) -> Result<Vec<GroupEndpoint>, FieldError> {
    let addresses = addresses.into_iter().flatten().enumerate().map(|(i, it)| {
        Ok(GroupEndpoint {
            ip: field::address(&it.ip, || format!("{path}[{i}].ip"))?,
            node_name: it.node_name.as_deref().filter(|name| !name.is_empty()).map(Arc::from),
            ready,
            serving: ready,
            terminating: false,
            hints: None,
        })
    });
    addresses.collect()
}
