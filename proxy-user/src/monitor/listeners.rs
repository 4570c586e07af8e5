//! Those who listen, and what the programs are to tell because of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy_common::event::Listening;
use tokio::sync::{mpsc, watch};

use super::{Line, Verdict, Wanted};

/// Most listeners at a time.
pub const MAX_LISTENERS: usize = 16;
/// Lines that wait for a listener, a second's of most nodes; what comes when there are so many is lost to it.
const WAITING: usize = 4096;

/// Has the programs tell of something.
type Ask = Box<dyn FnMut(Listening) + Send>;

/// Those who listen.
pub struct Listeners {
    state: Mutex<State>,
    occupied: watch::Sender<bool>,
}

struct State {
    ask: Ask,
    per_second: u32,
    places: BTreeMap<u32, Option<Listener>>,
    next: u32,
    closed: bool,
}

struct Listener {
    wanted: Wanted,
    lines: mpsc::Sender<Arc<str>>,
    /// What it didn't get and isn't told of yet.
    missed: u64,
}

/// Why a listener gets no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoPlace {
    /// All are taken.
    #[error("{MAX_LISTENERS} listen already; end another `sluice monitor`")]
    TooMany,
    /// [`Listeners::close`].
    #[error("the agent has nothing to tell any more; its log says why")]
    Closed,
}

/// A listener's place, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    listeners: Arc<Listeners>,
    number: u32,
}

impl Listeners {
    /// Nobody yet. The programs are asked through `ask`, for `per_second` events a second and CPU at most.
    pub fn new(per_second: u32, ask: impl FnMut(Listening) + Send + 'static) -> Self {
        let state = State { ask: Box::new(ask), per_second, places: BTreeMap::new(), next: 0, closed: false };
        Self { state: Mutex::new(state), occupied: watch::Sender::new(false) }
    }

    /// Takes a place.
    pub fn enter(self: &Arc<Self>) -> Result<Place, NoPlace> {
        let mut state = self.state();
        if state.closed {
            return Err(NoPlace::Closed);
        }
        if state.places.len() >= MAX_LISTENERS {
            return Err(NoPlace::TooMany);
        }
        let number = state.next;
        state.next = state.next.wrapping_add(1);
        state.places.insert(number, None);
        self.occupied.send_replace(true);
        Ok(Place { listeners: self.clone(), number })
    }

    /// Whether any place is taken.
    #[must_use]
    pub fn occupied(&self) -> watch::Receiver<bool> {
        self.occupied.subscribe()
    }

    /// Passes a verdict on to those who want it.
    pub fn tell(&self, verdict: Verdict) {
        let mut state = self.state();
        let places = state.places.values_mut().flatten();
        let wanting: Vec<_> = places.filter(|listener| listener.wanted.takes(&verdict)).collect();
        if wanting.is_empty() {
            return;
        }
        let line = Line::Verdict(Box::new(verdict)).to_text();
        for listener in wanting {
            listener.missed += u64::from(listener.lines.try_send(line.clone()).is_err());
        }
    }

    /// Nobody can be told of so many.
    pub fn skip(&self, events: u32) {
        if events > 0 {
            let mut state = self.state();
            state.places.values_mut().flatten().for_each(|listener| listener.missed += u64::from(events));
        }
    }

    /// Tells each listener how much it has missed since it was told last.
    pub fn tell_missed(&self) {
        let mut state = self.state();
        for listener in state.places.values_mut().flatten().filter(|listener| listener.missed > 0) {
            let line = Line::NotShown { not_shown: listener.missed }.to_text();
            if listener.lines.try_send(line).is_ok() {
                listener.missed = 0;
            }
        }
    }

    /// Has the programs tell nothing more, whoever listens: they stay behind an agent that ends.
    pub fn close(&self) {
        let mut state = self.state();
        state.places.clear();
        state.closed = true;
        state.ask();
        self.occupied.send_replace(false);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Has the programs tell what somebody wants to hear.
    fn ask(&mut self) {
        let kinds = self.places.values().flatten().fold(0, |kinds, listener| kinds | listener.wanted.kinds());
        let per_second = if kinds == 0 { 0 } else { self.per_second };
        (self.ask)(Listening { kinds, per_second });
    }
}

impl Place {
    /// Listens from now on.
    #[must_use]
    pub fn listen(&self, wanted: Wanted) -> mpsc::Receiver<Arc<str>> {
        let (lines, heard) = mpsc::channel(WAITING);
        let mut state = self.listeners.state();
        if let Some(place) = state.places.get_mut(&self.number) {
            *place = Some(Listener { wanted, lines, missed: 0 });
        }
        state.ask();
        heard
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.listeners.state();
        state.places.remove(&self.number);
        state.ask();
        if state.places.is_empty() {
            self.listeners.occupied.send_replace(false);
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("places", &self.state().places.len()).finish_non_exhaustive()
    }
}

impl Line {
    /// As it is sent, with its end.
    pub(super) fn to_text(&self) -> Arc<str> {
        // Strings and numbers always have a JSON form.
        serde_json::to_string(self).map_or_else(|error| error.to_string(), |text| text + "\n").into()
    }
}

#[cfg(test)]
mod tests {
    use proxy_common::event::kind;

