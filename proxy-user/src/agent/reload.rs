//! A configuration that changes while the agent runs: on SIGHUP, and when its file has other content.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::config::{Config, ConfigError, Sources};

/// How often the file is looked at. Its content tells, not its inode: a mounted `ConfigMap` changes by a link's new target, an
/// editor's file by a rename.
const LOOK: Duration = Duration::from_secs(5);
/// Keys that are in force at once. The others take a restart, which traffic doesn't notice.
const AT_ONCE: [&str; 4] = ["allowServiceExternalIPs", "devices", "localhostNodePorts", "nodePortAddresses"];

/// Waits for changes.
pub(super) struct Reload {
    sources: Sources,
    /// The file as it was last read; `None` while it can't be.
    seen: Option<Vec<u8>>,
    looks: Interval,
    hangup: Signal,
}

impl Reload {
    /// From now on SIGHUP doesn't end the process.
    pub(super) fn new(sources: Sources) -> anyhow::Result<Self> {
        let hangup = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let seen = content(&sources);
        Ok(Self { sources, seen, looks, hangup })
    }

    /// Waits until the configuration is to be read again. May be dropped while it waits.
    pub(super) async fn asked(&mut self) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => return,
                _ = self.looks.tick() => if content(&self.sources) != self.seen { return },
            }
        }
    }

    /// The configuration as it is now.
    pub(super) fn read(&mut self) -> Result<Config, ConfigError> {
        self.seen = content(&self.sources);
        self.sources.read()
    }
}

fn content(sources: &Sources) -> Option<Vec<u8>> {
    sources.file.as_deref().and_then(|path| fs::read(path).ok())
}

/// What of `next` is in force at once, in the place of `now`; and the keys that take a restart.
pub(super) fn at_once(now: &Config, next: Config) -> (Config, Vec<String>) {
    let (before, after) = (now.to_json(), next.to_json());
    let keys = before.as_object().into_iter().chain(after.as_object()).flat_map(|keys| keys.keys());
    let differs = |key: &&String| before.get(key) != after.get(key) && !AT_ONCE.contains(&key.as_str());
    let mut later: Vec<String> = keys.filter(differs).cloned().collect();
    later.sort_unstable();
    later.dedup();
    let in_force = Config {
        allow_service_external_ips: next.allow_service_external_ips,
        devices: next.devices,
        localhost_node_ports: next.localhost_node_ports,
        node_port_addresses: next.node_port_addresses,
        ..now.clone()
    };
    (in_force, later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn what_can_be_is_in_force_at_once_and_the_rest_is_named() {
        let config = |settings: Settings| Settings { manifests: Some("/m".into()), ..settings }.resolve().unwrap();
        let now = config(Settings::default());
        let next = Settings {
            devices: Some(vec!["eth9".into()]),
            localhost_node_ports: Some(false),
            healthz_bind_address: Some(String::new()),
            node_name: Some("another".into()),
            ..Settings::default()
        };
        let (in_force, later) = at_once(&now, config(next));
        assert_eq!(later, ["healthzBindAddress", "nodeName"]);
        assert_eq!(in_force, Config { devices: vec!["eth9".into()], localhost_node_ports: false, ..now.clone() });
        assert_eq!(at_once(&now, now.clone()), (now, Vec::new()));
    }
}
