//! The rtnetlink socket: a full dump, then notifications.

use std::time::Duration;

use futures::{FutureExt, StreamExt, channel::mpsc::UnboundedReceiver};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage, address::AddressMessage, link::LinkMessage, route::RouteMessage,
};
use rtnetlink::{
    Handle, MulticastGroup, new_multicast_connection,
    packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload},
    sys::SocketAddr,
};
use tokio::{sync::watch, time};

use super::{
    Error, NodeState,
    event::{Event, decode},
    observed::Observed,
    pod_addresses::PodNamespaces,
    uplinks::Uplinks,
};

/// A change comes as a burst of notifications (a pod's interface is made, moved, set up, given a route): they are
/// taken together.
const BURST: Duration = Duration::from_millis(5);

/// How often a dump is begun anew because the kernel's lists changed below it.
const DUMP_ATTEMPTS: u32 = 50;

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// Watches the calling thread's network namespace until all receivers are gone. The first value is the full state;
/// another follows when something in it changed. The channel closes when the watch fails, with the reason logged.
///
/// `uplinks` has the names and patterns (`eth*`) of the interfaces that are uplinks, and no others are; empty, they are
/// detected.
pub async fn watch(uplinks: Vec<String>) -> Result<watch::Receiver<NodeState>, Error> {
    let uplinks = Uplinks::parse(&uplinks)?;
    let mut watcher = Watcher::open()?;
    watcher.refresh().await?;
    let (sender, receiver) = watch::channel(watcher.snapshot(&uplinks));
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            error = watcher.publish(&sender, &uplinks) => {
                tracing::error!(%error, "this node's interfaces are no longer followed");
            }
        }
    });
    Ok(receiver)
}

struct Watcher {
    handle: Handle,
    notifications: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    observed: Observed,
    pods: PodNamespaces,
    /// Which interfaces lead to pods, or the addresses of pods, may have changed.
    pods_stale: bool,
}

impl Watcher {
    fn open() -> Result<Self, Error> {
        let (mut connection, handle, notifications) =
            new_multicast_connection(&GROUPS).map_err(|source| Error::Open { source })?;
        // The end of a dump says whether it was interrupted.
        connection.set_forward_done(true);
        tokio::spawn(connection);
        let pods = PodNamespaces::open()?;
        Ok(Self { handle, notifications, observed: Observed::nothing(), pods, pods_stale: true })
    }

    /// Sends the state whenever it changed; returns when the watch fails.
    async fn publish(&mut self, sender: &watch::Sender<NodeState>, uplinks: &Uplinks) -> Error {
        loop {
            if let Err(error) = self.refresh().await {
                return error;
            }
            let state = self.snapshot(uplinks);
            sender.send_if_modified(|known| {
                let changed = *known != state;
                *known = state;
                changed
            });
        }
    }

    fn snapshot(&self, uplinks: &Uplinks) -> NodeState {
        self.observed.snapshot(uplinks, self.pods.addresses())
    }

    /// Waits for a notification that matters, takes in the burst it belongs to, and reads all anew where that is due.
    async fn refresh(&mut self) -> Result<(), Error> {
        while !self.observed.is_stale() {
            tokio::select! {
                message = self.notifications.next() => {
                    let (message, _) = message.ok_or(Error::Closed)?;
                    if self.take_in(message) {
                        break;
                    }
                }
                () = self.pods.changed() => {
                    self.pods_stale = true;
                    break;
                }
            }
        }
        // Ends with the time: a node that is never quiet is told of all the same.
        let burst = async {
            while let Some((message, _)) = self.notifications.next().await {
                self.take_in(message);
            }
        };
        let _ = time::timeout(BURST, burst).await;
        if self.observed.is_stale() {
            self.observed = self.dump().await?;
            // One socket delivers in order: what the dump overtook is here by now, and ends as the dump has it.
            while let Some(Some((message, _))) = self.notifications.next().now_or_never() {
                self.take_in(message);
            }
            self.pods_stale = true;
        }
        if std::mem::take(&mut self.pods_stale) {
            self.pods.read(&self.observed.pod_namespaces()).await;
        }
        Ok(())
    }

    /// Whether the message mattered.
    fn take_in(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> bool {
        match message.payload {
            NetlinkPayload::InnerMessage(inner) => {
                let Some(event) = decode(&inner) else { return false };
                if let Event::Link(index, _) | Event::LinkGone(index) = event {
                    self.pods_stale = true;
                    // Also as it was: a namespace that goes leaves its number to another.
                    let now = if let Event::Link(_, link) = &event { link.peer_netns } else { None };
                    for number in [self.observed.peer_netns(index), now].into_iter().flatten() {
                        self.pods.mark_stale(number);
                    }
                }
                self.observed.apply(event)
            }
            NetlinkPayload::Overrun(_) => {
                tracing::debug!("rtnetlink notifications were lost in a burst: reading all anew");
                self.observed.mark_stale();
                true
            }
            _ => false,
        }
    }

    async fn dump(&mut self) -> Result<Observed, Error> {
        let mut events = Vec::new();
        for (what, request) in [
            ("interfaces", RouteNetlinkMessage::GetLink(LinkMessage::default())),
            ("addresses", RouteNetlinkMessage::GetAddress(AddressMessage::default())),
            ("IPv4 routes", routes(AddressFamily::Inet)),
            ("IPv6 routes", routes(AddressFamily::Inet6)),
        ] {
            events.extend(self.list(what, request).await?);
        }
        Ok(Observed::from_dump(events))
    }

    /// One of the kernel's lists, whole.
    async fn list(&mut self, what: &'static str, request: RouteNetlinkMessage) -> Result<Vec<Event>, Error> {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(events) = self.list_once(what, message.clone()).await? {
                return Ok(events);
            }
            time::sleep(BURST).await;
        }
        Err(Error::Interrupted { what, attempts: DUMP_ATTEMPTS })
    }

    /// `None` when the list changed meanwhile, so that an entry may be missing.
    async fn list_once(
        &mut self,
        what: &'static str,
        request: NetlinkMessage<RouteNetlinkMessage>,
    ) -> Result<Option<Vec<Event>>, Error> {
        let mut answers = self.handle.request(request).map_err(|_| Error::Closed)?;
        let (mut events, mut interrupted) = (Vec::new(), false);
        while let Some(answer) = answers.next().await {
            interrupted |= answer.header.flags & NLM_F_DUMP_INTR != 0;
            match answer.payload {
                NetlinkPayload::InnerMessage(inner) => events.extend(decode(&inner)),
                NetlinkPayload::Error(error) => return Err(Error::Dump { what, source: error.to_io() }),
                NetlinkPayload::Done(_) => return Ok((!interrupted).then_some(events)),
                _ => {}
            }
        }
        Err(Error::Closed)
    }
}

fn routes(family: AddressFamily) -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    RouteNetlinkMessage::GetRoute(message)
}
