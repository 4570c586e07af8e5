//! Tar files that are the same whenever and by whomever they are made.

use std::io::Write;

use anyhow::Result;
use tar::{Builder, EntryType, Header};

/// A tar of what belongs to root and was changed at one time.
pub(super) struct Archive<W: Write> {
    tar: Builder<W>,
    /// Seconds since 1970.
    time: u64,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W, time: u64) -> Self {
        Self { tar: Builder::new(to), time }
    }

    pub(super) fn folder(&mut self, path: &str, mode: u32) -> Result<()> {
        self.add(&format!("{path}/"), EntryType::Directory, mode, &[])
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
        self.add(path, EntryType::Regular, mode, contents)
    }

    /// The writer, after the end of the tar.
    pub(super) fn finish(self) -> Result<W> {
        Ok(self.tar.into_inner()?)
    }

    fn add(&mut self, path: &str, kind: EntryType, mode: u32, contents: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.time);
        header.set_size(contents.len() as u64);
        Ok(self.tar.append_data(&mut header, path, contents)?)
    }
}
