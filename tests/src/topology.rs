//! The lab's address plan.
//!
//! ```text
//!   pods 10.244.1.0/24          pods 10.244.2.0/24
//!   fd00:10:244:1::/64          fd00:10:244:2::/64
//!        |                           |
//!      node1                       node2
//!   192.0.2.11                  192.0.2.12
//!   2001:db8:1::11              2001:db8:1::12
//!        |____ 192.0.2.0/24 _________|
//!              2001:db8:1::/64
//!                    | .1  ::1
//!                   wire  (routes; doesn't know the pods)
//!                    | .1  ::1
//!              198.51.100.0/24
//!              2001:db8:2::/64
//!                    |
//!                 client  198.51.100.10, 2001:db8:2::10
//! ```
//!
//! Service addresses, 10.96.0.0/16 and `fd00:10:96::/112`, have no route of their own anywhere.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::family::{Addresses, Family};

/// The outside client.
pub const CLIENT: Addresses =
    Addresses { v4: Ipv4Addr::new(198, 51, 100, 10), v6: Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10) };

/// The router, on the client's side.
pub const CLIENT_GATEWAY: Addresses =
    Addresses { v4: Ipv4Addr::new(198, 51, 100, 1), v6: Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1) };

/// The router, on the nodes' side.
pub const NODE_GATEWAY: Addresses =
    Addresses { v4: Ipv4Addr::new(192, 0, 2, 1), v6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1) };

/// Node `number`, from 1.
#[must_use]
pub const fn node(number: u8) -> Addresses {
    Addresses {
        v4: Ipv4Addr::new(192, 0, 2, 10 + number),
        v6: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, digits(10 + number)),
    }
}

/// The second uplink of node `number`, in labs that have one.
#[must_use]
pub const fn second_uplink(number: u8) -> Addresses {
    node(number + 10)
}

/// Pod `index` (2 to 254) of a node: both addresses end in the same digits, 10.244.1.20 and
/// `fd00:10:244:1::20`.
#[must_use]
pub const fn pod(node: u8, index: u8) -> Addresses {
    Addresses {
        v4: Ipv4Addr::new(10, 244, node, index),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x244, digits(node), 0, 0, 0, digits(index)),
    }
}

/// The length of a subnet's prefix: segments and the pods of a node are one subnet each.
pub(crate) const fn subnet_length(family: Family) -> u8 {
    match family {
        Family::V4 => 24,
        Family::V6 => 64,
    }
}

/// The length of a single address's prefix.
pub(crate) const fn host_length(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// The hexadecimal number that is written as `decimal` is.
const fn digits(decimal: u8) -> u16 {
    let decimal = decimal as u16;
    (decimal / 100) << 8 | (decimal / 10 % 10) << 4 | (decimal % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_of_a_host_end_in_the_same_digits() {
        assert_eq!(pod(1, 120).of(Family::V4).to_string(), "10.244.1.120");
        assert_eq!(pod(1, 120).of(Family::V6).to_string(), "fd00:10:244:1::120");
        assert_eq!(node(2).of(Family::V6).to_string(), "2001:db8:1::12");
    }
}
