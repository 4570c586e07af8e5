//! Connections that the kernel tracks.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Status, Tuple,
};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

use super::socket::{dump, request};

/// A connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Connection {
    /// Number of its IP protocol.
    pub(crate) protocol: u8,
    /// Its destination, as its client has it.
    pub(crate) to: SocketAddr,
    /// Who answers it: another than `to` where the destination is translated.
    pub(crate) answered_by: SocketAddr,
    /// Its destination is translated.
    pub(crate) is_translated: bool,
    original: Vec<Tuple>,
}

/// Calls `each` with every connection that has ports.
///
/// # Errors
/// Connections can't be listed: that takes `CAP_NET_ADMIN`, and a kernel with `nf_conntrack_netlink`.
pub(crate) fn each(mut each: impl FnMut(Connection)) -> io::Result<()> {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
    dump(NetfilterMessage::new(header, ConntrackMessage::Get(Vec::new())), |message| {
        if let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message
            && let Some(connection) = connection(attributes)
        {
            each(connection);
        }
    })
}

/// Has the kernel forget a connection: the next packet of it begins another. It need not know it any more.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn delete(connection: Connection) -> io::Result<()> {
    let family = if connection.to.is_ipv4() { NetfilterProtoFamily::IPv4 } else { NetfilterProtoFamily::IPv6 };
    let message = ConntrackMessage::Delete(vec![ConntrackAttribute::CtaTupleOrig(connection.original)]);
    match request(NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

fn connection(attributes: Vec<ConntrackAttribute>) -> Option<Connection> {
    let (mut original, mut reply, mut is_translated) = (None, None, false);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(tuple) => original = Some(tuple),
            ConntrackAttribute::CtaTupleReply(tuple) => reply = Some(tuple),
            ConntrackAttribute::CtaStatus(status) => is_translated = status.contains(Status::DstNat),
            _ => {}
        }
    }
    let (original, reply) = (original?, reply?);
    let to = end(&original, destination, destination_port)?;
    let answered_by = end(&reply, source, source_port)?;
    let protocol = proto(&original, number)?.into();
    Some(Connection { protocol, to, answered_by, is_translated, original })
}

/// One end of a direction.
fn end(
    tuple: &[Tuple],
    ip: fn(&IPTuple) -> Option<IpAddr>,
    port: fn(&ProtoTuple) -> Option<u16>,
) -> Option<SocketAddr> {
    let address =
        tuple.iter().find_map(|part| if let Tuple::Ip(parts) = part { parts.iter().find_map(ip) } else { None });
    Some(SocketAddr::new(address?, proto(tuple, port)?))
}

fn proto<T>(tuple: &[Tuple], of: fn(&ProtoTuple) -> Option<T>) -> Option<T> {
    tuple.iter().find_map(|part| if let Tuple::Proto(parts) = part { parts.iter().find_map(of) } else { None })
}

fn destination(part: &IPTuple) -> Option<IpAddr> {
    if let IPTuple::DestinationAddress(ip) = part { Some(*ip) } else { None }
}

fn source(part: &IPTuple) -> Option<IpAddr> {
    if let IPTuple::SourceAddress(ip) = part { Some(*ip) } else { None }
}

fn number(part: &ProtoTuple) -> Option<Protocol> {
    if let ProtoTuple::Protocol(protocol) = part { Some(*protocol) } else { None }
}

fn destination_port(part: &ProtoTuple) -> Option<u16> {
    if let ProtoTuple::DestinationPort(port) = part { Some(*port) } else { None }
}

fn source_port(part: &ProtoTuple) -> Option<u16> {
    if let ProtoTuple::SourcePort(port) = part { Some(*port) } else { None }
}
