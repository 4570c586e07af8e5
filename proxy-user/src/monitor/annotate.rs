//! From what the programs tell to what people can read.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::drop::Reason;
use proxy_common::event::Event;
use proxy_common::tables::Rule;
use proxy_common::wire::Tcp;

use super::{End, Kind, PodRef, PolicyRef, RuleRef, ServiceAt, Verdict};
use crate::reason::meaning;

/// Who is who on this node.
pub trait Names {
    /// The Pod that has an address.
    fn pod(&self, ip: IpAddr) -> Option<PodRef>;
    /// Whether an address is the node's own.
    fn is_node(&self, ip: IpAddr) -> bool;
    /// The Service that a packet to an address is for.
    fn service(&self, ip: IpAddr, port: u16, protocol: u8) -> Option<ServiceAt>;
    /// The policy of a number.
    fn policy(&self, number: u32) -> Option<PolicyRef>;
    /// The policies that isolate a pod of this node in a direction.
    fn isolating(&self, ip: IpAddr, direction: Direction) -> Vec<PolicyRef>;
    /// The interface of an index.
    fn interface(&self, ifindex: u32) -> Option<String>;
}

/// Direction of what a policy is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To the pods that it isolates.
    Ingress,
    /// From them.
    Egress,
}

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The kernel's monotonic clock in nanoseconds.
    pub monotonic: u64,
    /// The time of day.
    pub wall: Timestamp,
}

/// Gives names to all that is in an event. `None` for one of a kind that this build doesn't know, and for a packet that no
/// rule had to allow: one between a pod and its node, say, or itself. Such flows have no record, so each packet is told.
pub fn annotate(event: &Event, clocks: Clocks, names: &impl Names) -> Option<Verdict> {
    let verdict = Kind::from_number(event.kind)?;
    let (egress, ingress) = (rule(event.egress, names), rule(event.ingress, names));
    if verdict == Kind::Allow && egress.is_none() && ingress.is_none() {
        return None;
    }
    let reason = Reason::ALL.into_iter().find(|reason| reason.number() == event.reason);
    let number = event.key.protocol as u8;
    // What was stopped before it was translated goes nowhere else.
    let (dst, dst_port) =
        if event.dst.is_specified() { (event.dst, event.dst_port) } else { (event.key.dst, event.key.dst_port) };
    let end = |addr: Addr, port: Port| {
        let address = IpAddr::from(addr);
        let pod = names.pod(address);
        End { address, port: has_ports(number).then(|| port.number()), node: names.is_node(address), pod }
    };
    let isolated = match reason {
        Some(Reason::PolicyEgress) => names.isolating(event.key.src.into(), Direction::Egress),
        Some(Reason::PolicyIngress) => names.isolating(dst.into(), Direction::Ingress),
        _ => Vec::new(),
    };
    Some(Verdict {
        time: clocks.time_of(event.time),
        verdict,
        reason: reason.map(|reason| reason.name().to_owned()),
        message: reason.map(|reason| meaning(reason).to_owned()),
        source: end(event.key.src, event.key.src_port),
        destination: end(dst, dst_port),
        service: names.service(event.key.dst.into(), event.key.dst_port.number(), number),
        protocol: match protocol::name(number) {
            "?" => number.to_string(),
            name => name.to_owned(),
        },
        tcp_flags: flags(event.tcp_flags),
        interface: names.interface(event.ifindex).unwrap_or_else(|| format!("#{}", event.ifindex)),
        bytes: event.length,
        egress,
        ingress,
        isolated_by: isolated,
    })
}

impl Clocks {
    /// The time of day at which the monotonic clock showed `nanoseconds`.
    fn time_of(self, nanoseconds: u64) -> Timestamp {
        let ago = i64::try_from(i128::from(self.monotonic) - i128::from(nanoseconds)).unwrap_or_default();
        self.wall.checked_sub(SignedDuration::from_nanos(ago)).unwrap_or(self.wall)
    }
}

const fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP | protocol::SCTP)
}

fn flags(bits: u16) -> Vec<String> {
    let names = [(Tcp::SYN, "SYN"), (Tcp::FIN, "FIN"), (Tcp::RST, "RST"), (Tcp::ACK, "ACK")];
    let set = names.into_iter().filter(|(flag, _)| bits & u16::from(*flag) != 0);
    set.map(|(_, name)| name.to_owned()).collect()
}

/// `None` where none was needed; a policy that is gone by now has its number for a name.
fn rule(rule: Rule, names: &impl Names) -> Option<RuleRef> {
    if rule.policy == 0 {
        return None;
    }
    let unknown = || PolicyRef { namespace: String::new(), policy: format!("#{}", rule.policy) };
    let direction = if rule.index & Rule::EGRESS == 0 { "ingress" } else { "egress" };
    let of = names.policy(rule.policy).unwrap_or_else(unknown);
    Some(RuleRef { of, rule: format!("{direction}[{}]", rule.index & !Rule::EGRESS) })
}

#[cfg(test)]
mod tests {
    use proxy_common::event::kind;
    use proxy_common::tables::FlowKey;

    use super::*;

