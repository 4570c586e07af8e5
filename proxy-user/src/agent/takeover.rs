//! Connections to Services that another proxy began: while some are alive, segments of connections that the programs don't
//! know are left to the kernel's conntrack, which translates them as that proxy's rules said when they began.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::tables::ServiceKey;

use crate::dataplane::ebpf::{Dataplane, Error, Left, TakeoverSwitch};
use crate::explain::explain;
use crate::netfilter::conntrack;

/// Time between two looks at conntrack: once none of them is left, it isn't looked at again.
const INTERVAL: Duration = Duration::from_secs(30);

/// How many connections of another proxy are alive.
pub(super) struct Takeover {
    alive: Arc<AtomicU64>,
    /// Until it is known whether there are any.
    unsettled: Option<TakeoverSwitch>,
}

impl Takeover {
    /// Has the programs leave segments of unknown connections to conntrack, whether there are any or not: before the programs
    /// get their hooks, for they would end them. Where there are rules of an agent, what begins is theirs too, until the
    /// programs have all their hooks: no flow is met by the one at one hook and by the other at the next.
    ///
    /// # Errors
    /// The programs can't be told.
    pub(super) fn begin(dataplane: &mut Dataplane) -> Result<Self, Error> {
        let mut switch = dataplane.takeover()?;
        switch.set(if dataplane.has_rules() { Left::All } else { Left::Connections })?;
        Ok(Self { alive: Arc::default(), unsettled: Some(switch) })
    }

    /// Looks for connections to these frontends, once: after the programs got their hooks, so that no other proxy can begin
    /// one that isn't found. Without any, unknown connections are refused from now on.
    ///
    /// # Errors
    /// The frontends can't be read, or the programs can't be told.
    pub(super) fn settle(
        &mut self,
        frontends: impl FnOnce() -> Result<BTreeSet<ServiceKey>, Error>,
    ) -> Result<(), Error> {
        let Some(switch) = &mut self.unsettled else { return Ok(()) };
        switch.set(Left::Connections)?;
        let frontends = frontends()?;
        let alive = match count(&frontends) {
            Ok(alive) => alive,
            Err(error) => {
                tracing::warn!(%error, "cannot list the connections that conntrack translates: those of another proxy end");
                0
            }
        };
        let Some(mut switch) = self.unsettled.take() else { return Ok(()) };
        self.alive.store(alive, Ordering::Relaxed);
        if alive == 0 {
            return switch.set(Left::Nothing);
        }
        tracing::info!(connections = alive, "taking over from another proxy: conntrack goes on to translate these");
        watch(self.alive.clone(), switch, frontends);
        Ok(())
    }

    /// How many are alive, as of the last look.
    pub(super) fn alive(&self) -> u64 {
        self.alive.load(Ordering::Relaxed)
    }
}

fn watch(known: Arc<AtomicU64>, mut switch: TakeoverSwitch, frontends: BTreeSet<ServiceKey>) {
    tokio::task::spawn_blocking(move || {
        loop {
            std::thread::sleep(INTERVAL);
            match count(&frontends) {
                Ok(0) => break,
                Ok(alive) => known.store(alive, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "cannot list the connections that conntrack translates"),
            }
        }
        known.store(0, Ordering::Relaxed);
        match switch.set(Left::Nothing) {
            Ok(()) => tracing::info!("the last connection of another proxy has ended"),
            Err(error) => tracing::error!("the programs are not told: {}", explain(&error)),
        }
    });
}

/// Connections to these frontends that conntrack translates. A datagram needs none: the next one begins a flow of ours.
fn count(frontends: &BTreeSet<ServiceKey>) -> std::io::Result<u64> {
    let mut alive = 0;
    conntrack::each(|it| {
        let is_connection = it.is_translated && matches!(it.protocol, protocol::TCP | protocol::SCTP);
        alive += u64::from(is_connection && is_frontend(frontends, it.protocol, it.to));
    })?;
    Ok(alive)
}

fn is_frontend(frontends: &BTreeSet<ServiceKey>, number: u8, to: SocketAddr) -> bool {
    let (addr, port) = (Addr::from(to.ip()), Port::new(to.port()));
    [addr, addr.family().any()].into_iter().any(|addr| frontends.contains(&ServiceKey::new(addr, port, number)))
}
