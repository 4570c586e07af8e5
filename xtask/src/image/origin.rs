//! Which sources an image is made of.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use crate::{process, workspace};

/// Time and name of the sources.
pub(super) struct Origin {
    /// The time that all files of the image have: what `SOURCE_DATE_EPOCH` says, else when the commit was made. Not the
    /// time of the build, so that two builds are the same.
    pub(super) time: Timestamp,
    /// The commit, with `-dirty` where the sources were changed since; `None` outside git.
    pub(super) revision: Option<String>,
}

impl Origin {
    /// Of the workspace.
    pub(super) fn of_sources() -> Result<Self> {
        let revision = git(&["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]);
        let seconds = match env::var("SOURCE_DATE_EPOCH") {
            Ok(seconds) => seconds,
            Err(_) => git(&["log", "-1", "--format=%ct"]).unwrap_or_else(|| "0".to_owned()),
        };
        let time = seconds.parse().map_err(anyhow::Error::from).and_then(|s| Ok(Timestamp::from_second(s)?));
        Ok(Self {
            time: time.with_context(|| format!("SOURCE_DATE_EPOCH: \"{seconds}\" isn't seconds since 1970"))?,
            revision,
        })
    }

    /// Seconds since 1970; nothing is older.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from(self.time.as_second()).unwrap_or_default()
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    let text = process::output(command.current_dir(workspace::root()).args(arguments)).ok()?;
    Some(text.trim().to_owned())
}
