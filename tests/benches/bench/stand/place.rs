//! Which rule of its chain a Service's is: a packet passes those before it.

use std::net::SocketAddr;

/// "rule 4 of 12 in chain X", of what `iptables-save` prints; none if no rule is about the address and port.
pub(super) fn of(rules: &str, to: SocketAddr) -> Option<String> {
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
