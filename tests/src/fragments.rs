//! IP fragments as a sender makes them, for suites that choose their order.

/// Bytes of an IPv4 header without options, and of an IPv6 header.
const V4: usize = 20;
const V6: usize = 40;
/// Next header: fragment (RFC 8200, 4.5).
const FRAGMENT: u8 = 44;

/// Cuts an IP packet without options or extension headers into fragments with at most `payload` bytes (a multiple of
/// eight) each.
#[must_use]
pub fn cut(packet: &[u8], id: u16, payload: usize) -> Vec<Vec<u8>> {
    let v4 = packet[0] >> 4 == 4;
    let (head, body) = packet.split_at(if v4 { V4 } else { V6 });
    let count = body.len().div_ceil(payload);
    let fragment = |(i, part): (usize, &[u8])| {
        let (offset, more) = ((i * payload / 8) as u16, i + 1 < count);
        let header = if v4 { v4_header(head, part, id, offset, more) } else { v6_header(head, part, id, offset, more) };
        [&header, part].concat()
    };
    body.chunks(payload).enumerate().map(fragment).collect()
}

fn v4_header(head: &[u8], part: &[u8], id: u16, offset: u16, more: bool) -> Vec<u8> {
    let mut ip = head.to_vec();
    ip[2..4].copy_from_slice(&((V4 + part.len()) as u16).to_be_bytes());
    ip[4..6].copy_from_slice(&id.to_be_bytes());
    ip[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    ip[10..12].fill(0);
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(folded + (folded >> 16)) as u16).to_be_bytes());
    ip
}

fn v6_header(head: &[u8], part: &[u8], id: u16, offset: u16, more: bool) -> Vec<u8> {
    let mut ip = head.to_vec();
    ip[4..6].copy_from_slice(&((8 + part.len()) as u16).to_be_bytes());
    let next = std::mem::replace(&mut ip[6], FRAGMENT);
    ip.extend([next, 0]);
    ip.extend((offset << 3 | u16::from(more)).to_be_bytes());
    ip.extend(u32::from(id).to_be_bytes());
    ip
}
