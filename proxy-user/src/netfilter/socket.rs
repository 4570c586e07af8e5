//! Requests to netfilter, and their answers.

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// More than the kernel puts into one answer.
const ANSWER_BYTES: usize = 64 << 10;
/// `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h.
const NFTABLES: u16 = 10;

/// Asks for all of something, and hands each message of the answer to `each`.
pub(super) fn dump(request: NetfilterMessage, mut each: impl FnMut(NetfilterMessageInner)) -> io::Result<()> {
    let mut socket = open()?;
    socket.send(&serialized(request, NLM_F_REQUEST | NLM_F_DUMP, 0), 0)?;
    answers(&mut socket, |payload| match payload {
        NetlinkPayload::Done(_) => Some(Ok(())),
        NetlinkPayload::Error(error) => Some(Err(error.to_io())),
        NetlinkPayload::InnerMessage(message) => {
            each(message.inner);
            None
        }
        _ => None,
    })
}

/// Asks for one thing, which is acknowledged.
pub(super) fn request(request: NetfilterMessage) -> io::Result<()> {
    let mut socket = open()?;
    socket.send(&serialized(request, NLM_F_REQUEST | NLM_F_ACK, 0), 0)?;
    answers(&mut socket, acknowledged)
}

/// Has nftables do one thing, in a transaction of its own.
pub(super) fn transact(request: NetfilterMessage) -> io::Result<()> {
    let control = |message: ControlMessage| {
        NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, NFTABLES), message)
    };
    let mut socket = open()?;
    let bytes = [
        serialized(control(ControlMessage::BatchBegin), NLM_F_REQUEST, 0),
        serialized(request, NLM_F_REQUEST | NLM_F_ACK, 1),
        serialized(control(ControlMessage::BatchEnd), NLM_F_REQUEST, 2),
    ];
    socket.send(&bytes.concat(), 0)?;
    answers(&mut socket, acknowledged)
}

/// What an acknowledgement, which is error 0, or an error says.
fn acknowledged(payload: NetlinkPayload<NetfilterMessage>) -> Option<io::Result<()>> {
    match payload {
        NetlinkPayload::Error(error) => Some(if error.code.is_none() { Ok(()) } else { Err(error.to_io()) }),
        _ => None,
    }
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

fn serialized(message: NetfilterMessage, flags: u16, sequence_number: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    (header.flags, header.sequence_number) = (flags, sequence_number);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
    message.serialize(&mut bytes);
    bytes
}

/// Reads messages until `end` makes something of one.
fn answers(
    socket: &mut Socket,
    mut end: impl FnMut(NetlinkPayload<NetfilterMessage>) -> Option<io::Result<()>>,
) -> io::Result<()> {
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    loop {
        answer.clear();
        socket.recv(&mut answer, 0)?;
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<NetfilterMessage>::deserialize(rest).map_err(io::Error::other)?;
            // Messages begin at multiples of four bytes.
            let length = (message.header.length as usize).next_multiple_of(4).max(4);
            if let Some(ended) = end(message.payload) {
                return ended;
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}
