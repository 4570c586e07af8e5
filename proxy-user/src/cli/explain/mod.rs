//! `sluice explain`: what becomes of a connection, by the decisions that the programs take, on the tables they take them on.

mod decide;
mod ends;
mod explanation;
mod nearest;
mod one_side;
mod place;
mod report;
mod routes;
mod told;
mod verdict;
mod why;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use proxy_common::addr::{Port, protocol};

use self::decide::Question;
use self::ends::Names;
use self::explanation::Explanation;
use self::place::place;
use self::report::Facts;
use self::routes::NodeRoutes;
use super::output::{self, Format};
use super::{Bpffs, clock};
use crate::dataplane::ebpf::read::Pinned;
use crate::status::{Agent, AgentStatus};

/// Tell what becomes of a connection: which Service, which endpoints and why, what is rewritten, what policies say
///
/// The decisions are the kernel programs' own, on the tables they use; nothing is sent and nothing is changed. Ask on the
/// node that translates: the client's own or, for a client outside, the one that it sends to. Each pod's policies are
/// decided on by its own node.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Who connects: a Pod of this node, [NAMESPACE/]NAME, or an address
    #[arg(long, value_name = "POD|IP")]
    from: String,
    /// To what: a Service, [NAMESPACE/]NAME, which means its ClusterIP, a Pod of this node, or an address
    #[arg(long, value_name = "POD|SERVICE|IP")]
    to: String,
    /// To which port of it: a number or, of a Service, a port's name
    #[arg(short, long)]
    port: String,
    /// By which protocol
    #[arg(long, value_enum, ignore_case = true, default_value_t)]
    protocol: Protocol,
    /// The client's own port: tells also of the flow that it has there now
    #[arg(long, value_name = "PORT")]
    source_port: Option<u16>,
    /// Namespace of names without one
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    bpffs: Bpffs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    const fn number(self) -> u8 {
        match self {
            Self::Tcp => protocol::TCP,
            Self::Udp => protocol::UDP,
            Self::Sctp => protocol::SCTP,
        }
    }
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let pinned = Pinned::open(&args.bpffs.bpffs)?;
    let agent = Agent::read(&args.bpffs.bpffs)?.status();
    let routes = NodeRoutes::open(&pinned)?;
    let explanation = explain(args, &pinned, agent.as_ref(), &routes)?;
    routes.check()?;
    output::write(&match args.output {
        Format::Text => told::text(&explanation)?,
        Format::Json => output::json(&explanation)?,
        Format::Yaml => output::yaml(&explanation)?,
    })
}

/// What is told of the connection asked for.
fn explain(
    args: &ExplainArgs,
    pinned: &Pinned,
    agent: Option<&AgentStatus>,
    routes: &impl routes::Ways,
) -> anyhow::Result<Explanation> {
    let names = Names::read(pinned, agent, &args.namespace)?;
    let ends = names.ends(&args.from, &args.to, &args.port, args.protocol.number())?;
    let place = place(pinned, agent, routes, ends.from)?;
    let question = Question {
        client: place.client,
        source: ends.from.into(),
        source_port: args.source_port.map(Port::new),
        to: ends.to.into(),
        port: Port::new(ends.port),
        protocol: args.protocol.number(),
        now: clock::seconds(),
    };
    let decision = question.decide(pinned, routes)?;
    let facts = Facts { pinned, agent, names: &names, routes };
    Ok(facts.tell(&question, place, &decision)?)
}

#[cfg(test)]
mod tests;
