//! Names of chains, as kube-proxy makes them: the same from one agent to the next, and on every node.

use std::net::SocketAddr;

use data_encoding::BASE32;
use sha2::{Digest, Sha256};

use super::text::protocol_name;
use crate::model::ServicePortName;

/// Characters of the hash in a chain's name: all that the 28 of a name leave.
const HASH: usize = 16;

/// Names of the chains of one Service port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Names {
    /// Namespace, name and port, for people: `default/web:http`.
    pub(super) label: String,
    hashed: String,
}

impl Names {
    pub(super) fn new(name: &ServicePortName) -> Self {
        let colon = if name.port.is_empty() { "" } else { ":" };
        let label = format!("{}{colon}{}", name.service, name.port);
        let hashed = format!("{label}{}", protocol_name(name.protocol));
        Self { label, hashed }
    }

    /// Chooses among the endpoints of the cluster.
    pub(super) fn cluster(&self) -> String {
        self.chain("SVC", "")
    }

    /// Chooses among the endpoints of this node.
    pub(super) fn local(&self) -> String {
        self.chain("SVL", "")
    }

    /// What is sent to the frontends that are under `externalTrafficPolicy`.
    pub(super) fn external(&self) -> String {
        self.chain("EXT", "")
    }

    /// Tells by their source who may use a frontend.
    pub(super) fn firewall(&self) -> String {
        self.chain("FW", "")
    }

    /// Leads to one endpoint.
    pub(super) fn endpoint(&self, endpoint: SocketAddr) -> String {
        self.chain("SEP", &endpoint.to_string())
    }

    fn chain(&self, kind: &str, endpoint: &str) -> String {
        let hash = BASE32.encode(&Sha256::digest(format!("{}{endpoint}", self.hashed)));
        format!("{}{kind}-{}", crate::dataplane::iptables::PREFIX, &hash[..HASH])
    }
}

/// Whether a chain is one of a Service port's.
pub(super) fn is_of_a_port(chain: &str) -> bool {
    let kind = chain.strip_prefix(crate::dataplane::iptables::PREFIX).unwrap_or_default();
    ["SVC-", "SVL-", "EXT-", "FW-", "SEP-"].iter().any(|prefix| kind.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use proxy_common::addr::Family;

    use super::*;
    use crate::model::{Protocol, ServiceRef};

    #[test]
    fn names_are_hashes_like_kube_proxys() {
        let name = |port: &str| ServicePortName {
            service: ServiceRef::new("kube-system", "kube-dns"),
            port: port.to_owned(),
            protocol: Protocol::Udp,
            family: Family::V4,
        };
        // The chain that every kubeadm cluster has for this Service.
        assert_eq!(Names::new(&name("dns")).cluster(), "SLUICE-SVC-TCOU7JCQXEZGVUNU");
        assert_eq!(Names::new(&name("")).label, "kube-system/kube-dns");
        let endpoint = Names::new(&name("dns")).endpoint("10.0.0.1:53".parse().unwrap());
        assert!(endpoint.len() <= 28 && is_of_a_port(&endpoint), "{endpoint}");
    }
}
