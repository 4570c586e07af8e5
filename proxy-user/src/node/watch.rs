//! Follows the node's interfaces, addresses and routes over rtnetlink, in the network namespace of the calling thread.
//!
//! Events are subscribed to before the first list is taken, so nothing is missed between the two; when the kernel says
//! that events were lost, everything is listed again. Nothing is polled.

use std::future::{Future, ready};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder, new_multicast_connection};
use tokio::sync::watch;
use tokio::time::sleep;

use super::NodeState;
use super::kernel::Kernel;
use super::selection::DeviceSelection;

/// How long to wait for more after an event: adding an interface is a handful of them.
const BURST: Duration = Duration::from_millis(5);

/// How long to wait after a failure before the next attempt.
const RETRY: Duration = Duration::from_secs(1);

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

type Events = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Why the node can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No socket.
    #[error("cannot open an rtnetlink socket")]
    Open(#[source] io::Error),
    /// The kernel refuses a list.
    #[error("cannot list {what} over rtnetlink")]
    List {
        /// Interfaces, addresses or routes.
        what: &'static str,
        /// Why.
        source: rtnetlink::Error,
    },
    /// The socket ended.
    #[error("the rtnetlink socket was closed")]
    Closed,
}

/// Lists the node once, and returns it with what keeps it in step: a future to be run beside its users. It ends when no
/// receiver is left.
pub async fn watch(
    selection: DeviceSelection,
) -> Result<(watch::Receiver<NodeState>, impl Future<Output = ()> + Send + 'static), WatchError> {
    let (session, kernel) = Session::open().await?;
    let (sender, receiver) = watch::channel(kernel.state(&selection));
    Ok((receiver, keep_in_step(session, kernel, selection, sender)))
}

async fn keep_in_step(
    mut session: Session,
    mut kernel: Kernel,
    selection: DeviceSelection,
    sender: watch::Sender<NodeState>,
) {
    loop {
        let error = tokio::select! {
            () = sender.closed() => return,
            error = session.follow(&mut kernel, &selection, &sender) => error,
        };
        tracing::warn!(%error, "lost sight of the node's interfaces, starting over");
        (session, kernel) = reopened().await;
        publish(&kernel, &selection, &sender);
    }
}

async fn reopened() -> (Session, Kernel) {
    loop {
        match Session::open().await {
            Ok(opened) => return opened,
            Err(error) => tracing::warn!(%error, "cannot list the node's interfaces yet"),
        }
        sleep(RETRY).await;
    }
}

fn publish(kernel: &Kernel, selection: &DeviceSelection, sender: &watch::Sender<NodeState>) {
    let state = kernel.state(selection);
    sender.send_if_modified(|published| {
        let changed = *published != state;
        if changed {
            *published = state;
        }
        changed
    });
}

/// A socket that has subscribed to every event.
struct Session {
    /// Moves messages between the socket and the two below; to be polled whenever they are.
    connection: Pin<Box<dyn Future<Output = ()> + Send>>,
    handle: Handle,
    events: Events,
}

impl Session {
    async fn open() -> Result<(Self, Kernel), WatchError> {
        let (connection, handle, events) = new_multicast_connection(&GROUPS).map_err(WatchError::Open)?;
        let mut session = Self { connection: Box::pin(connection), handle, events };
        let mut kernel = Kernel::default();
        tokio::select! {
            listed = list(&session.handle, &mut kernel) => listed?,
            () = &mut session.connection => return Err(WatchError::Closed),
        }
        Ok((session, kernel))
    }

    /// Publishes what events change. Returns when it can't go on.
    async fn follow(
        &mut self,
        kernel: &mut Kernel,
        selection: &DeviceSelection,
        sender: &watch::Sender<NodeState>,
    ) -> WatchError {
        let work = async {
            loop {
                learn_burst(&mut self.events, &self.handle, kernel).await?;
                publish(kernel, selection, sender);
            }
        };
        let worked: Result<(), WatchError> = tokio::select! {
            worked = work => worked,
            () = &mut self.connection => Err(WatchError::Closed),
        };
        worked.expect_err("the work ends with an error only")
    }
}

/// Takes in events that come together.
async fn learn_burst(events: &mut Events, handle: &Handle, kernel: &mut Kernel) -> Result<(), WatchError> {
    let mut next = events.next().await.map(|(message, _)| message);
    sleep(BURST).await;
    loop {
        match next.ok_or(WatchError::Closed)?.payload {
            NetlinkPayload::InnerMessage(message) => kernel.learn(&message),
            NetlinkPayload::Overrun(_) => {
                *kernel = Kernel::default();
                list(handle, kernel).await?;
            }
            _ => {}
        }
        next = match events.next().now_or_never() {
            None => break,
            Some(event) => event.map(|(message, _)| message),
        };
    }
    if kernel.take_routes_stale() {
        kernel.forget_routes();
        list_routes(handle, kernel).await?;
    }
    Ok(())
}

async fn list(handle: &Handle, kernel: &mut Kernel) -> Result<(), WatchError> {
    let links = handle.link().get().execute().map_ok(RouteNetlinkMessage::NewLink);
    learn_all("interfaces", links, kernel).await?;
    let addresses = handle.address().get().execute().map_ok(RouteNetlinkMessage::NewAddress);
    learn_all("addresses", addresses, kernel).await?;
    list_routes(handle, kernel).await
}

async fn list_routes(handle: &Handle, kernel: &mut Kernel) -> Result<(), WatchError> {
    for family in [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()] {
        let routes = handle.route().get(family).execute().map_ok(RouteNetlinkMessage::NewRoute);
        learn_all("routes", routes, kernel).await?;
    }
    Ok(())
}

async fn learn_all(
    what: &'static str,
    messages: impl Stream<Item = Result<RouteNetlinkMessage, rtnetlink::Error>>,
    kernel: &mut Kernel,
) -> Result<(), WatchError> {
    let messages = messages.try_for_each(|message| {
        kernel.learn(&message);
        ready(Ok(()))
    });
    messages.await.map_err(|source| WatchError::List { what, source })
}
