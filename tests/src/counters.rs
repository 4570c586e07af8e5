//! What a host's kernel counted since the host was made.

use crate::error::{Error, Result};
use crate::host::Host;

impl Host {
    /// A counter of `/proc/net/snmp`: `("Tcp", "RetransSegs")`.
    pub fn counter(&self, protocol: &str, name: &str) -> Result<u64> {
        let text = self.run(&["cat", "/proc/net/snmp"])?;
        of_table(&text, protocol, name).ok_or_else(|| unknown(&format!("{protocol} {name}")))
    }

    /// A counter of `/proc/net/snmp6`: `Udp6NoPorts`.
    pub fn counter6(&self, name: &str) -> Result<u64> {
        let text = self.run(&["cat", "/proc/net/snmp6"])?;
        of_list(&text, name).ok_or_else(|| unknown(name))
    }
}

/// A line of a protocol's names, then one of its values.
fn of_table(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(": "));
    let (names, values) = (lines.next()?, lines.next()?);
    let position = names.split(' ').position(|it| it == name)?;
    values.split(' ').nth(position)?.parse().ok()
}

/// A name and its value a line.
fn of_list(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
    lines.find_map(|(found, value)| (found == name).then(|| value.trim().parse().ok())?)
}

fn unknown(name: &str) -> Error {
    Error::Unknown { what: "counter of a host", name: name.into(), have: "are others".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_protocol_and_name() {
        let text = "Udp: InDatagrams NoPorts\nUdp: 7 8\nUdpLite: InDatagrams NoPorts\nUdpLite: 1 2\n";
        assert_eq!(of_table(text, "Udp", "NoPorts"), Some(8));
        assert_eq!(of_table(text, "UdpLite", "InDatagrams"), Some(1));
        assert_eq!(of_table(text, "Tcp", "InSegs"), None);
        assert_eq!(of_list("Ip6InReceives  3\nUdp6NoPorts\t5\n", "Udp6NoPorts"), Some(5));
        assert_eq!(of_list("Udp6NoPortsEver 5\n", "Udp6NoPorts"), None);
    }
}
