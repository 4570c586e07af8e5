//! A Service port, read from the tables.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use proxy_common::addr::{Addr, Family};
use proxy_common::tables::{BackendKey, EndpointSet, ServiceKey, SourceRange, service_flags};

use super::names::Names;
use super::text;
use crate::model::Protocol;
use crate::plan::{Image, SourcePrefix, name};

/// All that rules are made of for one Service port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Port {
    pub(super) family: Family,
    pub(super) protocol: Protocol,
    pub(super) names: Names,
    pub(super) frontends: Vec<Frontend>,
    /// Endpoints of the cluster, and those of this node, in the order of their addresses.
    pub(super) cluster: Vec<SocketAddr>,
    pub(super) local: Vec<SocketAddr>,
    /// Seconds; 0 for none.
    pub(super) affinity_timeout: u32,
    /// Sources that may use the frontends with [`service_flags::SOURCE_RANGES`], as rules have them; `None` is all.
    pub(super) source_ranges: Vec<Option<String>>,
}

/// Where clients of a Service port send to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frontend {
    pub(super) key: ServiceKey,
    /// [`service_flags`].
    pub(super) flags: u32,
}

impl Frontend {
    pub(super) const fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(super) const fn is_external(&self) -> bool {
        self.is(service_flags::EXTERNAL)
    }

    /// Its policy is Local.
    pub(super) const fn is_local_only(&self) -> bool {
        self.is(service_flags::LOCAL_ONLY)
    }
}

impl Port {
    /// The Service port with a number, whose frontends are `keys`. `None` where the tables hold none, or not all of it.
    pub(super) fn read(image: &Image, id: u32, keys: &BTreeSet<ServiceKey>) -> Option<Self> {
        let name = name::from_table(image.names.get(&id)?)?;
        let found = keys.iter().filter_map(|key| Some((*key, *image.services.get(key)?)));
        let found: Vec<_> = found.filter(|(_, service)| service.id == id).collect();
        let (_, service) = found.first()?;
        Some(Self {
            family: name.family,
            protocol: name.protocol,
            names: Names::new(&name),
            frontends: found.iter().map(|(key, service)| Frontend { key: *key, flags: service.flags }).collect(),
            cluster: endpoints(image, id, EndpointSet::Cluster, service.cluster),
            local: endpoints(image, id, EndpointSet::Local, service.local),
            affinity_timeout: service.affinity_timeout,
            source_ranges: source_ranges(image, id),
        })
    }

    /// The endpoints of a set.
    pub(super) fn endpoints(&self, local_only: bool) -> &[SocketAddr] {
        if local_only { &self.local } else { &self.cluster }
    }

    /// The chain that chooses among the endpoints of a set.
    pub(super) fn set(&self, local_only: bool) -> String {
        if local_only { self.names.local() } else { self.names.cluster() }
    }

    /// Of two frontends under `externalTrafficPolicy` both are under the same.
    pub(super) fn external(&self) -> Option<&Frontend> {
        self.frontends.iter().find(|it| it.is_external())
    }
}

fn endpoints(image: &Image, id: u32, set: EndpointSet, count: u32) -> Vec<SocketAddr> {
    let slots = image.backends.range(BackendKey::new(id, set, 0)..BackendKey::new(id, set, count));
    let mut endpoints: Vec<_> = slots.map(|(_, it)| SocketAddr::new(it.addr.into(), it.port.number())).collect();
    endpoints.sort_unstable();
    endpoints
}

fn source_ranges(image: &Image, id: u32) -> Vec<Option<String>> {
    let first = SourcePrefix { range: SourceRange { service: id, addr: Addr::UNSPECIFIED }, bits: 0 };
    let ranges = image.source_ranges.range(first..).take_while(|it| it.range.service == id);
    ranges.map(network).collect()
}

fn network(prefix: &SourcePrefix) -> Option<String> {
    let addr = prefix.range.addr;
    // Whatever the family, the key ends with the address.
    let length = (prefix.bits + text::bits(addr.family())).checked_sub(SourceRange::BITS)?;
    (length > 0).then(|| format!("{addr}/{length}"))
}
