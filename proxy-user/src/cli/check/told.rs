//! The report as text.

use super::lines::{Line, lines};
use super::report::{Change, Changed, Connection, Report};
use crate::cli::names::non_empty;
use crate::cli::output;

pub(super) fn text(report: &Report) -> anyhow::Result<String> {
    let mut parts = Vec::new();
    parts.extend(remarks("problem", &report.problems));
    if let Some(connections) = &report.connections {
        parts.push(connections_text(connections)?);
    }
    match report.changes.as_deref() {
        None => {}
        Some([]) => parts.push("nothing changes\n".into()),
        Some(changes) => parts.push(changes_table(changes)?),
    }
    parts.extend(remarks("note", &report.notes));
    Ok(parts.join("\n"))
}

fn remarks(what: &str, texts: &[String]) -> Option<String> {
    let lines: Vec<String> = texts.iter().map(|it| format!("{what}: {it}\n")).collect();
    (!lines.is_empty()).then(|| lines.concat())
}

/// What some policy is about; the rest in a line.
fn connections_text(connections: &[Connection]) -> anyhow::Result<String> {
    let lines = lines(connections);
    if lines.is_empty() {
        return Ok("everything is allowed: no policy isolates a Pod\n".into());
    }
    let has_others = connections.iter().any(|it| !it.isolated);
    let others = if has_others { "all else is allowed: no policy isolates it\n" } else { "" };
    Ok(table(&lines)? + others)
}

/// With a column for what is audited, where something is.
fn table(lines: &[Line<'_>]) -> anyhow::Result<String> {
    let has_audited = lines.iter().any(|it| !it.of.audited.is_empty());
    let line = |ends: [String; 2], allowed: String, audited: String, denied: String| {
        let audited = has_audited.then_some(audited);
        ends.into_iter().chain([allowed]).chain(audited).chain([denied]).collect::<Vec<_>>()
    };
    let titles = line(["FROM".into(), "TO".into()], "ALLOWED".into(), "AUDITED".into(), "DENIED".into());
    let rows = lines
        .iter()
        .map(|it| line([it.from.clone(), it.to.clone()], cell(&it.of.allowed), cell(&it.of.audited), denied(it.of)));
    output::table(std::iter::once(titles).chain(rows))
}

fn changes_table(changes: &[Changed]) -> anyhow::Result<String> {
    let titles = ["CHANGE", "FROM", "TO", "TRAFFIC"].map(str::to_owned).to_vec();
    let rows = changes.iter().map(|it| {
        vec![change(it.change).to_owned(), it.ends.from.clone(), it.ends.to_with_family(), cell(&it.traffic)]
    });
    output::table(std::iter::once(titles).chain(rows))
}

fn cell(texts: &[String]) -> String {
    non_empty(texts.join(", "))
}

/// Ports of containers by their numbers, and whether there is more.
fn denied(it: &Connection) -> String {
    let ports = &it.denied_container_ports;
    match &it.denied[..] {
        [] => cell(&[]),
        [all] if all == "all" => all.clone(),
        denied if denied == ports.as_slice() => cell(denied),
        _ if ports.is_empty() => "all else".into(),
        _ => format!("{}, all else", ports.join(", ")),
    }
}

const fn change(change: Change) -> &'static str {
    match change {
        Change::Opens => "opens",
        Change::Closes => "closes",
        Change::Audited => "audited",
        Change::Unaudited => "unaudited",
    }
}
