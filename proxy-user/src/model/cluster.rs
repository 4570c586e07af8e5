//! Everything known of the cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use proxy_common::addr::Family;

use super::claims::Claims;
use super::endpoints::{from_groups, unique};
use super::pods::Pods;
use super::selectors::Selectors;
use super::service::family;
use super::topology::{Here, Hint};
use super::{
    Change, Conflict, Endpoint, EndpointSlice, Endpoints, Kind, Namespace, Node, Object, ObjectRef, Pod, Port, Remark,
    Service, ServicePort, ServicePortName, ServiceRef,
};

/// The objects of a cluster as one node sees them.
///
/// A Service's endpoints come from exactly one source: its EndpointSlices; where it has none, the Endpoints object of
/// its name; where that is missing too and it has a selector, the Pods, unless a controller sees to the slices.
#[derive(Debug)]
pub struct Cluster {
    here: Here,
    /// This node's addresses of type `InternalIP`, as last known.
    internal_ips: Vec<IpAddr>,
    /// The addresses its interfaces have.
    node_addresses: BTreeSet<IpAddr>,
    external_ips: bool,
    endpoints_from_pods: bool,
    services: BTreeMap<ServiceRef, Service>,
    /// Those of the Services of which there may be something to say.
    remarkable: BTreeSet<ServiceRef>,
    claims: Claims,
    selectors: Selectors,
    slices: HashMap<ServiceRef, BTreeMap<String, EndpointSlice>>,
    /// Slice -> its Service: a slice may move to another one.
    slice_services: HashMap<ObjectRef, ServiceRef>,
    endpoints: HashMap<ServiceRef, Endpoints>,
    pods: Pods,
    /// Namespace and name of those of this node that run.
    local_pods: BTreeSet<(String, String)>,
    namespaces: BTreeMap<String, Namespace>,
    nodes: BTreeMap<String, Node>,
}

impl Cluster {
    /// An empty cluster seen from the node `node_name`.
    #[must_use]
    pub fn new(node_name: impl Into<String>) -> Self {
        Self {
            here: Here { node_name: node_name.into(), zone: None },
            internal_ips: Vec::new(),
            node_addresses: BTreeSet::new(),
            external_ips: true,
            endpoints_from_pods: true,
            services: BTreeMap::new(),
            remarkable: BTreeSet::new(),
            claims: Claims::default(),
            selectors: Selectors::default(),
            slices: HashMap::new(),
            slice_services: HashMap::new(),
            endpoints: HashMap::new(),
            pods: Pods::default(),
            local_pods: BTreeSet::new(),
            namespaces: BTreeMap::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Whether `externalIPs` are served; they are unless this says otherwise. To be said before the first change.
    #[must_use]
    pub fn with_external_ips(self, external_ips: bool) -> Self {
        Self { external_ips, ..self }
    }

    /// Whether a Service without slices gets endpoints from Pods; it does unless this says otherwise. Where controllers write
    /// slices it must not: one without any has no endpoints. Pods of other nodes are then not kept. To be said before the
    /// first change.
    #[must_use]
    pub fn with_endpoints_from_pods(self, endpoints_from_pods: bool) -> Self {
        Self { endpoints_from_pods, ..self }
    }

    /// Whether `externalIPs` are served from now on. Returns the Services that this can touch.
    pub fn set_external_ips(&mut self, external_ips: bool) -> BTreeSet<ServiceRef> {
        if external_ips == std::mem::replace(&mut self.external_ips, external_ips) {
            return BTreeSet::new();
        }
        let services: Vec<Service> = self.services.values().cloned().collect();
        services.into_iter().flat_map(|service| self.put_service(service)).collect()
    }

    /// Takes in what addresses this node's interfaces have. Returns the Services that this can touch.
    pub fn set_node_addresses(&mut self, addresses: &BTreeSet<IpAddr>) -> BTreeSet<ServiceRef> {
        let old = std::mem::replace(&mut self.node_addresses, addresses.clone());
        let changed = |service: &&Service| {
            service.families().any(|of| service.source_ranges(of, &old) != service.source_ranges(of, addresses))
        };
        self.services.values().filter(changed).map(|service| service.id.clone()).collect()
    }

    /// Takes one change in. Returns the Services whose [`Cluster::service_ports`] it can alter; a Service among them
    /// that is no more has none.
    pub fn apply(&mut self, change: Change) -> BTreeSet<ServiceRef> {
        match change {
            Change::Apply(object) => self.put(object),
            Change::Delete(object) => self.remove(object),
        }
    }

    /// The Pods of this node that run, by namespace and name.
    pub fn local_pods(&self) -> impl Iterator<Item = &Pod> {
        self.local_pods.iter().filter_map(|(namespace, name)| self.pods.get(namespace, name))
    }

    /// The ports of `service` in each of its families; none where it doesn't exist or isn't served.
    #[must_use]
    pub fn service_ports(&self, service: &ServiceRef) -> Vec<ServicePort> {
        let Some(service) = self.services.get(service).filter(|service| service.is_served()) else {
            return Vec::new();
        };
        let families = service.families();
        families.flat_map(|of| service.ports.iter().filter_map(move |port| self.port(service, port, of))).collect()
    }

    /// The Service `id`.
    #[must_use]
    pub fn service(&self, id: &ServiceRef) -> Option<&Service> {
        self.services.get(id)
    }

    /// Every Service there is.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// Frontends that more than one Service asks for.
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.claims.conflicts()
    }

    /// What of a Service isn't as its object has it, though the Service is served.
    pub fn remarks(&self) -> impl Iterator<Item = Remark<'_>> {
        let services = self.remarkable.iter().filter_map(|id| self.services.get(id));
        services.flat_map(|service| Remark::of(service, self.slices.contains_key(&service.id)))
    }

