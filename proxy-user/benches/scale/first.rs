//! The first full state, and an agent that finds it there.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::Context as _;
use aya::maps::MapData;
use proxy_common::tables::{self, VERSION};
use proxy_user::agent::Services;
use proxy_user::config::{Settings, SocketLb};
use proxy_user::dataplane::ebpf::{Dataplane, Globals, Options, TcMode};
use proxy_user::objects::ObjectEvent;
use proxy_user::objects::manifest::ManifestSource;
use proxy_user::serve::Metrics;

use crate::objects::{NODE, Objects};
use crate::place::Place;
use crate::report::{First, Restart};
use crate::stopwatch::timed;

/// An agent's state, in step with the kernel.
pub(crate) struct Ready {
    pub(crate) objects: Objects,
    pub(crate) services: Services,
    pub(crate) dataplane: Dataplane,
    pub(crate) metrics: Metrics,
    /// As the source told them at the start.
    events: Vec<ObjectEvent>,
}

pub(crate) fn measure(place: &Place, objects: Objects) -> anyhow::Result<(First, Ready)> {
    let manifests = place.manifests(objects)?;
    let mut dataplane = open(place, objects)?;
    let metrics = metrics(&manifests)?;
    let ((source, events), decode) = timed(|| Ok(ManifestSource::new(&manifests)?))?;
    drop(source);
    let told = events.clone();
    let mut services = Services::new(NODE);
    let (_, model) = timed(|| Ok(services.take(events, &metrics)))?;
    let (writes, plan) = timed(|| services.writes(&dataplane))?;
    let ((), kernel) = timed(|| services.carry_out(&mut dataplane, &writes))?;
    let writes = dataplane.writes_by_table().filter(|(_, writes)| *writes > 0).collect();
    let map_bytes = map_bytes(&place.bpffs(&objects.services.to_string())?)?;
    let first = First { decode, model, plan, kernel, writes, map_bytes };
    Ok((first, Ready { objects, services, dataplane, metrics, events: told }))
}

/// Ends the agent, and has another one take over.
pub(crate) fn restart(place: &Place, ready: Ready) -> anyhow::Result<Restart> {
    let Ready { objects, metrics, events, services, dataplane } = ready;
    drop((services, dataplane));
    let mut dataplane = open(place, objects)?;
    let mut services = Services::new(NODE);
    let ((), took) = timed(|| {
        services.take(events, &metrics);
        services.sync(&mut dataplane, &metrics)
    })?;
    let written = dataplane.writes_by_table().filter(|(table, _)| *table != tables::EPOCH.name);
    Ok(Restart { took, writes: written.map(|(_, writes)| writes).sum() })
}

fn open(place: &Place, objects: Objects) -> anyhow::Result<Dataplane> {
    let object = fs::read(concat!(env!("OUT_DIR"), "/sluice-ebpf.o"))?;
    Ok(Dataplane::open(&Options {
        object: &object,
        bpffs: &place.bpffs(&objects.services.to_string())?,
        tc_mode: TcMode::detect(),
        socket_lb: false,
        bpf_log_level: None,
        globals: Globals::default(),
    })?)
}

fn metrics(manifests: &Path) -> anyhow::Result<Metrics> {
    let settings = Settings {
        node_name: Some(NODE.into()),
        manifests: Some(manifests.into()),
        socket_lb: Some(SocketLb::Off),
        ..Settings::default()
    };
    Ok(Metrics::new(&settings.resolve()?))
}

fn map_bytes(bpffs: &Path) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let maps = bpffs.join(format!("v{VERSION}/maps"));
    let bytes = |table: tables::Table| {
        let map = MapData::from_pin(maps.join(table.name))?;
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("memlock:")).context("no memlock in fdinfo")?;
        Ok((table.name, line.trim().parse()?))
    };
    tables::ALL.into_iter().map(bytes).collect()
}
