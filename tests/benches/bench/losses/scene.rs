//! Web servers that also echo behind a Service with node ports, and who asks them.

use anyhow::{Context as _, Result};
use lab::figures::Mode;
use lab::manifests::build::{HTTP, UDP, client, file, on_nodes, pod, service};
use lab::traffic::Serve;
use lab::{Cluster, Lab, Process};
use serde_json::json;

use crate::sluice::options;

/// The Service, and the pod that asks it, on `node1`.
pub(crate) const SERVICE: &str = "web";
pub(crate) const ASKER: &str = "asker";
/// Port of the servers that send back what they get, of the Service before them, and of the nodes.
pub(crate) const ECHO: u16 = 7;
pub(crate) const NODE_PORTS: [u16; 3] = [30_080, 30_053, 30_007];
const SERVERS: [&str; 2] = ["web-1", "web-2"];

/// Fields are in the order in which they end.
pub(crate) struct Scene {
    _echo: Vec<Process>,
    pub(crate) cluster: Cluster,
}

impl Scene {
    /// With the servers on the nodes of these numbers.
    pub(crate) fn start(mode: Mode, nodes: [u8; 2]) -> Result<Self> {
        let lab = Lab::builder().build()?;
        let ports = json!([
            {"name": "http", "port": 80, "targetPort": HTTP},
            {"name": "dns", "port": 53, "targetPort": UDP, "protocol": "UDP"},
            {"name": "echo", "port": ECHO, "targetPort": ECHO},
        ]);
        let [first, second] = nodes;
        let servers = [pod(SERVERS[0], SERVICE, first, 10), pod(SERVERS[1], SERVICE, second, 11)];
        let others = [on_nodes(service(SERVICE, 10, &ports), &NODE_PORTS), client(ASKER, 1, 20)];
        lab.manifests().write("web.yaml", &file(&[others, servers].concat()))?;
        let options = options(mode).with_context(|| format!("{mode} is none of Sluice's modes"))?;
        let cluster = Cluster::start(lab, options)?;
        let echo = |name: &str| {
            Ok(cluster.pod(name)?.serve(&Serve { name: name.into(), echo: vec![ECHO], ..Serve::default() })?)
        };
        let echo = SERVERS.into_iter().map(echo).collect::<Result<_>>()?;
        Ok(Self { _echo: echo, cluster })
    }
}
