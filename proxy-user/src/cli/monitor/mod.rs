//! `sluice monitor`: what happens to packets, as it happens.

mod text;

use std::io::{self, BufRead, BufReader, IsTerminal as _, StdoutLock, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ExitCode, exit};
use std::thread;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::Bpffs;
use crate::config::DataplaneMode;
use crate::monitor::{Kind, Line, NameFilter, Wanted, Whom};
use crate::status::{Agent, monitor_socket};

/// Show what becomes of packets as it happens: drops, new flows, and what an audited policy would drop
///
/// Needs the agent. Of many at once a part is shown, and how many were not. Ends with Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct MonitorArgs {
    /// Only what is dropped or refused
    #[arg(long)]
    drops: bool,
    /// Only what passes and would not, were its policy enforced
    #[arg(long)]
    audit: bool,
    /// Only what this Pod (of any namespace, unless one is named) or address sent or was sent
    #[arg(long, value_name = "[NAMESPACE/]NAME|IP")]
    pod: Option<Whom>,
    /// Only what this NetworkPolicy allowed by a rule, or denied by isolating an end
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    policy: Option<NameFilter>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: LineFormat,
    #[command(flatten)]
    bpffs: Bpffs,
}

/// A line for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum LineFormat {
    /// For people; times are UTC.
    #[default]
    Text,
    /// A JSON document a line.
    Json,
}

impl MonitorArgs {
    fn wanted(&self) -> Wanted {
        let verdicts = [(self.drops, Kind::Drop), (self.audit, Kind::Audit)];
        Wanted {
            verdicts: verdicts.into_iter().filter_map(|(asked, kind)| asked.then_some(kind)).collect(),
            pod: self.pod.clone(),
            policy: self.policy.clone(),
        }
    }
}

pub(super) fn run(args: &MonitorArgs) -> anyhow::Result<ExitCode> {
    let mut agent = connect(&args.bpffs.bpffs)?;
    let wanted = serde_json::to_string(&args.wanted())? + "\n";
    agent.write_all(wanted.as_bytes()).context("the agent can't be asked")?;
    end_with_reader();
    let mut stdout = io::stdout().lock();
    for line in BufReader::new(agent).lines() {
        let line = line.context("the agent can't be heard any more")?;
        match show(&line, args.output, &mut stdout) {
            // A reader that went away has what it wanted.
            Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
            shown => shown?,
        }
    }
    bail!("the agent has ended; what it left goes on, but nobody tells of it before the next one runs")
}

/// Ends the process when nobody can read what it prints any more, though there may be nothing to print.
fn end_with_reader() {
    thread::spawn(|| {
        let stdout = io::stdout();
        // Errors and hang-ups are told without being asked for.
        loop {
            match poll(&mut [PollFd::new(&stdout, PollFlags::empty())], None) {
                Ok(_) => exit(0),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    });
}

fn connect(bpffs: &Path) -> anyhow::Result<UnixStream> {
    let Agent::Alive(status) = Agent::read(bpffs)? else {
        bail!(
            "no agent runs for {}: nobody can tell what happens; start it, or name another directory with --bpffs",
            bpffs.display()
        );
    };
    ensure!(
        status.is_none_or(|status| status.mode == DataplaneMode::Ebpf),
        "in iptables mode no program tells of packets: conntrack -E tells of connections, iptables -L -n -v counts drops"
    );
    let path = monitor_socket(bpffs);
    UnixStream::connect(&path).with_context(|| {
        format!(
            "{}: the agent runs and can't be listened to; is it still starting (`sluice status`)? If not, its log says why",
            path.display()
        )
    })
}

fn show(line: &str, format: LineFormat, stdout: &mut StdoutLock<'_>) -> anyhow::Result<()> {
    let parsed: Line = serde_json::from_str(line)
        .with_context(|| format!("the agent is of another version than this command (`sluice status`): {line}"))?;
    if let Line::Refused { error } = parsed {
        bail!("the agent lets nobody listen: {error}");
    }
    match format {
        LineFormat::Json => writeln!(stdout, "{line}")?,
        LineFormat::Text => writeln!(stdout, "{}", text::line(&parsed, stdout.is_terminal()))?,
    }
    Ok(stdout.flush()?)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
