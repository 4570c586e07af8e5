//! Removal of all that is ours.

use std::io;

use proxy_common::addr::Family;

use super::error::Error;
use super::ipset;
use super::restore::{Restore, Table};
use super::save::Saved;

/// Removes all our chains and the jumps to them, of both families, and all our sets. Returns whether there were any. A
/// tool that isn't there counts as having none.
///
/// # Errors
/// A tool fails.
pub fn remove() -> Result<bool, Error> {
    let mut any = false;
    for family in [Family::V4, Family::V6] {
        let mut removal = Restore::default();
        for table in [Table::Nat, Table::Filter] {
            match Saved::read(family, table) {
                Ok(saved) => push(&mut removal, table, &saved),
                Err(Error::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        any |= !removal.is_empty();
        removal.run(family)?;
    }
    Ok(any | ipset::remove()?)
}

/// The chains are emptied first, so that none leads to another when it goes.
fn push(removal: &mut Restore, table: Table, saved: &Saved) {
    for chain in saved.chains.keys() {
        removal.push(table, format!(":{chain} - [0:0]"));
    }
    for jump in &saved.jumps {
        removal.push(table, jump.replacen("-A ", "-D ", 1));
    }
    for chain in saved.chains.keys() {
        removal.push(table, format!("-X {chain}"));
    }
}
