//! Addresses worth asking about, and CIDRs around them.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::{Value, json};

use super::Generator;
use crate::policy::case::Objects;
use crate::topology;

/// Addresses outside of the cluster, some beside each other.
const OUTSIDE: [&str; 8] = [
    "198.51.100.10",
    "198.51.100.11",
    "198.51.101.10",
    "203.0.113.255",
    "2001:db8:2::10",
    "2001:db8:2::11",
    "2001:db8:3::1",
    "fd00:10:244:ff::1",
];

/// CIDRs that hold much: also those of IPv6 in which an IPv4 address would be in its mapped form.
const WIDE: [&str; 8] =
    ["0.0.0.0/0", "::/0", "::/64", "::/1", "128.0.0.0/1", "10.0.0.0/8", "fd00::/8", "10.244.0.0/16"];

impl Generator {
    /// An address that something has, or nothing.
    pub(super) fn address(&mut self, objects: &Objects) -> IpAddr {
        let mut known: Vec<IpAddr> = Vec::new();
        match self.rng.u32(0..100) {
            0..70 => {
                let statuses = objects.pods.iter().filter_map(|pod| pod.status.as_ref());
                let ips = statuses.flat_map(|status| status.pod_ips.iter().flatten());
                known.extend(ips.filter_map(|ip| ip.ip.parse::<IpAddr>().ok()));
            }
            70..78 => known.extend([1, 2].into_iter().flat_map(|number| topology::node(number).iter())),
            78..83 => {
                let (node, index) = (self.rng.u8(1..=2), self.rng.u8(100..=101));
                known.extend(topology::pod(node, index).iter());
            }
            _ => {}
        }
        if known.is_empty() {
            known.extend(OUTSIDE.iter().filter_map(|text| text.parse::<IpAddr>().ok()));
        }
        self.one_of(&known)
    }

    /// An `ipBlock`, with exceptions that are next to each other, in each other, or the same.
    pub(super) fn ip_block(&mut self, objects: &Objects) -> Value {
        let cidr = if self.chance(40) {
            self.one_of(&WIDE).to_owned()
        } else {
            let address = self.address(objects);
            let length = if address.is_ipv4() { self.rng.u8(20..=32) } else { self.rng.u8(56..=128) };
            self.network(address, length)
        };
        let Ok(block) = cidr.parse::<IpNetwork>() else { return Value::Null };
        let longest = if block.is_ipv4() { 32 } else { 128 };
        if block.prefix() == longest || self.chance(40) {
            return json!({"cidr": cidr});
        }
        let except = self.list(0..=4, |make| {
            let address = make.address(objects);
            let within = if block.contains(address) { address } else { block.ip() };
            let length = make.rng.u8(block.prefix() + 1..=longest);
            let length = if make.chance(40) { longest } else { length };
            make.network(within, length)
        });
        json!({"cidr": cidr, "except": except})
    }

    /// The network of this length around an address. Objects that are older than the API server's stricter reading of
    /// CIDRs have them with bits of a host.
    fn network(&mut self, address: IpAddr, length: u8) -> String {
        match IpNetwork::new(address, length) {
            Ok(network) if self.chance(90) => format!("{}/{length}", network.network()),
            _ => format!("{address}/{length}"),
        }
    }
}
