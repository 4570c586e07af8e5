//! Which rule of its chain a Service's is: a packet passes those before it.

use std::net::SocketAddr;

/// "rule 4 of 12 in chain X", of what `iptables-save` prints; none if no rule is about the address and port.
#[must_use]
pub fn rule_place(rules: &str, to: SocketAddr) -> Option<String> {
    let (address, port) = (format!(" -d {}/32 ", to.ip()), format!(" --dport {} ", to.port()));
    let is_wanted = |rule: &&str| rule.contains(&address) && rule.contains(&port);
    let chain = chain_of(rules.lines().find(is_wanted)?)?;
    let of_chain: Vec<_> = rules.lines().filter(|rule| chain_of(rule) == Some(chain)).collect();
    let place = of_chain.iter().position(is_wanted)?;
    Some(format!("rule {} of {} in chain {chain}", place + 1, of_chain.len()))
}

fn chain_of(rule: &str) -> Option<&str> {
    rule.strip_prefix("-A ")?.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "*nat
:SERVICES - [0:0]
-A PREROUTING -j SERVICES
-A SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j ONE
-A SERVICES -d 10.96.255.1/32 -p tcp -m tcp --dport 8080 -j TWO
-A SERVICES -d 10.96.255.1/32 -p tcp -m tcp --dport 80 -j THREE
-A SERVICES -m addrtype --dst-type LOCAL -j NODEPORTS
COMMIT
";

    #[test]
    fn a_rule_s_place_is_among_those_of_its_own_chain() {
        let place = rule_place(RULES, "10.96.255.1:80".parse().unwrap());
        assert_eq!(place.as_deref(), Some("rule 3 of 4 in chain SERVICES"));
        assert_eq!(rule_place(RULES, "10.96.255.1:81".parse().unwrap()), None);
    }
}
