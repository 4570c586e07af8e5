//! Connections that the kernel tracks.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Status, Tuple,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::socket::dump;

/// Calls `each` with protocol and destination, as its client has it, of every connection whose destination is translated.
///
/// # Errors
/// Connections can't be listed: that takes `CAP_NET_ADMIN`, and a kernel with `nf_conntrack_netlink`.
pub(crate) fn each_translated(mut each: impl FnMut(u8, SocketAddr)) -> io::Result<()> {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
    dump(NetfilterMessage::new(header, ConntrackMessage::Get(Vec::new())), |message| {
        if let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message
            && let Some((protocol, to)) = translated(&attributes)
        {
            each(protocol, to);
        }
    })
}

fn translated(attributes: &[ConntrackAttribute]) -> Option<(u8, SocketAddr)> {
    let is_translated = |attribute: &ConntrackAttribute| matches!(attribute, ConntrackAttribute::CtaStatus(status) if status.contains(Status::DstNat));
    if !attributes.iter().any(is_translated) {
        return None;
    }
    let original = attributes.iter().find_map(|attribute| match attribute {
        ConntrackAttribute::CtaTupleOrig(tuple) => Some(tuple),
        _ => None,
    })?;
    let (mut protocol, mut ip, mut port): (Option<Protocol>, Option<IpAddr>, Option<u16>) = Default::default();
    for part in original {
        match part {
            Tuple::Ip(parts) => ip = ip.or(parts.iter().find_map(destination)),
            Tuple::Proto(parts) => {
                protocol = protocol.or(parts.iter().find_map(number));
                port = port.or(parts.iter().find_map(destination_port));
            }
            _ => {}
        }
    }
    Some((protocol?.into(), SocketAddr::new(ip?, port?)))
}

fn destination(part: &IPTuple) -> Option<IpAddr> {
    if let IPTuple::DestinationAddress(ip) = part { Some(*ip) } else { None }
}

fn number(part: &ProtoTuple) -> Option<Protocol> {
    if let ProtoTuple::Protocol(protocol) = part { Some(*protocol) } else { None }
}

fn destination_port(part: &ProtoTuple) -> Option<u16> {
    if let ProtoTuple::DestinationPort(port) = part { Some(*port) } else { None }
}
