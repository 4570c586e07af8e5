//! The agent's library on a kernel's own maps, without a source of objects.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::Lab;
use proxy_user::agent::Services;
use proxy_user::config::{Settings, SocketLb};
use proxy_user::dataplane::ebpf::{Dataplane, Globals, Options, TcMode};
use proxy_user::model::Change;
use proxy_user::objects::{ObjectEvent, manifest};
use proxy_user::serve::Metrics;
use rustix::time::{ClockId, clock_gettime};

use super::objects::Objects;

/// Seconds on the CPU from decoded objects to the kernel's tables.
pub(crate) fn cpu_seconds(objects: Objects) -> Result<f64> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = &lab.nodes()[0];
    let object = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bpf/sluice-ebpf.o"))
        .context("target/bpf/sluice-ebpf.o: build it with: cargo xtask build")?;
    let mut dataplane = Dataplane::open(&Options {
        object: &object,
        bpffs: node.bpffs().context("a node has a bpffs")?,
        tc_mode: TcMode::detect(),
        socket_lb: false,
        bpf_log_level: None,
        globals: Globals::default(),
    })?;
    let settings = Settings {
        node_name: Some(node.name().into()),
        manifests: Some(lab.manifests().dir().into()),
        socket_lb: Some(SocketLb::Off),
        ..Settings::default()
    };
    let metrics = Metrics::new(&settings.resolve()?);
    let mut services = Services::new(node.name());
    let mut events = Vec::new();
    for object in objects.all() {
        events.extend(manifest::object(object)?.map(|object| ObjectEvent::Change(Change::Apply(object))));
    }
    events.push(ObjectEvent::Synced);
    let before = on_this_cpu();
    services.take(events, &metrics);
    services.sync(&mut dataplane, &metrics)?;
    Ok(on_this_cpu() - before)
}

/// Seconds of this thread, in the kernel too.
fn on_this_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32).as_secs_f64()
}
