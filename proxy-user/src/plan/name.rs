//! Names of Service ports as `SERVICE_NAMES` holds them.

use proxy_common::addr::Family;
use proxy_common::tables::ServiceName;

use crate::model::{Protocol, ServicePortName, ServiceRef};

/// To the table. The parts are DNS labels, which fit with a zero byte to spare.
pub(super) fn to_table(name: &ServicePortName) -> ServiceName {
    ServiceName {
        namespace: padded(&name.service.namespace),
        name: padded(&name.service.name),
        port: padded(&name.port),
        protocol: name.protocol.number().into(),
        family: match name.family {
            Family::V4 => 4,
            Family::V6 => 6,
        },
    }
}

/// From the table; `None` where the entry is none that [`to_table`] writes.
pub(crate) fn from_table(name: &ServiceName) -> Option<ServicePortName> {
    Some(ServicePortName {
        service: ServiceRef::new(text(&name.namespace)?, text(&name.name)?),
        port: text(&name.port)?.to_owned(),
        protocol: Protocol::from_number(u8::try_from(name.protocol).ok()?)?,
        family: match name.family {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        },
    })
}

fn padded(label: &str) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (to, from) in bytes.iter_mut().zip(label.bytes()) {
        *to = from;
    }
    bytes
}

fn text(bytes: &[u8; 64]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    str::from_utf8(&bytes[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_longest_labels_comes_back() {
        let name = ServicePortName {
            service: ServiceRef::new("n".repeat(63), "s".repeat(63)),
            port: "p".repeat(63),
            protocol: Protocol::Sctp,
            family: Family::V6,
        };
        assert_eq!(from_table(&to_table(&name)), Some(name));
    }

    #[test]
    fn an_entry_that_is_no_name_is_told() {
        let name = ServicePortName {
            service: ServiceRef::new("default", "web"),
            port: String::new(),
            protocol: Protocol::Tcp,
            family: Family::V4,
        };
        let good = to_table(&name);
        assert_eq!(from_table(&ServiceName { family: 5, ..good }), None);
        assert_eq!(from_table(&ServiceName { protocol: 1, ..good }), None);
        assert_eq!(from_table(&ServiceName { name: [0xff; 64], ..good }), None);
    }
}
