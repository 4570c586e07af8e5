//! The addresses inside pods' network namespaces, which go by the numbers they have in the node's.
//!
//! A notification says in which namespace addresses changed, and only that one is read again. Beside that, a pod that has
//! no address yet is looked at again soon: it is to be known before its first packet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::StreamExt as _;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::{Handle, new_connection_with_strict_check};
use tokio::time::{Instant, sleep_until};

use super::Error;
use super::event::{Event, decode};
use super::namespace_events::{NamespaceEvents, Told};
use super::observed::is_reachable;

/// Addresses by the namespace's number, each with the index that its interface has there.
pub(super) type PodAddresses = BTreeMap<i32, Vec<(u32, IpAddr)>>;

/// How soon a pod without an address is looked at again: this, then twice as long each time.
const SOON: Duration = Duration::from_millis(20);
/// The longest of these times.
const AT_LEAST: Duration = Duration::from_secs(1);
/// How often a namespace is read anew because its addresses changed below the reading.
const ATTEMPTS: u32 = 5;

pub(super) struct PodNamespaces {
    /// Asks strictly: otherwise the kernel takes a namespace's number for nothing and lists the node's own addresses.
    handle: Handle,
    /// `None` where this process may not listen to other namespaces.
    events: Option<NamespaceEvents>,
    addresses: PodAddresses,
    /// Namespaces whose addresses may be others than when they were read.
    stale: BTreeSet<i32>,
    pause: Duration,
    /// When to look again, though nobody says that something changed.
    look_at: Option<Instant>,
}

impl PodNamespaces {
    pub(super) fn open() -> Result<Self, Error> {
        let (mut connection, handle, _) =
            new_connection_with_strict_check().map_err(|source| Error::Open { source })?;
        // The end of a dump says whether it was interrupted.
        connection.set_forward_done(true);
        tokio::spawn(connection);
        let events = match NamespaceEvents::open() {
            Ok(events) => Some(events),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                tracing::warn!(%error, "pods' addresses are looked at every second, as this process may not be told of them");
                None
            }
            Err(source) => return Err(Error::Open { source }),
        };
        Ok(Self { handle, events, addresses: PodAddresses::new(), stale: BTreeSet::new(), pause: SOON, look_at: None })
    }

    /// As they were read last.
    pub(super) const fn addresses(&self) -> &PodAddresses {
        &self.addresses
    }

    /// Something about the interface that leads to a namespace changed: its number may mean another now.
    pub(super) fn mark_stale(&mut self, number: i32) {
        self.stale.insert(number);
    }

    /// Waits until it is time to read some of them anew.
    pub(super) async fn changed(&mut self) {
        while self.stale.is_empty() {
            let Self { events, look_at, .. } = self;
            tokio::select! {
                told = next(events.as_ref()) => self.note(told),
                () = at(*look_at) => self.look_again(),
            }
        }
    }

    fn note(&mut self, told: std::io::Result<Told>) {
        match told {
            Ok(Told::In(number)) => drop(self.stale.insert(number)),
            Ok(Told::Here) => {}
            Ok(Told::Anywhere) => self.stale.extend(self.addresses.keys()),
            Err(error) => {
                tracing::error!(%error, "pods' addresses are looked at every second, as nothing tells of them any more");
                self.events = None;
                self.stale.extend(self.addresses.keys());
            }
        }
    }

    /// Those without an address; all, where nobody tells of changes.
    fn look_again(&mut self) {
        self.look_at = None;
        let is_due = |addresses: &Vec<_>| self.events.is_none() || addresses.is_empty();
        let due = self.addresses.iter().filter(|(_, addresses)| is_due(addresses)).map(|(number, _)| *number);
        self.stale.extend(due);
    }

    /// Brings the addresses up to date, of these namespaces and no others; which of them had to be read.
    pub(super) async fn read(&mut self, numbers: &BTreeSet<i32>) -> BTreeSet<i32> {
        // What was told until now is part of what is read now.
        while let Some(told) = self.events.as_ref().and_then(NamespaceEvents::next_now) {
            self.note(Ok(told));
        }
        self.addresses.retain(|number, _| numbers.contains(number));
        let stale = std::mem::take(&mut self.stale);
        let is_due = |number: &&i32| stale.contains(number) || !self.addresses.contains_key(number);
        let due: BTreeSet<i32> = numbers.iter().filter(is_due).copied().collect();
        for number in &due {
            let addresses = self.addresses_in(*number).await;
            self.addresses.insert(*number, addresses);
        }
        self.look_at = self.next_look();
        due
    }

    fn next_look(&mut self) -> Option<Instant> {
        if self.addresses.values().any(Vec::is_empty) {
            let pause = self.pause;
            self.pause = (pause * 2).min(AT_LEAST);
            return Some(Instant::now() + pause);
        }
        self.pause = SOON;
        self.events.is_none().then(|| Instant::now() + AT_LEAST)
    }

    /// None where the namespace is gone: its number may have been told a moment before.
    async fn addresses_in(&mut self, number: i32) -> Vec<(u32, IpAddr)> {
        for _ in 0..ATTEMPTS {
            if let Some(addresses) = self.list(number).await {
                return addresses;
            }
        }
        Vec::new()
    }

    /// `None` when the list changed meanwhile.
    async fn list(&mut self, number: i32) -> Option<Vec<(u32, IpAddr)>> {
        let mut request = AddressMessage::default();
        request.attributes.push(AddressAttribute::TargetNetNsId(number));
        let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetAddress(request));
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let Ok(mut answers) = self.handle.request(message) else { return Some(Vec::new()) };
        let (mut addresses, mut interrupted) = (Vec::new(), false);
        while let Some(answer) = answers.next().await {
            interrupted |= answer.header.flags & NLM_F_DUMP_INTR != 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(inner) => {
                    if let Some(Event::Address(index, address)) = decode(&inner) {
                        addresses.push((index, address.ip));
                    }
                }
                NetlinkPayload::Error(error) => {
                    tracing::debug!(number, error = %error.to_io(), "the addresses in a pod's namespace are not told");
                    return Some(Vec::new());
                }
                NetlinkPayload::Done(_) => break,
                _ => {}
            }
        }
        addresses.retain(|(_, ip)| is_reachable(*ip));
        (!interrupted).then_some(addresses)
    }
}

