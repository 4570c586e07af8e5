//! What the programs tell of packets: the ring that they write, and the switch that has them write it.

use std::ptr;

use aya::Ebpf;
use aya::maps::{Array, MapData, MapError, RingBuf};
use proxy_common::event::{Event, Listening};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::Error;

const EVENTS: &str = "EVENTS";
const LISTENING: &str = "LISTENING";

/// Most events that are taken at once: what came with them is to be told before more is read.
const TOGETHER: usize = 256;

/// The ring: what is written to it is read once.
pub struct Events {
    ring: AsyncFd<RingBuf<MapData>>,
}

/// What the programs write to the ring.
pub struct EventSwitch {
    listening: Array<MapData, Listening>,
}

/// Takes both of the loaded programs.
pub(super) fn take(ebpf: &mut Ebpf) -> Result<(Events, EventSwitch), Error> {
    let missing = |name| Error::Missing { kind: "map", name };
    let map = |name| move |source| Error::Map { name, source };
    let ring = ebpf.take_map(EVENTS).ok_or(missing(EVENTS))?;
    let ring = RingBuf::try_from(ring).map_err(map(EVENTS))?;
    let listening = ebpf.take_map(LISTENING).ok_or(missing(LISTENING))?;
    let listening = Array::try_from(listening).map_err(map(LISTENING))?;
    Ok((Events::new(ring)?, EventSwitch { listening }))
}

impl Events {
    fn new(ring: RingBuf<MapData>) -> Result<Self, Error> {
        // SAFETY: the descriptor is the ring's, which the AsyncFd owns from here on and never swaps for another.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        ring.map(|ring| Self { ring }).map_err(|error| Error::EventWait(error.into()))
    }

    /// The next events, in the order in which the programs wrote them. None is lost when the wait is broken off.
    pub async fn next(&mut self) -> Result<Vec<Event>, Error> {
        loop {
            let mut guard = self.ring.readable_mut().await.map_err(Error::EventWait)?;
            let events = take_events(guard.get_inner_mut());
            if events.len() < TOGETHER {
                guard.clear_ready();
            }
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// Forgets what is in the ring.
    pub fn discard(&mut self) {
        while !take_events(self.ring.get_mut()).is_empty() {}
    }
}

fn take_events(ring: &mut RingBuf<MapData>) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < TOGETHER
        && let Some(bytes) = ring.next()
    {
        events.extend(event(&bytes));
    }
    events
}

/// `None` for what is too short to be one.
fn event(bytes: &[u8]) -> Option<Event> {
    let bytes: &[u8; size_of::<Event>()] = bytes.first_chunk()?;
    // SAFETY: there are as many bytes as the layout has, and any bytes make one (it is a `Pod`).
    Some(unsafe { ptr::read_unaligned(bytes.as_ptr().cast::<Event>()) })
}

impl EventSwitch {
    /// Has the programs tell of this from now on.
    pub fn set(&mut self, listening: Listening) -> Result<(), Error> {
        self.listening.set(0, listening, 0).map_err(|source: MapError| Error::Map { name: LISTENING, source })
    }
}
