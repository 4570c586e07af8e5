//! The addresses inside pods' network namespaces, which go by the numbers they have in the node's.
//!
//! Notifications come from every namespace that has a number, unsaid which, so that the pods are looked at anew after each.
//! Beside that, a pod that has no address yet is looked at again soon: it is to be known before its first packet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::{StreamExt as _, channel::mpsc::UnboundedReceiver};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::{AsyncSocket as _, SocketAddr};
use rtnetlink::{Handle, MulticastGroup, new_connection_with_strict_check, new_multicast_connection};
use tokio::time::{Instant, sleep_until};

use super::Error;
use super::event::{Event, decode};
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
    notifications: Option<Notifications>,
    addresses: PodAddresses,
    pause: Duration,
    /// When to look again, though nobody says that something changed.
    look_at: Option<Instant>,
}

struct Notifications {
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    /// The socket is open for as long as this is there.
    _handle: Handle,
}

impl PodNamespaces {
    pub(super) fn open() -> Result<Self, Error> {
        let (mut connection, handle, _) =
            new_connection_with_strict_check().map_err(|source| Error::Open { source })?;
        // The end of a dump says whether it was interrupted.
        connection.set_forward_done(true);
        tokio::spawn(connection);
        Ok(Self {
            handle,
            notifications: Notifications::open()?,
            addresses: PodAddresses::new(),
            pause: SOON,
            look_at: None,
        })
    }

    /// As they were read last.
    pub(super) const fn addresses(&self) -> &PodAddresses {
        &self.addresses
    }

    /// Waits until it is time to read them anew.
    pub(super) async fn changed(&mut self) {
        let Self { notifications, look_at, .. } = self;
        tokio::select! {
            told = next(notifications.as_mut()) => if told.is_none() {
                *notifications = None;
            },
            () = at(*look_at) => {}
        }
    }

    /// Reads the addresses of these namespaces.
    pub(super) async fn read(&mut self, numbers: BTreeSet<i32>) {
        // What was told until now is part of what is read now.
        while self.notifications.as_mut().is_some_and(|it| it.messages.try_recv().is_ok()) {}
        let mut addresses = PodAddresses::new();
        for number in numbers {
            addresses.insert(number, self.addresses_in(number).await);
        }
        self.addresses = addresses;
        self.look_at = self.next_look();
    }

    fn next_look(&mut self) -> Option<Instant> {
        if self.addresses.values().any(Vec::is_empty) {
            let pause = self.pause;
            self.pause = (pause * 2).min(AT_LEAST);
            return Some(Instant::now() + pause);
        }
        self.pause = SOON;
        self.notifications.is_none().then(|| Instant::now() + AT_LEAST)
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

/// The next notification; `None` after the last.
async fn next(notifications: Option<&mut Notifications>) -> Option<()> {
    match notifications {
        Some(notifications) => notifications.messages.next().await.map(drop),
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

impl Notifications {
    /// `None` where this process may not listen to other namespaces (`CAP_NET_BROADCAST`).
    fn open() -> Result<Option<Self>, Error> {
        let groups = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (mut connection, handle, messages) =
            new_multicast_connection(&groups).map_err(|source| Error::Open { source })?;
        if let Err(error) = connection.socket_mut().socket_mut().set_listen_all_namespaces(true) {
            tracing::warn!(%error, "pods' addresses are looked at every second, as this process may not be told of them");
            return Ok(None);
        }
        tokio::spawn(connection);
        Ok(Some(Self { messages, _handle: handle }))
    }
}
