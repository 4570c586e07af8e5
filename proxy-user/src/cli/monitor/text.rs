//! A verdict as a line for people.

use anstyle::{AnsiColor, Style};

use crate::monitor::{End, Kind, Line, PolicyRef, RuleRef, ServiceAt, Verdict};

/// The line, without its end.
pub(super) fn line(line: &Line, colours: bool) -> String {
    match line {
        Line::Verdict(verdict) => verdict_line(verdict, colours),
        Line::NotShown { not_shown } => format!("... {not_shown} not shown"),
        Line::Refused { error } => error.clone(),
    }
}

/// When, what, who to whom by which Service, which packet where; why.
fn verdict_line(verdict: &Verdict, colours: bool) -> String {
    let mut words = vec![verdict.time.strftime("%H:%M:%S%.6f").to_string(), word(verdict.verdict, colours)];
    words.extend(verdict.reason.clone());
    words.extend([end(&verdict.source), "->".into(), end(&verdict.destination)]);
    words.extend(verdict.service.as_ref().map(|at| service(at, &verdict.destination)));
    words.push(verdict.protocol.clone());
    words.extend((!verdict.tcp_flags.is_empty()).then(|| verdict.tcp_flags.join(",")));
    words.push(format!("on {}", verdict.interface));
    let why = why(verdict);
    if why.is_empty() { words.join(" ") } else { format!("{}; {}", words.join(" "), why.join("; ")) }
}

fn word(verdict: Kind, colours: bool) -> String {
    let (word, colour) = match verdict {
        Kind::Drop => ("DROP", AnsiColor::Red),
        Kind::Allow => ("ALLOW", AnsiColor::Green),
        Kind::Audit => ("AUDIT", AnsiColor::Yellow),
    };
    let style = if colours { colour.on_default() } else { Style::new() };
    format!("{style}{word}{style:#}")
}

fn end(end: &End) -> String {
    match &end.pod {
        Some(pod) => format!("{}/{} ({})", pod.namespace, pod.name, end.socket_addr()),
        None if end.node => format!("node ({})", end.socket_addr()),
        None => end.socket_addr(),
    }
}

fn service(at: &ServiceAt, destination: &End) -> String {
    let port = if at.port_name.is_empty() { String::new() } else { format!(":{}", at.port_name) };
    let name = format!("{}/{}{port}", at.namespace, at.name);
    if (at.address, Some(at.port)) == (destination.address, destination.port) {
        return format!("(Service {name})");
    }
    let asked = End { address: at.address, port: Some(at.port), pod: None, node: false };
    format!("(Service {name} at {})", asked.socket_addr())
}

/// What is known of the reasons. Those of a denial are in the policies; a rule that let it out is told all the same.
fn why(verdict: &Verdict) -> Vec<String> {
    let rules =
        [&verdict.egress, &verdict.ingress].into_iter().flatten().map(|rule| format!("allowed by {}", name(rule)));
    let mut why: Vec<String> = rules.collect();
    if !verdict.isolated_by.is_empty() {
        why.push(format!("isolated by {}", policies(&verdict.isolated_by)));
    }
    why.extend(verdict.message.clone());
    why
}

fn name(rule: &RuleRef) -> String {
    format!("{} {}", policy(&rule.of), rule.rule)
}

fn policies(policies: &[PolicyRef]) -> String {
    policies.iter().map(policy).collect::<Vec<_>>().join(", ")
}

fn policy(policy: &PolicyRef) -> String {
    if policy.namespace.is_empty() { policy.policy.clone() } else { format!("{}/{}", policy.namespace, policy.policy) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::PodRef;

    fn at(address: &str, port: Option<u16>, pod: Option<&str>) -> End {
        let pod = pod.map(|name| PodRef { namespace: "default".into(), name: name.into() });
        End { address: address.parse().unwrap(), port, pod, node: false }
    }

    fn denied() -> Verdict {
        Verdict {
            time: "2026-01-02T14:03:22.123456Z".parse().unwrap(),
            verdict: Kind::Drop,
            reason: Some("PolicyIngress".into()),
            message: Some("no rule allows it".into()),
            source: at("10.244.1.5", Some(40212), Some("client")),
            destination: at("10.244.1.7", Some(80), Some("web")),
            service: None,
            protocol: "TCP".into(),
            tcp_flags: vec!["SYN".into()],
            interface: "veth1".into(),
            bytes: 74,
            egress: None,
            ingress: None,
            isolated_by: ["deny-all", "web"]
                .map(|name| PolicyRef { namespace: "default".into(), policy: name.into() })
                .into(),
        }
    }

    fn text(verdict: Verdict) -> String {
        line(&Line::Verdict(Box::new(verdict)), false)
    }

    #[test]
    fn a_denial_is_told_with_who_isolates_the_end() {
        assert_eq!(
            text(denied()),
            "14:03:22.123456 DROP PolicyIngress default/client (10.244.1.5:40212) -> default/web (10.244.1.7:80) TCP SYN on \
             veth1; isolated by default/deny-all, default/web; no rule allows it"
        );
    }

    #[test]
    fn a_flow_that_passes_is_told_with_the_rules_that_let_it() {
        let rule = |policy: &str, rule: &str| {
            Some(RuleRef { of: PolicyRef { namespace: "a".into(), policy: policy.into() }, rule: rule.into() })
        };
        let passes = Verdict {
            verdict: Kind::Allow,
            reason: None,
            message: None,
            source: End { node: true, ..at("192.0.2.1", None, None) },
            destination: at("fd00::1", None, None),
            protocol: "ICMPv6".into(),
            tcp_flags: Vec::new(),
            egress: rule("out", "egress[0]"),
            ingress: rule("in", "ingress[1]"),
            isolated_by: Vec::new(),
            ..denied()
        };
        assert_eq!(
            text(passes),
            "14:03:22.123456 ALLOW node (192.0.2.1) -> fd00::1 ICMPv6 on veth1; allowed by a/out egress[0]; allowed by a/in \
             ingress[1]"
        );
    }

    #[test]
    fn a_service_is_told_with_its_address_where_that_is_another() {
        let service = |address: &str| {
            Some(ServiceAt {
                namespace: "default".into(),
                name: "web".into(),
                port_name: "http".into(),
                address: address.parse().unwrap(),
                port: 80,
            })
        };
        let behind = text(Verdict { service: service("10.96.0.1"), ..denied() });
        assert!(behind.contains("(10.244.1.7:80) (Service default/web:http at 10.96.0.1:80) TCP"), "{behind}");
        let itself = text(Verdict { service: service("10.244.1.7"), ..denied() });
        assert!(itself.contains("(10.244.1.7:80) (Service default/web:http) TCP"), "{itself}");
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        let coloured = line(&Line::Verdict(Box::new(denied())), true);
        assert!(coloured.contains("\u{1b}[31mDROP\u{1b}[0m"), "{coloured:?}");
        assert!(!text(denied()).contains('\u{1b}'));
    }

    #[test]
    fn what_is_not_shown_is_told() {
        assert_eq!(line(&Line::NotShown { not_shown: 1234 }, true), "... 1234 not shown");
    }
}
