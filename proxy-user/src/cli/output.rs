//! How data is printed: as a table for people, as JSON or YAML for programs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use tabwriter::TabWriter;

/// `-o` of commands that list objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(super) enum ListFormat {
    /// Aligned columns.
    #[default]
    Table,
    /// Aligned columns, all of them.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// `-o` of commands that tell about one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// `apiVersion` of lists.
const API_VERSION: &str = "sluice.dev/v1alpha1";

/// What a `get` lists.
pub(super) trait Row: Serialize {
    /// `kind` of the list.
    const LIST_KIND: &'static str;
    /// Titles of the columns, upper case.
    const COLUMNS: &'static [&'static str];
    /// Titles of the columns that only a wide table has; they come last.
    const WIDE_COLUMNS: &'static [&'static str];

    /// One cell for each of the columns, those of a wide table included.
    fn cells(&self) -> Vec<String>;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a, R> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    items: &'a [R],
}

/// Kubernetes' `metadata` of a list that isn't whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    remaining_item_count: usize,
}

/// The rows in the format asked for.
pub(super) fn list<R: Row>(rows: &[R], format: ListFormat) -> anyhow::Result<String> {
    let columns = R::COLUMNS.len() + if format == ListFormat::Wide { R::WIDE_COLUMNS.len() } else { 0 };
    let list = List { api_version: API_VERSION, kind: R::LIST_KIND, metadata: None, items: rows };
    match format {
        ListFormat::Table | ListFormat::Wide => {
            let titles = R::COLUMNS.iter().chain(R::WIDE_COLUMNS).map(ToString::to_string).collect();
            let lines = std::iter::once(titles).chain(rows.iter().map(Row::cells));
            table(lines.map(|mut cells: Vec<String>| {
                cells.truncate(columns);
                cells
            }))
        }
        ListFormat::Json => json(&list),
        ListFormat::Yaml => yaml(&list),
    }
}

/// The first items as one JSON document, which says how many it lacks.
pub(super) fn sample<R: Serialize>(kind: &'static str, items: &[R], limit: usize) -> anyhow::Result<String> {
    let (items, rest) = items.split_at(items.len().min(limit));
    let metadata = (!rest.is_empty()).then_some(Metadata { remaining_item_count: rest.len() });
    json(&List { api_version: API_VERSION, kind, metadata, items })
}

/// Lines of cells as columns three spaces apart, as kubectl prints them.
pub(super) fn table(lines: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<String> {
    let mut columns = TabWriter::new(Vec::new()).padding(3).minwidth(0);
    for line in lines {
        writeln!(columns, "{}", line.join("\t"))?;
    }
    let aligned = columns.into_inner().map_err(|error| anyhow::anyhow!("can't align the table: {error}"))?;
    Ok(String::from_utf8(aligned)?)
}

/// One JSON document.
pub(super) fn json(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// One YAML document.
pub(super) fn yaml(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_yaml_ng::to_string(document)?)
}

/// Writes data to standard output. A reader that went away (`| head`) has what it wanted: no error.
pub(super) fn write(data: &str) -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        result => result.context("can't write to standard output").map(|()| ExitCode::SUCCESS),
    }
}
