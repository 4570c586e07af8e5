//! The agent itself, as a process on a directory of manifests.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aya::maps::{HashMap, Map, MapData};
use proxy_common::tables::{self, Service, ServiceKey, VERSION};

use crate::change::which;
use crate::objects::{NODE, Objects, frontend};
use crate::place::Place;
use crate::process::Process;
use crate::report;
use crate::stopwatch::Took;

/// How long anything is waited for.
const LIMIT: Duration = Duration::from_mins(2);
/// Time between two looks at the kernel.
const LOOK: Duration = Duration::from_micros(200);

/// One agent at each size; they run side by side, and changes take turns.
pub(crate) fn measure(place: &Place, sizes: [Objects; 3], changes: u32) -> anyhow::Result<Vec<report::Agent>> {
    let mut agents = Vec::new();
    for (number, objects) in (0..).zip(sizes) {
        agents.push(Agent::start(place, objects, 10_256 + number)?);
    }
    // What an agent does at the start is over.
    sleep(Duration::from_secs(1));
    let mut latencies = vec![Vec::new(); agents.len()];
    let before: Vec<_> = agents.iter().map(|agent| agent.process.cpu_seconds()).collect::<Result<_, _>>()?;
    for turn in 0..changes {
        for (agent, latencies) in agents.iter().zip(&mut latencies) {
            latencies.push(agent.change(turn)?.as_secs_f64() * 1e3);
        }
    }
    let measured = agents.iter().zip(latencies).zip(before).map(|((agent, latencies), before)| {
        Ok(report::Agent {
            ready: agent.ready,
            resident_bytes: agent.resident_bytes,
            peak_bytes: agent.peak_bytes,
            change_millis: latencies.into(),
            change_cpu_micros: (agent.process.cpu_seconds()? - before) / f64::from(changes) * 1e6,
        })
    });
    measured.collect()
}

/// A running agent.
struct Agent {
    process: Process,
    objects: Objects,
    manifests: PathBuf,
    services: HashMap<MapData, ServiceKey, Service>,
    ready: Took,
    resident_bytes: u64,
    peak_bytes: u64,
}

impl Agent {
    fn start(place: &Place, objects: Objects, port: u16) -> anyhow::Result<Self> {
        let bpffs = place.bpffs(&format!("agent-{}", objects.services))?;
        let manifests = place.manifests(objects)?;
        let health = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let started = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["agent", "--socket-lb", "off", "--node-name", NODE, "--metrics-bind-address", ""])
            .args(["--healthz-bind-address", &health.to_string()])
            .args([Path::new("--manifests"), &manifests, Path::new("--bpffs"), &bpffs])
            .env("RUST_LOG", "error")
            .spawn()
            .context("cannot start sluice")?;
        let process = Process::new(process);
        wait("the agent is not ready", || Ok(is_ready(health).unwrap_or(false)))?;
        let wall_seconds = started.elapsed().as_secs_f64();
        let ready = Took { wall_seconds, cpu_seconds: process.cpu_seconds()? };
        let services = MapData::from_pin(bpffs.join(format!("v{VERSION}/maps")).join(tables::SERVICES.name))?;
        let services = Map::HashMap(services).try_into()?;
        let (resident_bytes, peak_bytes) = (process.memory("VmRSS")?, process.memory("VmHWM")?);
        Ok(Self { process, objects, manifests, services, ready, resident_bytes, peak_bytes })
    }

    /// Changes a slice in its file; how long until the kernel counts its endpoints anew.
    fn change(&self, turn: u32) -> anyhow::Result<Duration> {
        let (service, endpoint) = which(self.objects.services, self.objects.endpoints, turn);
        let unready = turn.is_multiple_of(2).then_some(endpoint);
        let file = self.manifests.join(Objects::file_name(service));
        let next = file.with_extension("next");
        fs::write(&next, self.objects.manifest(service, unready))?;
        let expected = self.objects.endpoints - u32::from(unready.is_some());
        let started = Instant::now();
        fs::rename(next, file)?;
        wait("the change is not in the kernel", || Ok(self.services.get(&frontend(service), 0)?.cluster == expected))?;
        Ok(started.elapsed())
    }
}

/// Waits until `look` is true; an error that begins with `what` if it isn't in time.
fn wait(what: &str, look: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !look()? {
        ensure!(started.elapsed() < LIMIT, "{what} after {LIMIT:?}");
        sleep(LOOK);
    }
    Ok(())
}

fn is_ready(health: SocketAddr) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(health)?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {health}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
