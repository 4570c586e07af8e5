//! What is in a bundle. Most of it is what a command prints.

use std::io::{self, Write};
use std::net::SocketAddr;

use anyhow::Context as _;

use super::archive::Archive;
use super::{http, kernel, network};
use crate::cli::get::{self, Resource};
use crate::cli::version::Versions;
use crate::cli::{Bpffs, output, status};
use crate::config::BindAddress;
use crate::preflight::{Needs, preflight};
use crate::status::{Agent, AgentStatus};

/// Lists of `sluice get`.
const LISTS: [(&str, &str, Resource); 6] = [
    ("services.json", "sluice get services", Resource::Services),
    ("backends.json", "sluice get backends", Resource::Backends),
    ("flows.json", "sluice get flows", Resource::Flows),
    ("policies.json", "sluice get policies", Resource::Policies),
    ("identities.json", "sluice get identities", Resource::Identities),
    ("drops.json", "sluice get drops", Resource::Drops),
];

/// Adds every part, one after the other: none of them keeps another from coming.
pub(super) fn add(archive: &mut Archive<impl Write>, bpffs: &Bpffs, limit: usize) -> io::Result<()> {
    let agent = Agent::read(&bpffs.bpffs).ok().and_then(Agent::status);
    archive.add("version.json", "sluice version", output::json(&Versions::find(bpffs)))?;
    archive.add("status.json", "sluice status", status::read(bpffs).and_then(|status| output::json(&status)))?;
    archive.add(
        "configuration.json",
        "the agent's configuration, as /configz has it",
        configuration(agent.as_ref()),
    )?;
    archive.add("doctor.json", "sluice doctor", output::json(&preflight(&needs(bpffs, agent.as_ref()))))?;
    for (file, command, resource) in LISTS {
        archive.add(file, command, get::sample(resource, bpffs, limit))?;
    }
    served(archive, agent.as_ref())?;
    let (interfaces, routes) = network::read(limit);
    archive.add("interfaces.json", "interfaces and their addresses", interfaces)?;
    archive.add("routes.json", "routes of all tables", routes)?;
    archive.add("sysctls.json", "kernel settings that decide what becomes of packets", kernel::sysctls())?;
    archive.add("kernel.json", "version of the kernel", kernel::version())?;
    archive.add("kernel-config.txt", "options of the kernel about BPF and networks", kernel::options())?;
    archive.add("programs.json", "BPF programs that are loaded", kernel::programs())
}

/// What the agent's servers say, at the addresses of its configuration.
fn served(archive: &mut Archive<impl Write>, agent: Option<&AgentStatus>) -> io::Result<()> {
    let pages = [
        ("metrics.txt", "/metrics of the metrics server", "metricsBindAddress", "/metrics"),
        ("readyz.txt", "/readyz of the health server", "healthzBindAddress", "/readyz"),
        ("livez.txt", "/livez of the health server", "healthzBindAddress", "/livez"),
    ];
    for (file, what, key, path) in pages {
        let page = address(agent, key).and_then(|address| http::page(address, path));
        archive.add(file, what, page)?;
    }
    Ok(())
}

fn configuration(agent: Option<&AgentStatus>) -> anyhow::Result<String> {
    output::json(&agent.context("no agent has told its configuration")?.configuration)
}

/// Where the agent's server of a setting can be asked.
fn address(agent: Option<&AgentStatus>, key: &str) -> anyhow::Result<SocketAddr> {
    let told = agent.and_then(|agent| agent.configuration.get(key)?.as_str());
    let told = told.with_context(|| format!("no agent has told its {key}"))?;
    let address = BindAddress::parse(told, 0).with_context(|| format!("{key}: \"{told}\" is no address"))?;
    address.socket_addr().with_context(|| format!("{key} is empty: the server is switched off"))
}

/// The needs of the agent that runs or ran; without one, those of an agent without flags.
fn needs(bpffs: &Bpffs, agent: Option<&AgentStatus>) -> Needs {
    Needs {
        mode: agent.map(|agent| agent.mode.into()).unwrap_or_default(),
        bpffs: bpffs.bpffs.clone(),
        cgroup: agent.and_then(|agent| agent.cgroup.clone()),
        socket_lb: agent.map(|agent| agent.socket_lb).unwrap_or_default(),
    }
}
