//! `sluice get`: what the tables hold, by Kubernetes' names.

pub(super) mod affinity;
mod backends;
mod devices;
mod drops;
mod endpoints;
mod flows;
mod identities;
mod policies;
mod services;

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};

use super::Bpffs;
use super::names::Filter;
use super::output::{self, ListFormat, Row};
use crate::dataplane::ebpf::read::Pinned;
use crate::status::Agent;

/// List what the tables in the kernel hold, whether an agent runs or not
///
/// All namespaces are listed unless one is named: a node serves the Services and pods of all of them.
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// What to list
    #[arg(value_enum, value_name = "KIND")]
    resource: Resource,
    /// Only those of the Service of this name; of policies the policy, of identities the Pod, of devices the interface
    name: Option<String>,
    /// Only those of Services, policies or Pods in this namespace [default: all namespaces]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Those of all namespaces, which is the default
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
    #[command(flatten)]
    bpffs: Bpffs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Resource {
    /// Service ports: their frontends, and how many endpoints they have
    #[value(aliases = ["service", "svc"])]
    Services,
    /// The slots a Service port chooses an endpoint from
    #[value(aliases = ["backend", "be"])]
    Backends,
    /// The endpoints of each Service
    #[value(aliases = ["endpoint", "ep"])]
    Endpoints,
    /// Flows being translated, packet by packet or at their socket
    #[value(aliases = ["flow", "fl"])]
    Flows,
    /// Clients that session affinity has bound to an endpoint
    Affinity,
    /// Policies that isolate pods of this node: which pods, and what their rules allowed
    #[value(aliases = ["policy", "networkpolicies", "networkpolicy", "netpol"])]
    Policies,
    /// Addresses of pods as NetworkPolicy knows them, and what isolates them
    #[value(aliases = ["identity"])]
    Identities,
    /// Interfaces of the node: which programs they get, and why those or none. Takes the status of an agent
    #[value(aliases = ["device", "dev"])]
    Devices,
    /// Packets that were not passed on, by reason, and those that audited policies would not pass
    #[value(aliases = ["drop"])]
    Drops,
}

/// What becomes of rows.
trait Sink {
    type Done;

    fn take<R: Row>(&self, rows: &[R]) -> anyhow::Result<Self::Done>;
}

pub(super) fn run(args: &GetArgs) -> anyhow::Result<ExitCode> {
    let filter = Filter { namespace: args.namespace.as_deref(), name: args.name.as_deref() };
    if args.resource == Resource::Drops {
        ensure!(filter.is_everything(), "drops are counted by reason, not by Service: leave out NAME and --namespace");
    }
    if args.resource == Resource::Devices {
        ensure!(filter.namespace.is_none(), "interfaces are in no namespace of Kubernetes: leave out --namespace");
    }
    read(args.resource, &args.bpffs, filter, usize::MAX, args)
}

/// Some of a kind, as one JSON document, which says how many it lacks. Of a table of flows no more are read.
pub(super) fn sample(resource: Resource, bpffs: &Bpffs, limit: usize) -> anyhow::Result<String> {
    read(resource, bpffs, Filter::default(), limit, &Sample(limit))
}

fn read<S: Sink>(
    resource: Resource,
    bpffs: &Bpffs,
    filter: Filter<'_>,
    flows: usize,
    sink: &S,
) -> anyhow::Result<S::Done> {
    let pinned = Pinned::open(&bpffs.bpffs)?;
    if !pinned.has_programs() {
        ensure_without_programs(resource)?;
    }
    if !matches!(resource, Resource::Policies | Resource::Identities | Resource::Devices) {
        find(&pinned, filter)?;
    }
    let agent = || Agent::read(&bpffs.bpffs).map(Agent::status);
    match resource {
        Resource::Policies => {
            sink.take(&found("networkpolicies", filter, policies::read(&pinned, agent()?.as_ref(), filter)?)?)
        }
        Resource::Identities => {
            sink.take(&found("pods", filter, identities::read(&pinned, agent()?.as_ref(), filter)?)?)
        }
        Resource::Drops => sink.take(&drops::rows(&pinned.drops()?, &pinned.audits()?)),
        Resource::Services => sink.take(&services::rows(&pinned.image()?, filter)),
        Resource::Backends => sink.take(&backends::rows(&pinned.image()?, filter)),
        Resource::Endpoints => sink.take(&endpoints::rows(&pinned.image()?, filter)),
        Resource::Flows => sink.take(&flows::read(&pinned, filter, flows)?),
        Resource::Devices => {
            let agent = agent()?.context("no agent has told of the node's interfaces yet: start it")?;
            sink.take(&found("devices", filter, devices::rows(&agent, filter.name))?)
        }
        Resource::Affinity => sink.take(&affinity::read(&pinned, filter)?),
    }
}

/// Where rules serve, what programs would write is nowhere or with others.
fn ensure_without_programs(resource: Resource) -> anyhow::Result<()> {
    match resource {
        Resource::Flows => bail!("in iptables mode the kernel's conntrack has the flows: conntrack -L --dst-nat"),
        Resource::Affinity => {
            bail!("in iptables mode affinity is with the rules: see the files in /proc/net/xt_recent")
        }
        Resource::Drops => {
            bail!("in iptables mode drops are counted by the rules: iptables -L -n -v (and -t nat), ip6tables likewise")
        }
        _ => Ok(()),
    }
}

/// At most so many rows, as JSON.
struct Sample(usize);

impl Sink for Sample {
    type Done = String;

    fn take<R: Row>(&self, rows: &[R]) -> anyhow::Result<String> {
        output::sample(R::LIST_KIND, rows, self.0)
    }
}

/// A Service that is asked for by name has to be in the tables, as kubectl has it.
fn find(pinned: &Pinned, filter: Filter<'_>) -> anyhow::Result<()> {
    match filter.name {
        Some(_) => found("services", filter, filter.ports(&pinned.names.entries()?)).map(drop),
        None => Ok(()),
    }
}

/// What is asked for by name has to be in the tables, as kubectl has it.
fn found<T>(kind: &str, filter: Filter<'_>, things: Vec<T>) -> anyhow::Result<Vec<T>> {
    match filter.name {
        Some(name) if things.is_empty() => bail!("{kind} \"{name}\" not found"),
        _ => Ok(things),
    }
}

/// As the command line asks.
impl Sink for GetArgs {
    type Done = ExitCode;

    fn take<R: Row>(&self, rows: &[R]) -> anyhow::Result<ExitCode> {
        let for_people = matches!(self.output, ListFormat::Table | ListFormat::Wide);
        if rows.is_empty() && for_people {
            match (&self.namespace, &self.name) {
                (_, Some(name)) => eprintln!("No resources found of Service {name}."),
                (Some(namespace), None) => eprintln!("No resources found in {namespace} namespace."),
                (None, None) => eprintln!("No resources found."),
            }
            return Ok(ExitCode::SUCCESS);
        }
        output::write(&output::list(rows, self.output)?)
    }
}

#[cfg(test)]
pub(super) mod tests;
