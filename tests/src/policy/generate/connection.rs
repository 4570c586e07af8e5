//! Who asks whom.

use super::network_policy::PORTS;
use super::{Connection, Generator, Objects};
use crate::policy::case::Protocol;

impl Generator {
    /// So many connections between addresses of one family.
    pub(super) fn connections(&mut self, objects: &Objects, count: usize) -> Vec<Connection> {
        (0..count).map(|_| self.connection(objects)).collect()
    }

    fn connection(&mut self, objects: &Objects) -> Connection {
        let from = self.address(objects);
        let mut to = self.address(objects);
        while from.is_ipv4() != to.is_ipv4() {
            to = self.address(objects);
        }
        let protocol = match self.rng.u32(0..100) {
            0..55 => Protocol::Tcp,
            55..80 => Protocol::Udp,
            80..95 => Protocol::Sctp,
            _ => Protocol::Other,
        };
        // The numbers beside those that policies name are where a range begins too early or ends too late.
        let near = self.one_of(&PORTS).saturating_add(self.one_of(&[0, 0, 0, 1]));
        let port = match self.rng.u32(0..100) {
            0..85 => near,
            85..93 => self.one_of(&[79, 90, 91, 1023, 1024, 32767, 32768, 8082, 8999, 9000]),
            _ => self.rng.u16(1..),
        };
        Connection { from, to, protocol, port: if protocol == Protocol::Other { 0 } else { port } }
    }
}
