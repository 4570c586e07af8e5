//! A file one can't hold in the head is two files.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::workspace;

const MOST_LINES: usize = 800;

pub(super) fn check() -> Result<()> {
    let mut long = Vec::new();
    for file in workspace::sources()? {
        let lines =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?.lines().count();
        if lines > MOST_LINES {
            long.push(format!("{} has {lines} lines", file.display()));
        }
    }
    if long.is_empty() { Ok(()) } else { bail!("split by what belongs together: {}", long.join(", ")) }
}
