//! What can go wrong between a client and its API server.

use std::time::Duration;

/// What a client does to objects, as access rules name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Reads a list.
    List,
    /// Follows changes.
    Watch,
    /// Reads one object.
    Get,
    /// Makes one.
    Create,
    /// Replaces one.
    Update,
    /// Changes one.
    Patch,
    /// Deletes one.
    Delete,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// This HTTP status, with the Status object that the API server sends with it.
    Status(u16),
    /// 429 with a `Retry-After` of so many seconds.
    TooManyRequests(u32),
    /// The answer begins late.
    Slow(Duration),
    /// No answer ever.
    Hang,
    /// The answer's body ends in the middle: of the list, or of the next event.
    Cut,
    /// The next event is no JSON; those after it are.
    Garbled,
}

/// A fault, and which requests it hits.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) verb: Verb,
    /// Name of the kind in paths; none: every kind.
    pub(super) plural: Option<String>,
    pub(super) fault: Fault,
}

impl Rule {
    pub(super) fn hits(&self, verb: Verb, plural: &str) -> bool {
        self.verb == verb && self.plural.as_ref().is_none_or(|wanted| wanted == plural)
    }
}
