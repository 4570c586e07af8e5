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
enum Resource {
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

pub(super) fn run(args: &GetArgs) -> anyhow::Result<ExitCode> {
    let pinned = Pinned::open(&args.bpffs.bpffs)?;
    let filter = Filter { namespace: args.namespace.as_deref(), name: args.name.as_deref() };
    if args.resource == Resource::Drops {
        ensure!(filter.is_everything(), "drops are counted by reason, not by Service: leave out NAME and --namespace");
    }
    if args.resource == Resource::Devices {
        ensure!(filter.namespace.is_none(), "interfaces are in no namespace of Kubernetes: leave out --namespace");
    }
    if !matches!(args.resource, Resource::Policies | Resource::Identities | Resource::Devices) {
        find(&pinned, filter)?;
    }
    let agent = || Agent::read(&args.bpffs.bpffs).map(Agent::status);
    match args.resource {
        Resource::Policies => {
            print(&found("networkpolicies", filter, policies::read(&pinned, agent()?.as_ref(), filter)?)?, args)
        }
        Resource::Identities => {
            print(&found("pods", filter, identities::read(&pinned, agent()?.as_ref(), filter)?)?, args)
        }
        Resource::Drops => print(&drops::rows(&pinned.drops()?, &pinned.audits()?), args),
        Resource::Services => print(&services::rows(&pinned.image()?, filter), args),
        Resource::Backends => print(&backends::rows(&pinned.image()?, filter), args),
        Resource::Endpoints => print(&endpoints::rows(&pinned.image()?, filter), args),
        Resource::Flows => print(&flows::read(&pinned, filter)?, args),
        Resource::Devices => {
            let agent = agent()?.context("no agent has told of the node's interfaces yet: start it")?;
            print(&found("devices", filter, devices::rows(&agent, filter.name))?, args)
        }
        Resource::Affinity => print(&affinity::read(&pinned, filter)?, args),
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

fn print<R: Row>(rows: &[R], args: &GetArgs) -> anyhow::Result<ExitCode> {
    let for_people = matches!(args.output, ListFormat::Table | ListFormat::Wide);
    if rows.is_empty() && for_people {
        match (&args.namespace, &args.name) {
            (_, Some(name)) => eprintln!("No resources found of Service {name}."),
            (Some(namespace), None) => eprintln!("No resources found in {namespace} namespace."),
            (None, None) => eprintln!("No resources found."),
        }
        return Ok(ExitCode::SUCCESS);
    }
    output::write(&output::list(rows, args.output)?)
}

#[cfg(test)]
pub(super) mod tests;
