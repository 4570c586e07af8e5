//! Connections to Services that another proxy began: while some are alive, segments of connections that the programs don't
//! know are left to the kernel's conntrack, which translates them as that proxy's rules said when they began.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxy_common::addr::{Addr, Port, protocol};
use proxy_common::tables::ServiceKey;

use crate::dataplane::ebpf::{Dataplane, Error, TakeoverSwitch};
use crate::explain::explain;
use crate::netfilter::conntrack;

/// Time between two looks at conntrack: once none of them is left, it isn't looked at again.
const INTERVAL: Duration = Duration::from_secs(30);

/// How many connections of another proxy are alive.
#[derive(Clone, Default)]
pub(super) struct Takeover(Arc<AtomicU64>);

impl Takeover {
    /// Looks for connections to these frontends; before the programs get their hooks, for they would end them.
    ///
    /// # Errors
    /// The programs can't be told.
    pub(super) fn begin(dataplane: &mut Dataplane, frontends: BTreeSet<ServiceKey>) -> Result<Self, Error> {
        let mut switch = dataplane.takeover()?;
        let alive = match count(&frontends) {
            Ok(alive) => alive,
            Err(error) => {
                tracing::warn!(%error, "cannot list the connections that conntrack translates: those of another proxy end");
                0
            }
        };
        let takeover = Self(Arc::new(AtomicU64::new(alive)));
        switch.set(alive != 0)?;
        if alive != 0 {
            tracing::info!(connections = alive, "taking over from another proxy: conntrack goes on to translate these");
            takeover.clone().watch(switch, frontends);
        }
        Ok(takeover)
    }

    /// How many are alive, as of the last look.
    pub(super) fn alive(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn watch(self, mut switch: TakeoverSwitch, frontends: BTreeSet<ServiceKey>) {
        tokio::task::spawn_blocking(move || {
            loop {
                std::thread::sleep(INTERVAL);
                match count(&frontends) {
                    Ok(0) => break,
                    Ok(alive) => self.0.store(alive, Ordering::Relaxed),
                    Err(error) => tracing::warn!(%error, "cannot list the connections that conntrack translates"),
                }
            }
            self.0.store(0, Ordering::Relaxed);
            match switch.set(false) {
                Ok(()) => tracing::info!("the last connection of another proxy has ended"),
                Err(error) => tracing::error!("the programs are not told: {}", explain(&error)),
            }
        });
    }
}

/// Connections to these frontends that conntrack translates. A datagram needs none: the next one begins a flow of ours.
fn count(frontends: &BTreeSet<ServiceKey>) -> std::io::Result<u64> {
    let mut alive = 0;
    conntrack::each_translated(|number, to| {
        let is_connection = matches!(number, protocol::TCP | protocol::SCTP);
        alive += u64::from(is_connection && is_frontend(frontends, number, to));
    })?;
    Ok(alive)
}

fn is_frontend(frontends: &BTreeSet<ServiceKey>, number: u8, to: SocketAddr) -> bool {
    let (addr, port) = (Addr::from(to.ip()), Port::new(to.port()));
    [addr, addr.family().any()].into_iter().any(|addr| frontends.contains(&ServiceKey::new(addr, port, number)))
}
