//! veth pairs between namespaces, and their checksum offload.

use std::ffi::c_char;
use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use crate::error::{Doing, Result};
use crate::ip::Batch;
use crate::netns;

/// `SIOCETHTOOL` of linux/sockios.h.
const SIOCETHTOOL: libc::Ioctl = 0x8946;
/// `ETHTOOL_STXCSUM` of linux/ethtool.h.
const ETHTOOL_STXCSUM: u32 = 0x17;

/// One side of a veth pair.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) netns: String,
    pub(crate) device: String,
}

impl End {
    pub(crate) fn new(netns: impl Into<String>, device: impl Into<String>) -> Self {
        Self { netns: netns.into(), device: device.into() }
    }
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {}", self.device, self.netns)
    }
}

/// A veth pair to be made, each side in its namespace from the start: names can't clash with the machine's own.
pub(crate) struct Pair {
    pub(crate) ends: [End; 2],
    pub(crate) mtu: u32,
}

/// Makes the pairs; without `offload`, packets leave each side with their checksums filled in, and no larger than the
/// MTU.
pub(crate) fn create(pairs: &[Pair], offload: bool) -> Result<()> {
    let mut batch = Batch::default();
    for Pair { ends: [a, b], mtu } in pairs {
        batch.add(format_args!(
            "link add {} mtu {mtu} netns {} type veth peer name {} mtu {mtu} netns {}",
            a.device, a.netns, b.device, b.netns
        ));
    }
    batch.run()?;
    if offload {
        return Ok(());
    }
    pairs.iter().flat_map(|pair| &pair.ends).try_for_each(|end| {
        netns::inside(&end.netns, || transmit_checksum_offload_off(&end.device))?
            .doing(|| format!("turn off transmit checksum offload on {end}"))
    })
}

/// `ethtool -K DEVICE tx off`; the kernel turns off segmentation offload with it.
fn transmit_checksum_offload_off(device: &str) -> io::Result<()> {
    #[repr(C)]
    struct EthtoolValue {
        command: u32,
        value: u32,
    }
    let mut off = EthtoolValue { command: ETHTOOL_STXCSUM, value: 0 };
    // SAFETY: an ifreq is plain numbers and a union of them, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes()).take(libc::IFNAMSIZ - 1) {
        *to = c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = (&raw mut off).cast();
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: the request and the value it points to live until the call returns; the kernel writes to neither beyond
    // their sizes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