    use super::super::Kind;
    use super::super::line::tests::verdict;
    use super::*;

    type Asked = Arc<Mutex<Listening>>;

    fn listeners() -> (Arc<Listeners>, Asked) {
        let asked = Asked::default();
        let last = asked.clone();
        (Arc::new(Listeners::new(100, move |listening| *last.lock().unwrap() = listening)), asked)
    }

    fn only(kind: Kind) -> Wanted {
        Wanted { verdicts: [kind].into(), ..Wanted::default() }
    }

    fn next(heard: &mut mpsc::Receiver<Arc<str>>) -> Option<Line> {
        heard.try_recv().ok().map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn programs_are_asked_for_what_anybody_wants_and_for_nothing_when_the_last_has_gone() {
        let (listeners, asked) = listeners();
        let occupied = listeners.occupied();
        let (first, second) = (listeners.enter().unwrap(), listeners.enter().unwrap());
        let _heard = (first.listen(only(Kind::Drop)), second.listen(only(Kind::Audit)));
        assert_eq!(*asked.lock().unwrap(), Listening { kinds: 1 << kind::DROP | 1 << kind::AUDIT, per_second: 100 });
        drop(first);
        assert_eq!(asked.lock().unwrap().kinds, 1 << kind::AUDIT);
        assert!(*occupied.borrow());
        drop(second);
        assert_eq!(*asked.lock().unwrap(), Listening::default());
        assert!(!*occupied.borrow());
    }

    #[test]
    fn each_hears_what_it_wants_and_nothing_else() {
        let (listeners, _) = listeners();
        let (first, second) = (listeners.enter().unwrap(), listeners.enter().unwrap());
        let (mut drops, mut audits) = (first.listen(only(Kind::Drop)), second.listen(only(Kind::Audit)));
        listeners.tell(verdict());
        assert_eq!((next(&mut drops), next(&mut audits)), (Some(Line::Verdict(Box::new(verdict()))), None));
    }

    #[test]
    fn a_slow_listener_loses_lines_is_told_how_many_and_keeps_nobody_waiting() {
        let (listeners, _) = listeners();
        let (slow, quick) = (listeners.enter().unwrap(), listeners.enter().unwrap());
        let (mut hears_late, mut hears_at_once) = (slow.listen(Wanted::default()), quick.listen(Wanted::default()));
        let mut heard = 0;
        for _ in 0..WAITING + 5 {
            listeners.tell(verdict());
            heard += usize::from(next(&mut hears_at_once).is_some());
        }
        assert_eq!(heard, WAITING + 5, "nobody waits for another");
        assert_eq!(std::iter::from_fn(|| next(&mut hears_late)).count(), WAITING);
        listeners.tell_missed();
        assert_eq!(next(&mut hears_late), Some(Line::NotShown { not_shown: 5 }));
        assert_eq!(next(&mut hears_at_once), None);
    }

    #[test]
    fn what_was_missed_is_told_once() {
        let (listeners, _) = listeners();
        let place = listeners.enter().unwrap();
        let mut heard = place.listen(Wanted::default());
        listeners.skip(7);
        for _ in 0..WAITING + 5 {
            listeners.tell(verdict());
        }
        listeners.tell_missed();
        while let Some(line) = next(&mut heard) {
            assert_eq!(line, Line::Verdict(Box::new(verdict())), "there was no room to tell");
        }
        listeners.tell_missed();
        listeners.tell_missed();
        assert_eq!(next(&mut heard), Some(Line::NotShown { not_shown: 7 + 5 }));
        assert_eq!(next(&mut heard), None);
    }

    #[test]
    fn the_seventeenth_is_refused_until_another_goes() {
        let (listeners, _) = listeners();
        let mut places: Vec<_> = (0..MAX_LISTENERS).map(|_| listeners.enter().unwrap()).collect();
        assert_eq!(listeners.enter().unwrap_err(), NoPlace::TooMany);
        places.pop();
        listeners.enter().unwrap();
    }

    #[test]
    fn when_it_closes_listeners_hear_the_end_and_programs_are_asked_for_nothing() {
        let (listeners, asked) = listeners();
        let place = listeners.enter().unwrap();
        let mut heard = place.listen(Wanted::default());
        listeners.close();
        assert_eq!(*asked.lock().unwrap(), Listening::default());
        assert_eq!(heard.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        assert_eq!(listeners.enter().unwrap_err(), NoPlace::Closed);
    }
}
