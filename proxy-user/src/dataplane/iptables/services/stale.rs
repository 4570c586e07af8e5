//! UDP flows that go to an endpoint that is none any more, or to none at all: conntrack would send them on there for as long
//! as their clients send (kube-proxy's rules 7.1 to 7.6).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use proxy_common::addr::{Addr, Port};
use proxy_common::tables::{MemberKey, ServiceKey, address_flags};

use crate::dataplane::iptables::error::Error;
use crate::model::Protocol;
use crate::netfilter::conntrack::{self, Connection};
use crate::plan::Image;

/// Has the kernel forget those of Service ports whose endpoints changed, given with the frontends that they have or had.
///
/// # Errors
/// Connections can't be listed or deleted.
pub(super) fn remove(image: &Image, changed: &BTreeMap<u32, BTreeSet<ServiceKey>>) -> Result<(), Error> {
    let mut frontends = HashMap::new();
    for (id, keys) in changed {
        frontends.extend(keys.iter().filter(|key| key.protocol == Protocol::Udp.number()).map(|key| (*key, *id)));
    }
    if frontends.is_empty() {
        return Ok(());
    }
    let mut stale = Vec::new();
    let list = conntrack::each(|connection| {
        if is_stale(image, &frontends, &connection) {
            stale.push(connection);
        }
    });
    list.map_err(|source| Error::Conntrack { action: "list", source })?;
    for connection in stale {
        conntrack::delete(connection).map_err(|source| Error::Conntrack { action: "delete", source })?;
    }
    Ok(())
}

/// Whether it is through one of the frontends, to nobody who serves it. What was never translated is stale once there is
/// somebody who does.
fn is_stale(image: &Image, frontends: &HashMap<ServiceKey, u32>, connection: &Connection) -> bool {
    if connection.protocol != Protocol::Udp.number() {
        return false;
    }
    let (to, port) = (Addr::from(connection.to.ip()), Port::new(connection.to.port()));
    let exact = ServiceKey::new(to, port, connection.protocol);
    let node_port = ServiceKey::new(to.family().any(), port, connection.protocol);
    let is_node = to.is_loopback() || image.addresses.get(&to).is_some_and(|it| it.is(address_flags::NODE));
    let id = frontends.get(&exact).or_else(|| frontends.get(&node_port).filter(|_| is_node));
    id.is_some_and(|id| {
        let serves = image.members.contains_key(&member(*id, connection.answered_by));
        !serves && (connection.is_translated || has_members(image, *id))
    })
}

fn member(id: u32, endpoint: SocketAddr) -> MemberKey {
    MemberKey::new(id, endpoint.ip().into(), Port::new(endpoint.port()))
}

fn has_members(image: &Image, id: u32) -> bool {
    let first = MemberKey::new(id, Addr::UNSPECIFIED, Port::new(0));
    image.members.range(first..).next().is_some_and(|(key, _)| key.service == id)
}
