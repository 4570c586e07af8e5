//! `cargo xtask demo`: two nodes, an outside client, and who sees whom.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use lab::demo::{Demo, Row, table};
use lab::{Attachment, Mode, SocketLb};

use crate::{build, process, setup};

/// What to show, and how
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Leave the lab up afterwards
    #[arg(long)]
    keep: bool,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// How pods are attached to their nodes
    #[arg(long, value_enum, default_value_t = Attach::Routed)]
    attachment: Attach,
    /// What serves: programs in the kernel, or rules of iptables
    #[arg(long, value_enum, default_value_t = Serves::Ebpf)]
    mode: Serves,
    /// Where Services are translated: at the socket and per packet, or per packet only
    #[arg(long, value_enum, default_value_t = Socket::On)]
    socket_lb: Socket,
    /// Directory of manifests; examples/source-ip by default
    #[arg(long)]
    manifests: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Attach {
    Routed,
    Bridge,
}

#[derive(Clone, Copy, ValueEnum)]
enum Serves {
    Ebpf,
    Iptables,
}

#[derive(Clone, Copy, ValueEnum)]
enum Socket {
    On,
    Host,
    Off,
}

/// Runs the demonstration; an error when a row is not as it has to be.
pub(crate) fn run(args: DemoArgs) -> Result<()> {
    build::everything(setup::ebpf()?, false)?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("examples").join("source-ip");
    let demo = Demo {
        manifests: args.manifests.unwrap_or(examples),
        attachment: match args.attachment {
            Attach::Routed => Attachment::Routed,
            Attach::Bridge => Attachment::Bridge,
        },
        mode: match args.mode {
            Serves::Ebpf => Mode::Ebpf,
            Serves::Iptables => Mode::Iptables,
        },
        socket_lb: match args.socket_lb {
            Socket::On => SocketLb::On,
            Socket::Host => SocketLb::Host,
            Socket::Off => SocketLb::Off,
        },
        keep: args.keep,
    };
    let outcome = demo.run(|step| eprintln!("==> {step}"))?;
    match args.output {
        Output::Table => process::print(&table(&outcome.rows)),
        Output::Json => process::print(&(serde_json::to_string_pretty(&outcome.rows)? + "\n")),
    }?;
    if let Some(id) = outcome.kept {
        eprintln!("{}", look_around(&id.to_string()));
    }
    judge(&outcome.rows)
}

fn judge(rows: &[Row]) -> Result<()> {
    let failed = rows.iter().filter(|row| !row.pass).count();
    ensure!(!rows.is_empty(), "the manifests have no Service to ask: nothing was shown");
    ensure!(failed == 0, "{failed} of {} rows are not as they have to be", rows.len());
    eprintln!("{} rows, all as they have to be", rows.len());
    Ok(())
}

fn look_around(lab: &str) -> String {
    format!(
        "\nLab {lab} stays up. Look around in it:
  cargo xtask lab exec --lab {lab} node1 -- sluice get services
  cargo xtask lab exec --lab {lab} node1 -- sluice get flows
  cargo xtask lab exec --lab {lab} client -- ip -brief address
  cargo xtask lab list
and remove it:
  cargo xtask lab down {lab}"
    )
}
