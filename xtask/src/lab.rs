//! `cargo xtask lab`: labs that were kept.

use anyhow::Result;
use clap::{Args, Subcommand};
use lab::{Host, existing};

use crate::process;

/// What to do with a lab
#[derive(Args)]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List the labs and their hosts
    List,
    /// Run a program on a host of a lab
    Exec {
        /// Number of the lab; may be left out when there is only one
        #[arg(long)]
        lab: Option<u32>,
        /// Node, pod, client or wire
        host: String,
        /// Program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Remove a lab that no process uses
    Down {
        /// Number of the lab; may be left out when there is only one
        lab: Option<u32>,
    },
}

/// Carries out a verb.
pub(crate) fn run(args: LabArgs) -> Result<()> {
    match args.verb {
        Verb::List => {
            let lines = existing::list()?.into_iter().map(|(id, hosts)| format!("{id}\t{}\n", hosts.join(" ")));
            process::print(&lines.collect::<String>())?;
        }
        Verb::Exec { lab, host, command } => {
            let host = Host::find(existing::find(lab)?, &host)?;
            let (program, arguments) = command.split_first().expect("clap requires a program");
            existing::exec(&host, program, arguments)?;
        }
        Verb::Down { lab } => existing::down(existing::find(lab)?)?,
    }
    Ok(())
}
