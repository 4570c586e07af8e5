//! What of a Service isn't as its object has it.

use std::fmt;

use super::{Service, ServiceRef};

/// A Service that is served but for one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remark<'a> {
    service: &'a ServiceRef,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    NoHealthCheckNodePort,
    ExternalIpsOff,
    DistributionWithoutSlices,
}

impl<'a> Remark<'a> {
    /// Whether there may be any of `service`, whatever its endpoints come from.
    pub(super) fn may_be_of(service: &Service) -> bool {
        Remark::of(service, false).next().is_some()
    }

    /// The Service.
    #[must_use]
    pub const fn service(&self) -> &'a ServiceRef {
        self.service
    }

    /// What there is to say of `service`, whose endpoints come from slices or not.
    pub(super) fn of(service: &'a Service, from_slices: bool) -> impl Iterator<Item = Self> {
        let no_port = service.has_health_check() && service.health_check_node_port.is_none();
        let external_ips_off = !service.external_ips.is_empty() && !service.serves_external_ips;
        [
            (What::NoHealthCheckNodePort, no_port),
            (What::ExternalIpsOff, external_ips_off),
            (What::DistributionWithoutSlices, service.traffic_distribution && !from_slices),
        ]
        .into_iter()
        .filter(|(_, applies)| service.is_served() && *applies)
        .map(|(what, _)| Self { service: &service.id, what })
    }
}

impl fmt::Display for Remark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.what {
            What::NoHealthCheckNodePort => {
                "spec.healthCheckNodePort: missing; without an API server nobody assigns one: write a port number, or \
                 load balancers can't ask this node"
            }
            What::ExternalIpsOff => {
                "spec.externalIPs: not served, as --allow-service-external-ips (key allowServiceExternalIPs) is false"
            }
            What::DistributionWithoutSlices => {
                "spec.trafficDistribution: has no effect without EndpointSlices, whose hints carry it: write slices with \
                 hints"
            }
        };
        write!(f, "Service {}: {text}", self.service)
    }
}
