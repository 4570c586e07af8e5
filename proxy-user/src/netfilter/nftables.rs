//! Tables of nftables by their names.

use std::io;

use netlink_packet_netfilter::nftables::{NfTablesMessage, TableAttribute, TableMessage};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};

/// The families whose tables are looked at, with the names that `nft` has for them.
pub(crate) const FAMILIES: [(NetfilterProtoFamily, &str); 2] =
    [(NetfilterProtoFamily::IPv4, "ip"), (NetfilterProtoFamily::IPv6, "ip6")];

/// Whether a family has a table.
///
/// # Errors
/// Tables can't be listed: that takes `CAP_NET_ADMIN`, and a kernel with nftables.
pub(crate) fn has_table(family: NetfilterProtoFamily, name: &str) -> io::Result<bool> {
    let mut found = false;
    let request = NfTablesMessage::GetTable(TableMessage { attributes: Vec::new() });
    dump_family(family, request, |message| {
        if let NfTablesMessage::NewTable(table) = message {
            found |= table.attributes.iter().any(|it| matches!(it, TableAttribute::Name(text) if text == name));
        }
    })?;
    Ok(found)
}

/// Removes a table with all that is in it.
pub(crate) fn delete_table(family: NetfilterProtoFamily, name: &str) -> io::Result<()> {
    let attributes = vec![TableAttribute::Name(name.into())];
    transact_family(family, NfTablesMessage::DeleteTable(TableMessage { attributes }))
}

fn dump_family(
    family: NetfilterProtoFamily,
    request: NfTablesMessage,
    mut each: impl FnMut(NfTablesMessage),
) -> io::Result<()> {
    super::socket::dump(NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), request), |message| {
        if let NetfilterMessageInner::NfTables(message) = message {
            each(message);
        }
    })
}

fn transact_family(family: NetfilterProtoFamily, request: NfTablesMessage) -> io::Result<()> {
    super::socket::transact(NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), request))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const NAME: &str = "kube-proxy";

    fn has() -> [bool; 2] {
        FAMILIES.map(|(family, _)| has_table(family, NAME).unwrap())
    }

    #[test]
    fn a_table_is_found_and_removed_in_its_own_family_alone() {
        let in_a_namespace = || {
            // SAFETY: only the network namespace of this thread changes; no file descriptor table is unshared.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
                .expect("this test runs as root");
            let add = |family, name: &str| {
                let attributes = vec![TableAttribute::Name(name.into())];
                transact_family(family, NfTablesMessage::NewTable(TableMessage { attributes })).unwrap();
            };
            let [(v4, _), (v6, _)] = FAMILIES;
            add(v6, "another");
            assert_eq!(has(), [false, false]);
            add(v4, NAME);
            assert_eq!(has(), [true, false]);
            delete_table(v4, NAME).unwrap();
            assert_eq!(has(), [false, false]);
            assert!(has_table(v6, "another").unwrap());
            assert!(delete_table(v4, NAME).is_err(), "what isn't there can't be removed");
        };
        thread::spawn(in_a_namespace).join().unwrap();
    }
}
