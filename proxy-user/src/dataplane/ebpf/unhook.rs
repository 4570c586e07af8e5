//! Takes our programs from wherever an agent attached them.

use super::devices::detach_filter;
use super::error::Error;
use super::hooks::Direction;
use super::interfaces;
use super::pinned_link;
use super::pins::{Pins, entries};

/// Detaches the pinned links of this version. Returns their pins.
pub(super) fn links(pins: &Pins) -> Result<Vec<String>, Error> {
    let links = entries(&pins.links())?;
    links.iter().try_for_each(|link| pinned_link::remove(link))?;
    Ok(links.iter().map(|link| link.display().to_string()).collect())
}

/// Removes the filters at the interfaces of this network namespace. Returns what they were.
pub(super) fn filters() -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    for (_, ifname) in interfaces::list()? {
        for direction in Direction::BOTH {
            if detach_filter(&ifname, direction)? {
                removed.push(format!("filter at {ifname} {}", direction.name()));
            }
        }
    }
    Ok(removed)
}
