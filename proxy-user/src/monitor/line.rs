//! What a listener gets: a line of JSON each.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{Kind, PodRef};

/// A line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Something happened. In a box, as it is much larger than the others.
    Verdict(Box<Verdict>),
    /// So many verdicts were not told: there were too many for the programs, for the agent or for the listener. Those
    /// that the programs left out may be such as the listener doesn't want.
    #[serde(rename_all = "camelCase")]
    NotShown {
        /// How many since the last such line.
        not_shown: u64,
    },
    /// There is nothing to hear, and why.
    Refused {
        /// Why.
        error: String,
    },
}

/// What became of a packet, with the names of all that had a part in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// When.
    #[serde(serialize_with = "microseconds")]
    pub time: Timestamp,
    /// What.
    pub verdict: Kind,
    /// Name of [`proxy_common::drop::Reason`]: of a drop, and of what an audit would drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the reason means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who sent it.
    pub source: End,
    /// Who gets it, or would: the endpoint, behind a Service.
    pub destination: End,
    /// The Service that it was sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceAt>,
    /// Protocol, by name where it has one.
    pub protocol: String,
    /// Names of the TCP flags it has; for SCTP, of those that stand for its first chunk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp_flags: Vec<String>,
    /// The node's interface it was met on.
    pub interface: String,
    /// Its length in bytes, from the link-layer header on.
    pub bytes: u32,
    /// The rule that lets the source send it.
    #[serde(default, rename = "egressRule", skip_serializing_if = "Option::is_none")]
    pub egress: Option<RuleRef>,
    /// The rule that lets the destination have it.
    #[serde(default, rename = "ingressRule", skip_serializing_if = "Option::is_none")]
    pub ingress: Option<RuleRef>,
    /// Where no rule does: the policies that isolate the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isolated_by: Vec<PolicyRef>,
}

/// An end of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// Address.
    pub address: IpAddr,
    /// Port, of a protocol that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The Pod whose address it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodRef>,
    /// It is this node's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub node: bool,
}

/// A Service, at one of its addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAt {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Name of its port; empty for one without.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub port_name: String,
    /// The address that was asked for.
    pub address: IpAddr,
    /// The port that was asked for.
    pub port: u16,
}

/// A NetworkPolicy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub policy: String,
}

/// A rule of one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleRef {
    /// The policy.
    #[serde(flatten)]
    pub of: PolicyRef,
    /// Its place in the object's spec: `ingress[1]`.
    pub rule: String,
}

impl Verdict {
    /// The policies that had a part in it.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyRef> {
        let rules = [&self.egress, &self.ingress].into_iter().flatten();
        rules.map(|rule| &rule.of).chain(&self.isolated_by)
    }
}

impl End {
    /// Address and port as a URL has them.
    #[must_use]
    pub fn socket_addr(&self) -> String {
        self.port.map_or_else(|| self.address.to_string(), |port| SocketAddr::new(self.address, port).to_string())
    }
}

fn microseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A TCP SYN to a Service's endpoint that its policies drop.
    pub(crate) fn verdict() -> Verdict {
        let end = |ip: &str, port| End { address: ip.parse().unwrap(), port: Some(port), pod: None, node: false };
        Verdict {
            time: "2026-01-02T03:04:05.0607Z".parse().unwrap(),
            verdict: Kind::Drop,
            reason: Some("PolicyIngress".into()),
            message: Some("no rule allows it".into()),
            source: end("10.244.1.5", 40212),
            destination: end("10.244.1.7", 8080),
            service: Some(ServiceAt {
                namespace: "default".into(),
                name: "web".into(),
                port_name: String::new(),
                address: "10.96.0.10".parse().unwrap(),
                port: 80,
            }),
            protocol: "TCP".into(),
            tcp_flags: vec!["SYN".into()],
            interface: "veth1".into(),
            bytes: 74,
            egress: None,
            ingress: None,
            isolated_by: Vec::new(),
        }
    }

    #[test]
    fn each_line_is_told_from_the_others_and_comes_back() {
        let rule = RuleRef { of: PolicyRef { namespace: "a".into(), policy: "b".into() }, rule: "egress[1]".into() };
        for line in [
            Line::Verdict(Box::new(Verdict { egress: Some(rule), ..verdict() })),
            Line::NotShown { not_shown: 12 },
            Line::Refused { error: "full".into() },
        ] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
    }

    #[test]
    fn times_have_microseconds_and_what_is_absent_has_no_field() {
        let text = serde_json::to_string(&Line::Verdict(Box::new(verdict()))).unwrap();
        assert!(text.starts_with(r#"{"time":"2026-01-02T03:04:05.060700Z","verdict":"Drop","#), "{text}");
        assert!(!text.contains("egressRule") && !text.contains("null"), "{text}");
        assert_eq!(serde_json::to_string(&Line::NotShown { not_shown: 3 }).unwrap(), r#"{"notShown":3}"#);
    }
}