    /// Name of the node it is seen from.
    #[must_use]
    pub fn node_name(&self) -> &str {
        &self.here.node_name
    }

    /// This node's addresses of type `InternalIP`, in the order of the Node object; those last known where it is gone.
    #[must_use]
    pub fn internal_ips(&self) -> &[IpAddr] {
        &self.internal_ips
    }

    /// The Node `name`.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// The Namespace `name`.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    fn put(&mut self, object: Object) -> BTreeSet<ServiceRef> {
        match object {
            Object::Service(service) => self.put_service(service),
            Object::EndpointSlice(slice) => self.put_slice(slice),
            Object::Endpoints(endpoints) => {
                let service = endpoints.service.clone();
                let old = self.endpoints.insert(service.clone(), endpoints);
                if old.as_ref() == self.endpoints.get(&service) { BTreeSet::new() } else { self.existing([service]) }
            }
            Object::Pod(pod) => self.put_pod(pod),
            Object::Namespace(namespace) => {
                self.namespaces.insert(namespace.name.clone(), namespace);
                BTreeSet::new()
            }
            Object::Node(node) => self.put_node(node),
            // Says nothing of Services.
            Object::NetworkPolicy(_) => BTreeSet::new(),
        }
    }

    fn remove(&mut self, object: ObjectRef) -> BTreeSet<ServiceRef> {
        match object.kind {
            Kind::Service => self.remove_service(&ServiceRef::new(object.namespace, object.name)),
            Kind::EndpointSlice => {
                let old = self.take_slice(&object).and_then(|slice| slice.service);
                self.existing(old)
            }
            Kind::Endpoints => {
                let old = self.endpoints.remove(&ServiceRef::new(object.namespace, object.name));
                self.existing(old.map(|endpoints| endpoints.service))
            }
            Kind::Pod => self.remove_pod(&object),
            Kind::Namespace => {
                self.namespaces.remove(&object.name);
                BTreeSet::new()
            }
            Kind::Node => {
                // Where this node is and what addresses it has doesn't change by that.
                self.nodes.remove(&object.name);
                BTreeSet::new()
            }
            Kind::NetworkPolicy => BTreeSet::new(),
        }
    }

    fn put_service(&mut self, service: Service) -> BTreeSet<ServiceRef> {
        let service = Service { serves_external_ips: self.external_ips, ..service };
        if self.services.get(&service.id) == Some(&service) {
            return BTreeSet::new();
        }
        let mut affected = self.remove_service(&service.id);
        affected.extend(self.claims.add(&service));
        affected.insert(service.id.clone());
        self.selectors.add(&service);
        if Remark::may_be_of(&service) {
            self.remarkable.insert(service.id.clone());
        }
        self.services.insert(service.id.clone(), service);
        affected
    }

    fn remove_service(&mut self, id: &ServiceRef) -> BTreeSet<ServiceRef> {
        let Some(service) = self.services.remove(id) else { return BTreeSet::new() };
        self.selectors.remove(&service.id);
        self.remarkable.remove(id);
        let mut affected = self.claims.remove(&service);
        affected.insert(service.id);
        affected
    }

    fn put_node(&mut self, node: Node) -> BTreeSet<ServiceRef> {
        let mut affected = BTreeSet::new();
        if self.here.is_node(Some(&node.name)) {
            self.internal_ips.clone_from(&node.internal_ips);
            if self.here.zone.as_deref() != node.zone() {
                self.here.zone = node.zone().map(str::to_owned);
                let zoned = self.slices.iter().filter(|(_, slices)| slices.values().any(EndpointSlice::has_zone_hints));
                affected = self.existing(zoned.map(|(service, _)| service.clone()));
            }
        }
        self.nodes.insert(node.name.clone(), node);
        affected
    }

    fn put_slice(&mut self, slice: EndpointSlice) -> BTreeSet<ServiceRef> {
        let object = slice.object_ref();
        let old = self.take_slice(&object);
        let unchanged = old.as_ref().is_some_and(|old| old.group == slice.group && old.service == slice.service);
        let services = [old.and_then(|old| old.service), slice.service.clone()];
        if let Some(service) = &slice.service {
            self.slice_services.insert(object, service.clone());
            self.slices.entry(service.clone()).or_default().insert(slice.name.clone(), slice);
        }
        if unchanged { BTreeSet::new() } else { self.existing(services.into_iter().flatten()) }
    }

    fn take_slice(&mut self, object: &ObjectRef) -> Option<EndpointSlice> {
        let service = self.slice_services.remove(object)?;
        let slices = self.slices.get_mut(&service)?;
        let slice = slices.remove(&object.name);
        if slices.is_empty() {
            self.slices.remove(&service);
        }
        slice
    }

    fn put_pod(&mut self, pod: Pod) -> BTreeSet<ServiceRef> {
        if self.pods.get(&pod.namespace, &pod.name) == Some(&pod) {
            return BTreeSet::new();
        }
        let is_here = self.here.is_node(pod.node_name.as_deref());
        if !is_here && !self.endpoints_from_pods {
            return self.remove_pod(&Object::Pod(pod).object_ref());
        }
        let mut affected = self.served_by(&pod);
        let name = (pod.namespace.clone(), pod.name.clone());
        if is_here && !pod.finished {
            self.local_pods.insert(name);
        } else {
            self.local_pods.remove(&name);
        }
        let old = self.pods.insert(pod);
        affected.extend(old.iter().flat_map(|old| self.served_by(old)));
        affected
    }

    fn remove_pod(&mut self, object: &ObjectRef) -> BTreeSet<ServiceRef> {
        let old = self.pods.remove(&object.namespace, &object.name);
        self.local_pods.remove(&(object.namespace.clone(), object.name.clone()));
        old.map(|old| self.served_by(&old)).unwrap_or_default()
    }

    /// The Services whose endpoints come from Pods, `pod` among them.
    fn served_by(&self, pod: &Pod) -> BTreeSet<ServiceRef> {
        let from_pods = |id: &&ServiceRef| {
            self.endpoints_from_pods && !self.slices.contains_key(*id) && !self.endpoints.contains_key(*id)
        };
        self.selectors
            .candidates(pod)
            .filter(from_pods)
            .filter_map(|id| self.services.get(id))
            .filter(|service| pod.is_selected_by(&service.selector))
            .map(|service| service.id.clone())
            .collect()
    }

    fn existing(&self, services: impl IntoIterator<Item = ServiceRef>) -> BTreeSet<ServiceRef> {
        services.into_iter().filter(|id| self.services.contains_key(id)).collect()
    }

    fn port(&self, service: &Service, port: &Port, of: Family) -> Option<ServicePort> {
        let mut frontends = service.frontends(port, of);
        frontends.retain(|frontend| self.claims.is_winner(&service.id, frontend));
        (!frontends.is_empty()).then(|| ServicePort {
            name: ServicePortName {
                service: service.id.clone(),
                port: port.name.clone(),
                protocol: port.protocol,
                family: of,
            },
            frontends,
            internal_traffic_policy: service.internal_traffic_policy,
            external_traffic_policy: service.external_traffic_policy(),
            session_affinity: service.session_affinity,
            source_ranges: service.source_ranges(of, &self.node_addresses),
            endpoints: self.port_endpoints(service, port, of),
        })
    }

    /// What serves `port` of `service` in `of`.
    pub(super) fn port_endpoints(&self, service: &Service, port: &Port, of: Family) -> Vec<Endpoint> {
        let wanted = (port.name.as_str(), port.protocol, of);
        if let Some(slices) = self.slices.get(&service.id) {
            from_groups(slices.values().map(|slice| &slice.group), wanted, &self.here)
        } else if let Some(endpoints) = self.endpoints.get(&service.id) {
            from_groups(endpoints.subsets.iter(), wanted, &self.here)
        } else if !self.endpoints_from_pods {
            Vec::new()
        } else {
            let selected = self.pods.selected_by(service).filter(|pod| !pod.finished);
            unique(selected.filter_map(|pod| self.pod_endpoint(service, port, of, pod)).collect())
        }
    }

    /// What the Kubernetes EndpointSlice controller would write for `pod`.
    fn pod_endpoint(&self, service: &Service, port: &Port, of: Family, pod: &Pod) -> Option<Endpoint> {
        Some(Endpoint {
            ip: *pod.ips.iter().find(|ip| family(**ip) == of)?,
            port: pod.resolve(&port.target_port, port.protocol)?,
            node_name: pod.node_name.as_deref().map(Arc::from),
            is_local: self.here.is_node(pod.node_name.as_deref()),
            ready: service.publish_not_ready_addresses || (pod.ready && !pod.terminating),
            serving: pod.ready,
            terminating: pod.terminating,
            node_hint: Hint::Absent,
            zone_hint: Hint::Absent,
        })
    }
}

#[cfg(test)]
mod tests;
