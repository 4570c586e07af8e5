//! `sluice status`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::Bpffs;
use super::names::non_empty;
use super::output::{self, Format};
use crate::dataplane::Fill;
use crate::dataplane::ebpf::read::{self, Pinned, ReadError};
use crate::status::{Agent, AgentStatus, PolicyStatus};

/// Tell whether an agent runs, what it works on, and what is in the kernel
///
/// Exits with 1 when no agent runs; what the last one left in the kernel is told all the same.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    bpffs: Bpffs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    /// Whether an agent runs now.
    alive: bool,
    /// What the agent, running or the last one, told.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentStatus>,
    /// What is in the kernel; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<Kernel>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kernel {
    epoch: u32,
    /// Tables that are nearly full.
    warnings: Vec<String>,
    tables: Vec<Table>,
    drops: Vec<Drops>,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Table {
    name: &'static str,
    entries: u64,
    limit: u32,
}

#[derive(Serialize)]
struct Drops {
    reason: &'static str,
    packets: u64,
    /// Those that passed and would not have if an audited policy were enforced.
    audited: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    name: String,
    id: u32,
    program: String,
    program_id: u32,
}

pub(super) fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let status = read(&args.bpffs)?;
    output::write(&match args.output {
        Format::Text => text(&status, &args.bpffs)?,
        Format::Json => output::json(&status)?,
        Format::Yaml => output::yaml(&status)?,
    })?;
    Ok(if status.alive { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The agent's status and the kernel's, whether an agent runs or not.
pub(super) fn read(bpffs: &Bpffs) -> anyhow::Result<Status> {
    let (alive, agent) = match Agent::read(&bpffs.bpffs)? {
        Agent::Unknown => (false, None),
        Agent::Dead(status) => (false, status),
        Agent::Alive(status) => (true, status),
    };
    Ok(Status { alive, agent, kernel: kernel(bpffs)? })
}

fn kernel(Bpffs { bpffs }: &Bpffs) -> Result<Option<Kernel>, ReadError> {
    let pinned = match Pinned::open(bpffs) {
        Err(ReadError::NotStarted { .. }) => return Ok(None),
        pinned => pinned?,
    };
    let fills = pinned.fill()?;
    let table = |fill: &Fill| Table { name: fill.table.name, entries: fill.entries, limit: fill.table.max_entries };
    // Both have all reasons, in one order.
    let counts = pinned.drops()?.into_iter().zip(pinned.audits()?);
    let drops = |(drops, audits): (read::DropCount, read::DropCount)| Drops {
        reason: drops.reason.name(),
        packets: drops.packets,
        audited: audits.packets,
    };
    let link = |link: read::PinnedLink| {
        let read::PinnedLink { name, id, program, program_id } = link;
        Link { name, id, program, program_id }
    };
    Ok(Some(Kernel {
        epoch: pinned.epoch()?,
        warnings: fills.iter().filter(|fill| fill.is_nearly_full()).map(ToString::to_string).collect(),
        tables: fills.iter().map(table).collect(),
        drops: counts.map(drops).collect(),
        links: read::links(bpffs)?.into_iter().map(link).collect(),
    }))
}

fn text(status: &Status, Bpffs { bpffs }: &Bpffs) -> anyhow::Result<String> {
    let running = if status.alive { "running" } else { "not running" };
    let mut summary = vec![pair("Agent:", running), pair("Pinned at:", &bpffs.display().to_string())];
    if let Some(agent) = &status.agent {
        summary.extend(agent_lines(agent));
    }
    let Some(kernel) = &status.kernel else {
        summary.push(pair("Kernel:", "nothing pinned: no agent has started here, or it was cleaned up"));
        return output::table(summary);
    };
    summary.extend(list("Warnings:", &kernel.warnings));
    summary.push(pair("Epoch:", &kernel.epoch.to_string()));
    let tables =
        kernel.tables.iter().map(|table| vec![table.name.into(), table.entries.to_string(), table.limit.to_string()]);
    let drops = counted(kernel, |drops| drops.packets);
    let audits = counted(kernel, |drops| drops.audited);
    let links = kernel
        .links
        .iter()
        .map(|link| vec![link.name.clone(), link.id.to_string(), link.program.clone(), link.program_id.to_string()]);
    Ok([
        output::table(summary)?,
        section(["TABLE", "ENTRIES", "LIMIT"], tables.collect())?,
        section(["DROPPED", "PACKETS"], drops)?,
        section(["AUDITED", "PACKETS"], audits)?,
        section(["LINK", "ID", "PROGRAM", "PROGRAM-ID"], links.collect())?,
    ]
    .concat())
}

/// Reasons that never came up are left to the other formats.
fn counted(kernel: &Kernel, packets: impl Fn(&Drops) -> u64) -> Vec<Vec<String>> {
    let counts = kernel.drops.iter().map(|drops| (drops.reason, packets(drops)));
    counts
        .filter(|(_, packets)| *packets > 0)
        .map(|(reason, packets)| vec![reason.into(), packets.to_string()])
        .collect()
}

fn agent_lines(agent: &AgentStatus) -> Vec<Vec<String>> {
    let devices = agent.devices.iter().map(|device| format!("{} ({})", device.name, device.role));
    let reason = agent.mode_reason.iter().map(|reason| format!(" ({reason})"));
    let mode = std::iter::once(agent.mode.to_string()).chain(reason).collect::<String>();
    let mut lines = vec![
        pair("Version:", &agent.version),
        pair("Process:", &agent.pid.to_string()),
        pair("Since:", &agent.started_at.to_string()),
        pair("Node:", &agent.node_name),
        pair("Mode:", &mode),
        pair("Socket LB:", &agent.socket_lb.to_string()),
        pair("Objects:", &agent.objects),
    ];
    lines.extend(agent.api_server.iter().map(|connection| pair("API server:", &connection.to_string())));
    lines.extend([
        pair("Ready:", if agent.ready { "yes" } else { "no" }),
        pair("Synced:", &agent.last_synced_at.map_or_else(|| "never".into(), |at| at.to_string())),
        pair("Devices:", &non_empty(devices.collect::<Vec<_>>().join(", "))),
    ]);
    lines.extend(policy_lines(agent));
    lines.extend(list("Not in force:", &agent.not_in_force));
    if agent.taking_over > 0 {
        let told = format!("{} connections that another proxy began; conntrack translates them", agent.taking_over);
        lines.push(pair("Taking over:", &told));
    }
    lines.extend(list("Ignored:", &agent.ignored.iter().map(ToString::to_string).collect::<Vec<_>>()));
    lines.extend(list("Errors:", &agent.errors));
    lines
}

fn policy_lines(AgentStatus { policy, pods, .. }: &AgentStatus) -> Vec<Vec<String>> {
    let PolicyStatus { policies, policed_pods, generation, held, unbound } = policy;
    let policed = format!("{policies}, {policed_pods} of {} Pods policed, generation {generation}", pods.len());
    let mut lines = vec![pair("Policies:", &policed)];
    let names = [("Held:", join(held)), ("Unbound:", join(unbound))];
    lines.extend(names.into_iter().filter(|(_, names)| !names.is_empty()).map(|(title, names)| pair(title, &names)));
    lines
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A line each, the first with the title.
fn list<'a>(title: &'a str, texts: &'a [String]) -> impl Iterator<Item = Vec<String>> + 'a {
    texts.iter().enumerate().map(move |(index, text)| pair(if index == 0 { title } else { "" }, text))
}

fn pair(title: &str, value: &str) -> Vec<String> {
    vec![title.into(), value.into()]
}

/// A table of its own below an empty line; nothing where it has no rows.
fn section<const N: usize>(titles: [&str; N], rows: Vec<Vec<String>>) -> anyhow::Result<String> {
    if rows.is_empty() {
        return Ok(String::new());
    }
    let titles = titles.map(String::from).to_vec();
    Ok(format!("\n{}", output::table(std::iter::once(titles).chain(rows))?))
}

#[cfg(test)]
mod tests;
