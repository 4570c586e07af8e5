//! An agent that follows an API server with many Services, and a client and a server beside it.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::MapData;
use lab::api_server::{Api as _, Settings};
use lab::figures::Mode;
use lab::{Agent, AgentOptions, ApiServer, Lab, Pod, Process, Usage};
use proxy_common::tables::{self, VERSION};

use super::objects::{Objects, SERVER, TARGET_PORT};
use crate::sluice::options;

/// Last number of the client's address.
const CLIENT: u8 = 2;
/// Between two looks whether it is ready.
const LOOK: Duration = Duration::from_millis(5);

/// Fields are in the order in which they end.
pub(crate) struct Running {
    pub(crate) mode: Mode,
    pub(crate) objects: Objects,
    /// From its start until it said that all is in the kernel.
    pub(crate) ready: Duration,
    agent: Agent,
    pub(crate) server: ApiServer,
    pub(crate) client: Pod,
    _echo: Process,
    lab: Lab,
}

impl Running {
    /// Starts an agent with all objects there, and waits until they are in the kernel.
    pub(crate) fn start(mode: Mode, objects: Objects, patience: Duration) -> Result<Self> {
        let lab = Lab::builder().nodes(1).build()?;
        let node = &lab.nodes()[0];
        let (client, pod) = (node.add_pod("asking", CLIENT)?, node.add_pod("serving", SERVER)?);
        let echo = pod.serve_measured(TARGET_PORT)?;
        // Bookmarks would be part of what the agent's CPU is used for.
        let server = ApiServer::in_lab(&lab, Settings { bookmarks: Duration::from_mins(1), ..Settings::default() })?;
        objects.all().try_for_each(|object| server.apply(&object))?;
        let chosen = options(mode).with_context(|| format!("{mode} is none of Sluice's modes"))?;
        let arguments = [AgentOptions::following(&server).arguments, chosen.arguments].concat();
        let started = Instant::now();
        let mut agent = Agent::launch(&lab, node, &AgentOptions { arguments, ..chosen })?;
        while !agent.is_ready()? {
            agent.ensure_running()?;
            ensure!(started.elapsed() < patience, "not ready after {patience:?}");
            sleep(LOOK);
        }
        let ready = started.elapsed();
        Ok(Self { mode, objects, ready, agent, server, client, _echo: echo, lab })
    }

    /// What the agent has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Ok(Usage::of(self.agent.pid())?)
    }

    /// A table of the agent's.
    pub(crate) fn table(&self, table: tables::Table) -> Result<MapData> {
        Ok(MapData::from_pin(self.maps()?.join(table.name))?)
    }

    /// Bytes that the kernel charges for the agent's tables.
    pub(crate) fn map_bytes(&self) -> Result<u64> {
        let entries = fs::read_dir(self.maps()?)?.collect::<Result<Vec<_>, _>>()?;
        // What is no table is a note about their layouts.
        let pins = entries.iter().map(fs::DirEntry::path).filter(|path| !path.is_symlink());
        pins.map(|path| bytes(&MapData::from_pin(path)?)).sum()
    }

    fn maps(&self) -> Result<PathBuf> {
        let bpffs = self.lab.nodes()[0].bpffs().context("a node has a bpffs")?;
        Ok(bpffs.join(format!("v{VERSION}/maps")))
    }
}

fn bytes(map: &MapData) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("memlock:")).context("no memlock in fdinfo")?;
    Ok(line.trim().parse()?)
}
