//! The file: parts that came about, and a list of all with why the others didn't.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::Serialize;
use tar::{Builder, Header};

use crate::cli::output;
use crate::explain::explain;

/// What is never in a bundle, and where it is instead.
const LEFT_OUT: [LeftOut; 3] = [
    LeftOut {
        what: "the agent's log",
        why: "it goes to the agent's standard error: kubectl logs, or journalctl, has it",
    },
    LeftOut { what: "kubeconfigs, tokens, keys and the environment", why: "they may be secret" },
    LeftOut { what: "manifests and objects of the cluster", why: "they may hold what the agent has no use for" },
];

/// A bundle as it is written.
pub(super) struct Archive<W: Write> {
    tar: Builder<GzEncoder<W>>,
    /// The one directory that everything is in.
    directory: String,
    made_at: Timestamp,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    file: &'static str,
    what: &'static str,
    /// Why it isn't there.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct LeftOut {
    what: &'static str,
    why: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents<'a> {
    made_at: Timestamp,
    parts: &'a [Part],
    left_out: &'a [LeftOut],
}

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W, directory: &str, made_at: Timestamp) -> Self {
        let tar = Builder::new(GzEncoder::new(to, Compression::default()));
        Self { tar, directory: directory.to_owned(), made_at, parts: Vec::new() }
    }

    /// Adds a part, or why there is none.
    ///
    /// # Errors
    /// The bundle can't be written.
    pub(super) fn add(
        &mut self,
        file: &'static str,
        what: &'static str,
        made: anyhow::Result<String>,
    ) -> io::Result<()> {
        let error = match made {
            Ok(text) => self.append(file, &text).map(|()| None)?,
            Err(error) => Some(explain(error.as_ref())),
        };
        self.parts.push(Part { file, what, error });
        Ok(())
    }

    /// Ends the file, and returns which parts aren't in it and why.
    pub(super) fn finish(mut self) -> io::Result<Vec<(&'static str, String)>> {
        let contents = Contents { made_at: self.made_at, parts: &self.parts, left_out: &LEFT_OUT };
        let contents = output::json(&contents).map_err(io::Error::other)?;
        self.append("contents.json", &contents)?;
        self.tar.into_inner()?.finish()?.flush()?;
        Ok(self.parts.into_iter().filter_map(|part| Some((part.file, part.error?))).collect())
    }

    fn append(&mut self, file: &str, text: &str) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_mtime(self.made_at.as_second().cast_unsigned());
        header.set_size(text.len() as u64);
        self.tar.append_data(&mut header, format!("{}/{file}", self.directory), text.as_bytes())
    }
}
