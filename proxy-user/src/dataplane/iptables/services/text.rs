//! Parts of rules, in the form in which `iptables-save` prints them.

use proxy_common::addr::{Addr, Family};
use proxy_common::tables::ServiceKey;

use crate::model::Protocol;

/// A comment. What we say always has a blank or a slash in it, and so stands in quotes.
pub(super) fn comment(text: &str) -> String {
    format!("-m comment --comment \"{text}\"")
}

/// Packets to an address and port.
pub(super) fn to_frontend(key: &ServiceKey, protocol: Protocol, note: &str) -> String {
    format!("-d {} {}", host(key.addr), to_port(key, protocol, note))
}

/// Packets to a port, whatever the address.
pub(super) fn to_port(key: &ServiceKey, protocol: Protocol, note: &str) -> String {
    let protocol = protocol_name(protocol);
    format!("-p {protocol} {} -m {protocol} --dport {}", comment(note), key.port)
}

/// A protocol, as rules name it and the match of its ports.
pub(super) const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// One address as a network.
pub(super) fn host(addr: Addr) -> String {
    format!("{addr}/{}", bits(addr.family()))
}

/// The option of `recent` that has it keep whole addresses.
pub(super) const fn whole_address(family: Family) -> &'static str {
    match family {
        Family::V4 => "255.255.255.255",
        Family::V6 => "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    }
}

/// The answer to what nobody serves. TCP's own, as programs give: an ICMP error that comes while `connect` holds the socket,
/// as in a pod of this node, is lost on it (`LockDroppedIcmps`), and the client waits for its next try. No limit of the
/// kernel's on ICMP holds it back, either.
pub(super) const fn reject(family: Family, protocol: Protocol) -> &'static str {
    match (protocol, family) {
        (Protocol::Tcp, _) => "REJECT --reject-with tcp-reset",
        (_, Family::V4) => "REJECT --reject-with icmp-port-unreachable",
        (_, Family::V6) => "REJECT --reject-with icmp6-port-unreachable",
    }
}

/// Bits of an address.
pub(super) const fn bits(family: Family) -> u32 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}
