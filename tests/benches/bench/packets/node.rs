//! A node with the tables that the paths need.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use aya::programs::{TestRun as _, TestRunOptions};
use proxy_common::addr::protocol::TCP;
use proxy_common::tables::{Policing, RuleKey};

use super::bench::policy::forwarded;
use super::bench::{Bench, Verdict};
use super::packet::tcp;
use super::path::{
    ALLOWED_PORT, CLUSTER_IP, CONNECTIONS, Connection, Ends, LOCAL, LOCAL_NODE_PORT, POLICED, Packet, Path, REMOTE,
    REMOTE_NODE_PORT,
};

/// Rules that let clients in.
const SET: u32 = 7;
/// Everybody, as a class.
const EVERYBODY: u32 = 0;
/// The first port of a client.
const FIRST_PORT: u16 = 1_024;

/// The same node twice, without policies and with some: these cost every packet a look.
pub(crate) struct Node {
    plain: Bench,
    policed: Bench,
    /// Connections opened so far.
    opened: u32,
}

impl Node {
    /// With Services, a policed pod, and the connections that stand.
    pub(crate) fn new() -> Self {
        let [plain, policed] = [false, true].map(|policed| {
            let mut bench = Bench::new();
            tables(&mut bench);
            if policed {
                bench.generation(1);
                bench.pod(POLICED, Policing { class: 0, ingress: SET, egress: 0 });
                bench.rule((SET, EVERYBODY), TCP, ALLOWED_PORT, RuleKey::BITS);
            }
            CONNECTIONS.iter().filter(|it| it.policed == policed).for_each(|it| establish(&mut bench, it));
            bench
        });
        Self { plain, policed, opened: 0 }
    }

    /// Nanoseconds of one of `repeat` runs on the next packet of a path.
    pub(crate) fn run(&mut self, path: &Path, repeat: u32) -> Result<f64> {
        let frame = self.frame(&path.packet);
        let bench = if path.policed { &mut self.policed } else { &mut self.plain };
        let options =
            TestRunOptions { data_in: Some(&frame), ctx_in: Some(&forwarded()), repeat, ..TestRunOptions::default() };
        let result = bench.loaded(path.program).test_run(options)?;
        let verdict = Verdict::of(path.program, result.return_value);
        ensure!(verdict == path.verdict, "{}: {verdict:?} instead of {:?}", path.name, path.verdict);
        Ok(result.duration.as_secs_f64() * 1e9)
    }

    fn frame(&mut self, packet: &Packet) -> Vec<u8> {
        match packet {
            Packet::Arp => [vec![0xff; 12], vec![8, 6], vec![0, 1, 8, 0, 6, 4, 0, 1], vec![0; 20]].concat(),
            Packet::Opening(Ends(from, to)) => {
                let ports = u32::from(u16::MAX - FIRST_PORT);
                let port = FIRST_PORT + (self.opened % ports) as u16;
                self.opened += 1;
                let from = SocketAddr::new(from.parse().expect("an address"), port);
                tcp(&from.to_string(), to, "S")
            }
            Packet::Established(Ends(from, to)) | Packet::Unknown(Ends(from, to)) => tcp(from, to, "A"),
        }
    }
}

fn tables(bench: &mut Bench) {
    for (cluster_ip, remote) in CLUSTER_IP.into_iter().zip(REMOTE) {
        bench.service(&[cluster_ip], &[remote], 0);
    }
    bench.service(&[&format!(":{LOCAL_NODE_PORT}")], &[&format!("@{LOCAL}")], 0);
    bench.service(&[&format!(":{REMOTE_NODE_PORT}")], &[REMOTE[0]], 0);
}

/// Both sides send, the client twice: the programs know then that it stands.
fn establish(bench: &mut Bench, connection: &Connection) {
    let Connection { programs, asking, answering, .. } = connection;
    bench.run(programs[0], &tcp(asking.0, asking.1, "S"));
    bench.run(programs[1], &tcp(answering.0, answering.1, "SA"));
    bench.run(programs[0], &tcp(asking.0, asking.1, "A"));
}
