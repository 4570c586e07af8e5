//! What a listener wants to hear of.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use proxy_common::event::kind;
use serde::{Deserialize, Serialize};

use super::Verdict;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// It was dropped or refused.
    Drop,
    /// It is the first of a flow that passes, or of one that passes a changed policy.
    Allow,
    /// It passes, and would not if the policy were enforced.
    Audit,
}

/// What to tell a listener: a line of JSON that it sends first. Without anything in it: everything.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Only these; empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub verdicts: BTreeSet<Kind>,
    /// Only what this one sent or was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Whom>,
    /// Only what this policy had a part in: by a rule that allowed it, or by isolating the end that none allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<NameFilter>,
}

/// A pod or an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Whom {
    /// This address, be it a Service's.
    Address(IpAddr),
    /// The Pods of this name.
    Pod(NameFilter),
}

/// A name; of whatever namespace, unless it has one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NameFilter {
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl Kind {
    /// From [`proxy_common::event::Event::kind`].
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            kind::DROP => Some(Self::Drop),
            kind::ALLOW => Some(Self::Allow),
            kind::AUDIT => Some(Self::Audit),
            _ => None,
        }
    }

    const fn bit(self) -> u32 {
        1 << match self {
            Self::Drop => kind::DROP,
            Self::Allow => kind::ALLOW,
            Self::Audit => kind::AUDIT,
        }
    }
}

impl Wanted {
    /// The bits of [`proxy_common::event::Listening::kinds`] for it.
    #[must_use]
    pub fn kinds(&self) -> u32 {
        [Kind::Drop, Kind::Allow, Kind::Audit].into_iter().filter(|kind| self.takes_kind(*kind)).map(Kind::bit).sum()
    }

    /// Whether the listener wants to hear of it.
    #[must_use]
    pub fn takes(&self, verdict: &Verdict) -> bool {
        self.takes_kind(verdict.verdict)
            && self.pod.as_ref().is_none_or(|whom| whom.takes(verdict))
            && self
                .policy
                .as_ref()
                .is_none_or(|policy| verdict.policies().any(|it| policy.takes(&it.namespace, &it.policy)))
    }

    fn takes_kind(&self, kind: Kind) -> bool {
        self.verdicts.is_empty() || self.verdicts.contains(&kind)
    }
}

impl Whom {
    fn takes(&self, verdict: &Verdict) -> bool {
        let mut ends = [&verdict.source, &verdict.destination].into_iter();
        match self {
            Self::Address(ip) => {
                ends.any(|end| end.address == *ip) || verdict.service.as_ref().is_some_and(|at| at.address == *ip)
            }
            Self::Pod(name) => ends.filter_map(|end| end.pod.as_ref()).any(|pod| name.takes(&pod.namespace, &pod.name)),
        }
    }
}

impl NameFilter {
    fn takes(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

impl From<String> for Whom {
    fn from(text: String) -> Self {
        text.parse().map_or_else(|_| Self::Pod(text.into()), Self::Address)
    }
}

impl From<String> for NameFilter {
    fn from(text: String) -> Self {
        match text.split_once('/') {
            Some((namespace, name)) => Self { namespace: Some(namespace.into()), name: name.into() },
            None => Self { namespace: None, name: text },
        }
    }
}

impl FromStr for Whom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl FromStr for NameFilter {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl fmt::Display for NameFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl From<Whom> for String {
    fn from(whom: Whom) -> Self {
        match whom {
            Whom::Address(ip) => ip.to_string(),
            Whom::Pod(name) => name.to_string(),
        }
    }
}

impl From<NameFilter> for String {
    fn from(name: NameFilter) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::verdict;
    use super::super::{PodRef, PolicyRef, RuleRef};
    use super::*;

    fn with(change: impl FnOnce(&mut Wanted)) -> Wanted {
        let mut wanted = Wanted::default();
        change(&mut wanted);
        wanted
    }

    #[test]
    fn everything_is_wanted_unless_something_is_named() {
        assert_eq!(Wanted::default().kinds(), 0b1110);
        assert!(Wanted::default().takes(&verdict()));
        let drops = with(|wanted| wanted.verdicts = [Kind::Drop].into());
        assert_eq!(drops.kinds(), 1 << kind::DROP);
        assert!(drops.takes(&verdict()));
        assert!(!drops.takes(&Verdict { verdict: Kind::Allow, ..verdict() }));
    }

    #[test]
    fn a_pod_is_wanted_by_name_or_address_at_either_end() {
        let mut it = verdict();
        it.source.pod = Some(PodRef { namespace: "default".into(), name: "client".into() });
        let takes = |text: &str| with(|wanted| wanted.pod = Some(text.parse().unwrap())).takes(&it);
        assert!(takes("client") && takes("default/client") && takes("10.244.1.5"), "the source");
        assert!(takes("10.244.1.7"), "the destination");
        assert!(takes("10.96.0.10"), "the Service");
        assert!(!takes("other/client") && !takes("web") && !takes("10.244.1.6"));
    }

    #[test]
    fn a_policy_is_wanted_for_its_rules_and_for_what_it_isolates() {
        let policy = |name: &str| PolicyRef { namespace: "default".into(), policy: name.into() };
        let it = Verdict {
            isolated_by: vec![policy("deny-all")],
            egress: Some(RuleRef { of: policy("out"), rule: "egress[0]".into() }),
            ..verdict()
        };
        let takes = |text: &str| with(|wanted| wanted.policy = Some(text.parse().unwrap())).takes(&it);
        assert!(takes("deny-all") && takes("default/out"));
        assert!(!takes("other/out") && !takes("in"));
    }

    #[test]
    fn what_is_wanted_comes_back_from_its_line() {
        let wanted = Wanted {
            verdicts: [Kind::Drop, Kind::Audit].into(),
            pod: Some(Whom::Address("fd00::1".parse().unwrap())),
            policy: Some("default/deny-all".parse().unwrap()),
        };
        let line = serde_json::to_string(&wanted).unwrap();
        assert_eq!(line, r#"{"verdicts":["Drop","Audit"],"pod":"fd00::1","policy":"default/deny-all"}"#);
        assert_eq!(serde_json::from_str::<Wanted>(&line).unwrap(), wanted);
        assert_eq!(serde_json::from_str::<Wanted>("{}").unwrap(), Wanted::default());
    }
}
