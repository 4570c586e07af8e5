//! Service ports that a Local policy keeps from being served here.

use super::{Endpoint, ServicePort, TrafficPolicy};

/// By which policies a Service port has endpoints, but none that this node may use (8.29 of kube-proxy's rules).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoLocalEndpoints {
    /// By `internalTrafficPolicy: Local`.
    pub internal: bool,
    /// By `externalTrafficPolicy: Local`.
    pub external: bool,
}

impl ServicePort {
    /// Which of its policies leave it without an endpoint on this node although there are others. One that terminates
    /// and still serves is an endpoint, as the last resort.
    #[must_use]
    pub fn no_local_endpoints(&self) -> NoLocalEndpoints {
        let usable = |it: &&Endpoint| it.ready || (it.serving && it.terminating);
        let mut endpoints = self.endpoints.iter().filter(usable).peekable();
        let lacking = endpoints.peek().is_some() && endpoints.all(|it| !it.is_local);
        let under = |policy| lacking && policy == TrafficPolicy::Local;
        NoLocalEndpoints {
            internal: under(self.internal_traffic_policy),
            external: under(self.external_traffic_policy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{endpoint, service_port};

    const NONE: NoLocalEndpoints = NoLocalEndpoints { internal: false, external: false };

    fn port(endpoints: &[Endpoint]) -> ServicePort {
        ServicePort {
            external_traffic_policy: TrafficPolicy::Local,
            ..service_port("web", "", "10.96.0.1", endpoints.to_vec())
        }
    }

    #[test]
    fn a_local_policy_with_endpoints_elsewhere_only_is_told_for_its_direction() {
        let elsewhere = endpoint("10.0.0.1");
        let external = NoLocalEndpoints { external: true, ..NONE };
        assert_eq!(port(std::slice::from_ref(&elsewhere)).no_local_endpoints(), external);
        let internal = ServicePort {
            internal_traffic_policy: TrafficPolicy::Local,
            external_traffic_policy: TrafficPolicy::Cluster,
            ..port(std::slice::from_ref(&elsewhere))
        };
        assert_eq!(internal.no_local_endpoints(), NoLocalEndpoints { internal: true, ..NONE });
        assert_eq!(service_port("web", "", "10.96.0.1", vec![elsewhere]).no_local_endpoints(), NONE);
    }

    #[test]
    fn a_local_endpoint_counts_while_it_serves_and_no_endpoint_at_all_is_another_matter() {
        let elsewhere = endpoint("10.0.0.1");
        let here = Endpoint { is_local: true, ..endpoint("10.0.0.2") };
        let leaving = Endpoint { ready: false, terminating: true, ..here.clone() };
        let broken = Endpoint { ready: false, serving: false, ..here.clone() };
        assert_eq!(port(&[]).no_local_endpoints(), NONE);
        assert_eq!(port(&[elsewhere.clone(), here]).no_local_endpoints(), NONE);
        assert_eq!(port(&[elsewhere.clone(), leaving]).no_local_endpoints(), NONE);
        assert!(port(&[elsewhere, broken.clone()]).no_local_endpoints().external);
        assert_eq!(port(&[broken]).no_local_endpoints(), NONE);
    }
}
