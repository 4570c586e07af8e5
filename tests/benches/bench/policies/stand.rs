//! A lab of one mode, with servers whose policies differ.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use lab::figures::Mode;
use lab::manifests::build::{self, HTTP, http, service};
use lab::manifests::rules::{CLIENT, policy, without_servers};
use lab::{Cluster, Family, Lab, Pod, Process};
use serde_json::Value;

use crate::sluice::options;

/// Last number of the client's address; the servers' come after it.
const CLIENT_INDEX: u8 = 2;

/// A client and its servers on one node. Fields are in the order in which they end.
pub(crate) struct Stand {
    pub(crate) mode: Mode,
    _servers: Vec<Process>,
    cluster: Cluster,
}

impl Stand {
    /// Starts pods and servers, then the agent, with all policies there; direct traffic has neither.
    pub(crate) fn start(mode: Mode, rules: &[u32]) -> Result<Self> {
        let lab = Lab::builder().nodes(1).build()?;
        lab.manifests().write("cluster.yaml", &build::file(&pods(rules)))?;
        let mut cluster = Cluster::without_agents(lab)?;
        let serve = |rules: &u32| Ok(cluster.pod(&name(*rules))?.serve_measured(HTTP)?);
        let servers = rules.iter().map(serve).collect::<Result<_>>()?;
        if let Some(options) = options(mode) {
            // JSON is read many times faster than YAML, which the lab itself reads.
            let policies =
                rules.iter().filter(|rules| **rules > 0).map(|rules| policy(&name(*rules), *rules).to_string());
            cluster.lab().manifests().write("policies.json", &policies.collect::<Vec<_>>().join("\n"))?;
            cluster.start_agents(&options)?;
        }
        Ok(Self { mode, _servers: servers, cluster })
    }

    pub(crate) fn client(&self) -> Result<&Pod> {
        Ok(self.cluster.pod(CLIENT)?)
    }

    /// The Service before the pod with so many rules; the pod itself for direct traffic.
    pub(crate) fn server(&self, rules: u32) -> Result<SocketAddr> {
        let name = name(rules);
        if self.mode == Mode::Direct {
            return Ok(SocketAddr::new(self.cluster.pod(&name)?.addresses().of(Family::V4), HTTP));
        }
        self.cluster.cluster_ip(&name, Family::V4).with_context(|| format!("Service {name}"))
    }
}

fn pods(rules: &[u32]) -> Vec<Value> {
    let server = |(index, rules): (u8, &u32)| {
        let name = name(*rules);
        [service(&name, index, &http()), without_servers(&name, index)]
    };
    let client = without_servers(CLIENT, CLIENT_INDEX);
    [client].into_iter().chain((CLIENT_INDEX + 1..).zip(rules).flat_map(server)).collect()
}

fn name(rules: u32) -> String {
    format!("rules-{rules}")
}
