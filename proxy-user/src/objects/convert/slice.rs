//! EndpointSlices.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointPort, EndpointSlice as ApiEndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proxy_common::addr::Family;

use super::field::{self, FieldError, FieldProblem};
use super::meta;
use crate::model::{EndpointGroup, EndpointSlice, GroupEndpoint, GroupPort, Hints, ServiceRef};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const HEADLESS: &str = "service.kubernetes.io/headless";
const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

impl TryFrom<ApiEndpointSlice> for EndpointSlice {
    type Error = FieldError;

    fn try_from(object: ApiEndpointSlice) -> Result<Self, FieldError> {
        let namespace = meta::namespace(&object.metadata)?;
        let labels = object.metadata.labels.as_ref();
        let label = |key| labels.and_then(|labels| labels.get(key));
        let service = label(SERVICE_NAME).filter(|name| !name.is_empty() && label(HEADLESS).is_none());
        let family = match object.address_type.as_str() {
            "IPv4" => Some(Family::V4),
            "IPv6" => Some(Family::V6),
            "FQDN" => None,
            "" => return Err(FieldProblem::Missing.at("addressType")),
            other => {
                let problem = FieldProblem::Unknown { value: other.to_owned(), expected: "IPv4, IPv6, FQDN" };
                return Err(problem.at("addressType"));
            }
        };
        let endpoints = match family {
            Some(_) => endpoints(&object.endpoints, &object.address_type)?,
            None => Vec::new(),
        };
        Ok(Self {
            last_change: last_change(&object.metadata),
            family,
            name: meta::name(&object.metadata)?,
            service: service.map(|name| ServiceRef::new(namespace.clone(), name.clone())),
            namespace,
            group: EndpointGroup { ports: ports(object.ports.as_deref().unwrap_or_default())?, endpoints },
        })
    }
}

/// What isn't a time is as good as nothing: it is for measuring only (8.26 of kube-proxy's rules).
fn last_change(meta: &ObjectMeta) -> Option<Timestamp> {
    meta.annotations.as_ref()?.get(LAST_CHANGE)?.parse().ok()
}

/// A port without a number would mean every port, which no proxy implements: it is left out.
fn ports(ports: &[EndpointPort]) -> Result<Vec<GroupPort>, FieldError> {
    let numbered = ports.iter().enumerate().filter_map(|(i, it)| Some((i, it, it.port.filter(|port| *port != 0)?)));
    numbered
        .map(|(i, it, number)| {
            Ok(GroupPort {
                name: it.name.clone().unwrap_or_default(),
                protocol: field::protocol(it.protocol.as_deref(), || format!("ports[{i}].protocol"))?,
                port: field::port(number, || format!("ports[{i}].port"))?,
            })
        })
        .collect()
}

/// Only the first address of an endpoint counts.
fn endpoints(endpoints: &[Endpoint], family: &str) -> Result<Vec<GroupEndpoint>, FieldError> {
    let addressed = endpoints.iter().enumerate().filter_map(|(i, it)| Some((i, it, it.addresses.first()?)));
    // Room for all at once: they are kept.
    let mut converted = Vec::with_capacity(endpoints.len());
    for (i, it, text) in addressed {
        let path = || format!("endpoints[{i}].addresses[0]");
        let ip = field::address(text, path)?;
        if ip.is_ipv4() != (family == "IPv4") {
            return Err(FieldProblem::WrongFamily { addr: ip, expected: family.to_owned() }.at(path()));
        }
        let conditions = it.conditions.as_ref();
        converted.push(GroupEndpoint {
            ip,
            node_name: it.node_name.as_deref().filter(|name| !name.is_empty()).map(Arc::from),
            ready: conditions.and_then(|it| it.ready).unwrap_or(true),
            serving: conditions.and_then(|it| it.serving).unwrap_or(true),
            terminating: conditions.and_then(|it| it.terminating).unwrap_or(false),
            hints: it.hints.as_ref().and_then(hints),
        });
    }
    Ok(converted)
}

fn hints(hints: &EndpointHints) -> Option<Arc<Hints>> {
    let names = |names: &mut dyn Iterator<Item = &String>| names.map(|name| Arc::from(name.as_str())).collect();
    let for_nodes: Vec<_> = names(&mut hints.for_nodes.iter().flatten().map(|it| &it.name));
    let for_zones: Vec<_> = names(&mut hints.for_zones.iter().flatten().map(|it| &it.name));
    (!for_nodes.is_empty() || !for_zones.is_empty()).then(|| Arc::new(Hints { for_nodes, for_zones }))
}
