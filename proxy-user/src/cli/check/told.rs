//! The report as text.

use super::report::{Change, Changed, Connection, Ends, Report};
use crate::cli::names::non_empty;
use crate::cli::output;

pub(super) fn text(report: &Report) -> anyhow::Result<String> {
    let mut parts = Vec::new();
    parts.extend(lines("problem", &report.problems));
    if let Some(connections) = &report.connections {
        parts.push(connections_text(connections)?);
    }
    match report.changes.as_deref() {
        None => {}
        Some([]) => parts.push("nothing changes\n".into()),
        Some(changes) => parts.push(changes_table(changes)?),
    }
    parts.extend(lines("note", &report.notes));
    Ok(parts.join("\n"))
}

fn lines(what: &str, texts: &[String]) -> Option<String> {
    let lines: Vec<String> = texts.iter().map(|it| format!("{what}: {it}\n")).collect();
    (!lines.is_empty()).then(|| lines.concat())
}

/// What some policy is about; the rest in a line.
fn connections_text(connections: &[Connection]) -> anyhow::Result<String> {
    let (isolated, others): (Vec<_>, Vec<_>) = connections.iter().partition(|it| it.isolated);
    Ok(match (&isolated[..], &others[..]) {
        ([], _) => "everything is allowed: no policy isolates a Pod\n".into(),
        (isolated, []) => table(isolated)?,
        (isolated, _) => format!("{}all else is allowed: no policy isolates it\n", table(isolated)?),
    })
}

/// With a column for what is audited, where something is.
fn table(connections: &[&Connection]) -> anyhow::Result<String> {
    let has_audited = connections.iter().any(|it| !it.audited.is_empty());
    let line = |ends: [String; 2], allowed: String, audited: String, denied: String| {
        let audited = has_audited.then_some(audited);
        ends.into_iter().chain([allowed]).chain(audited).chain([denied]).collect::<Vec<_>>()
    };
    let titles = line(["FROM".into(), "TO".into()], "ALLOWED".into(), "AUDITED".into(), "DENIED".into());
    let rows = connections.iter().map(|it| line(ends(&it.ends), cell(&it.allowed), cell(&it.audited), denied(it)));
    output::table(std::iter::once(titles).chain(rows))
}

fn changes_table(changes: &[Changed]) -> anyhow::Result<String> {
    let titles = ["CHANGE", "FROM", "TO", "TRAFFIC"].map(str::to_owned).to_vec();
    let rows = changes.iter().map(|it| {
        let [from, to] = ends(&it.ends);
        vec![change(it.change).to_owned(), from, to, cell(&it.traffic)]
    });
    output::table(std::iter::once(titles).chain(rows))
}

fn ends(ends: &Ends) -> [String; 2] {
    let family = ends.family.map(|family| format!(" ({family})")).unwrap_or_default();
    [ends.from.clone(), format!("{}{family}", ends.to)]
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
