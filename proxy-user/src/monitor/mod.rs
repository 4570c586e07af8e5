//! What happens to packets, as it happens, for whoever listens: `sluice monitor`.
//!
//! The programs write verdicts to a ring, at most so many a second, and only while somebody listens. The agent reads it,
//! gives names to what it reads, and passes it on over a socket that only root may open: a line of JSON for each. Who
//! reads too slowly loses lines and is told how many; neither the packets nor the agent wait for anybody.

mod annotate;
mod line;
mod listeners;
mod names;
mod pods;
mod reader;
mod socket;
mod wanted;

pub use annotate::{Clocks, Direction, Names, annotate};
pub use line::{End, Line, PolicyRef, RuleRef, ServiceAt, Verdict};
pub use listeners::{Listeners, MAX_LISTENERS, NoPlace, Place};
pub use names::NodeNames;
pub use pods::{PodRef, Pods};
pub use reader::read;
pub use socket::Socket;
pub use wanted::{Kind, NameFilter, Wanted, Whom};