    /// Pod `client` at 10.0.0.5 talks to pod `web` at 10.0.0.7 through a Service at 10.96.0.10.
    struct Known;

    impl Names for Known {
        fn pod(&self, ip: IpAddr) -> Option<PodRef> {
            let name = [("10.0.0.5", "client"), ("10.0.0.7", "web")].into_iter().find(|(at, _)| *at == ip.to_string());
            name.map(|(_, name)| PodRef { namespace: "default".into(), name: name.into() })
        }
        fn is_node(&self, ip: IpAddr) -> bool {
            ip.to_string() == "192.0.2.1"
        }
        fn service(&self, address: IpAddr, port: u16, _protocol: u8) -> Option<ServiceAt> {
            let name = || ServiceAt {
                namespace: "default".into(),
                name: "web".into(),
                port_name: String::new(),
                address,
                port,
            };
            (address.to_string() == "10.96.0.10").then(name)
        }
        fn policy(&self, number: u32) -> Option<PolicyRef> {
            (number == 7).then(|| policy("seven"))
        }
        fn isolating(&self, ip: IpAddr, direction: Direction) -> Vec<PolicyRef> {
            vec![policy(&format!("{direction:?}-of-{ip}"))]
        }
        fn interface(&self, ifindex: u32) -> Option<String> {
            (ifindex == 3).then(|| "veth3".into())
        }
    }

    fn policy(name: &str) -> PolicyRef {
        PolicyRef { namespace: "default".into(), policy: name.into() }
    }

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn event() -> Event {
        Event {
            time: 5_000_000_000,
            key: FlowKey {
                src: addr("10.0.0.5"),
                dst: addr("10.96.0.10"),
                src_port: Port::new(40000),
                dst_port: Port::new(80),
                protocol: protocol::TCP.into(),
            },
            dst: addr("10.0.0.7"),
            dst_port: Port::new(8080),
            tcp_flags: Tcp::SYN.into(),
            ifindex: 3,
            kind: kind::DROP,
            reason: Reason::PolicyIngress.number(),
            egress: Rule { policy: 7, index: Rule::EGRESS | 2 },
            ingress: Rule::default(),
            length: 74,
            skipped: 0,
        }
    }

    fn annotated(event: &Event) -> Verdict {
        let clocks = Clocks { monotonic: 6_000_000_000, wall: "2026-01-02T03:04:05Z".parse().unwrap() };
        annotate(event, clocks, &Known).unwrap()
    }

    #[test]
    fn a_denial_names_pods_service_rule_and_who_isolates_the_end() {
        let verdict = annotated(&event());
        assert_eq!((verdict.verdict, verdict.reason.as_deref()), (Kind::Drop, Some("PolicyIngress")));
        assert_eq!(verdict.source.pod.unwrap().name, "client");
        assert_eq!(
            (verdict.destination.socket_addr(), verdict.destination.pod.unwrap().name),
            ("10.0.0.7:8080".into(), "web".into())
        );
        assert_eq!(verdict.service.unwrap().name, "web");
        let of = policy("seven");
        assert_eq!((verdict.egress, verdict.ingress), (Some(RuleRef { of, rule: "egress[2]".into() }), None));
        assert_eq!(verdict.isolated_by, [policy("Ingress-of-10.0.0.7")]);
        assert_eq!(
            (verdict.protocol.as_str(), verdict.tcp_flags, verdict.interface.as_str()),
            ("TCP", vec!["SYN".into()], "veth3")
        );
        assert_eq!(verdict.time, "2026-01-02T03:04:04Z".parse().unwrap(), "a second ago");
    }

    #[test]
    fn what_was_not_translated_goes_where_it_was_sent() {
        let verdict = annotated(&Event { dst: Addr::UNSPECIFIED, reason: Reason::NoEndpoints.number(), ..event() });
        assert_eq!(verdict.destination.socket_addr(), "10.96.0.10:80");
        assert!(verdict.isolated_by.is_empty(), "no policy is about it");
    }

    #[test]
    fn what_has_no_name_is_told_by_number() {
        let mut unknown = Event { ifindex: 9, reason: 0, kind: kind::ALLOW, ..event() };
        unknown.key.protocol = 47;
        unknown.ingress = Rule { policy: 8, index: 0 };
        let verdict = annotated(&unknown);
        assert_eq!((verdict.interface.as_str(), verdict.protocol.as_str(), verdict.reason), ("#9", "47", None));
        assert_eq!(verdict.source.port, None, "that protocol has no ports");
        let rule = verdict.ingress.unwrap();
        assert_eq!((rule.of.policy.as_str(), rule.rule.as_str()), ("#8", "ingress[0]"));
    }

    #[test]
    fn what_no_rule_allowed_and_what_is_of_an_unknown_kind_is_not_told() {
        let clocks = Clocks { monotonic: 0, wall: Timestamp::UNIX_EPOCH };
        assert_eq!(annotate(&Event { kind: 99, ..event() }, clocks, &Known), None);
        let exempt = Event { kind: kind::ALLOW, reason: 0, egress: Rule::default(), ..event() };
        assert_eq!(annotate(&exempt, clocks, &Known), None);
    }
}