/// The next notification; never, without who tells.
async fn next(events: Option<&NamespaceEvents>) -> std::io::Result<Told> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// The given moment; never, without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::tests::namespace::{Elsewhere, ip, on_a_node};

    const PODS: i32 = 40;

    #[test]
    fn only_the_namespace_that_changed_is_read_again() {
        on_a_node(|| async {
            let pods: Vec<_> = (0..PODS).map(|_| Elsewhere::new()).collect();
            for (number, pod) in pods.iter().enumerate() {
                ip(&format!("link add pod{number} type veth peer name eth0 netns {}", pod.holder));
                pod.ip(&format!("addr add 10.1.1.{number}/32 dev eth0"));
            }
            let all: BTreeSet<i32> = (0..PODS).collect();
            let mut namespaces = PodNamespaces::open().unwrap();
            assert_eq!(namespaces.read(&all).await, all, "each is read once");
            assert_eq!(namespaces.read(&all).await, BTreeSet::new(), "and not again without a reason");

            pods[7].ip("addr add 10.1.2.7/32 dev eth0");
            namespaces.changed().await;
            assert_eq!(namespaces.read(&all).await, BTreeSet::from([7]));
            let ips: BTreeSet<_> = namespaces.addresses()[&7].iter().map(|(_, ip)| ip.to_string()).collect();
            assert_eq!(ips, BTreeSet::from(["10.1.1.7".into(), "10.1.2.7".into()]));

            ip("addr add 10.1.3.1/32 dev lo");
            namespaces.mark_stale(9);
            assert_eq!(namespaces.read(&all).await, BTreeSet::from([9]), "the node's own addresses are no pod's");
        });
    }
}
