//! Connections and requests, to servers whose policies differ.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use lab::manifests::build;
use lab::manifests::rules::{CLIENT, policy, without_servers};
use lab::traffic::Serve;
use lab::{Cluster, Family, Lab, SocketLb, eventually};

/// Port of the echo servers.
const ECHO: u16 = build::HTTP;

/// A figure for each server.
pub(crate) struct Row {
    name: &'static str,
    /// Microseconds; the first server is the unpoliced one.
    figures: Vec<f64>,
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name)?;
        let base = self.figures[0];
        write!(out, "\t{base:.1} us")?;
        self.figures[1..].iter().try_for_each(|figure| write!(out, "\t{:.2}", figure / base))
    }
}

/// Asks in turns; ratios to the server that no policy selects.
pub(crate) fn measure(rules: &[u32], rounds: u32) -> Result<Vec<Row>> {
    let lab = Lab::builder().nodes(1).build()?;
    let names: Vec<String> = std::iter::once(0).chain(rules.iter().copied()).map(|it| format!("rules-{it}")).collect();
    let mut objects = vec![without_servers(CLIENT, 2)];
    for (index, name) in (3..).zip(&names) {
        objects.push(without_servers(name, index));
    }
    objects
        .extend(names.iter().zip(std::iter::once(&0).chain(rules)).skip(1).map(|(name, rules)| policy(name, *rules)));
    lab.manifests().write("cluster.yaml", &build::file(&objects))?;
    let cluster = Cluster::start(lab, SocketLb::Off)?;
    let serve = || Serve { echo: vec![ECHO], ..Serve::default() };
    let servers: Result<Vec<_>> = names.iter().map(|name| Ok(cluster.pod(name)?.serve(&serve())?)).collect();
    let _servers = servers?;
    let at = |name: &String| Ok(SocketAddr::new(cluster.pod(name)?.addresses().of(Family::V4), ECHO));
    let to: Vec<SocketAddr> = names.iter().map(at).collect::<Result<_>>()?;
    cluster.pod(CLIENT)?.inside(|| ask_in_turns(&to, rounds))?
}

fn ask_in_turns(to: &[SocketAddr], rounds: u32) -> Result<Vec<Row>> {
    for server in to {
        eventually("the server answers", &true, || anyhow::Ok(TcpStream::connect_timeout(server, SOON).is_ok()))?;
    }
    let mut kept: Vec<_> = to.iter().map(TcpStream::connect).collect::<Result<_, _>>().context("connect")?;
    kept.iter().try_for_each(|stream| stream.set_nodelay(true))?;
    let mut connects = vec![Vec::new(); to.len()];
    let mut requests = vec![Vec::new(); to.len()];
    for round in 0..rounds as usize {
        for turn in 0..to.len() {
            // Nobody always comes after the same other.
            let server = (turn * (1 + round % (to.len() - 1)) + round) % to.len();
            let started = Instant::now();
            let stream = TcpStream::connect(to[server])?;
            connects[server].push(started.elapsed());
            // A reset, so that no port waits for its end.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            drop(stream);
            let started = Instant::now();
            kept[server].write_all(b"12345678")?;
            kept[server].read_exact(&mut [0; 8])?;
            requests[server].push(started.elapsed());
        }
    }
    Ok(vec![
        row("connect, p50", &mut connects, 50),
        row("connect, p90", &mut connects, 90),
        row("request on a connection, p50", &mut requests, 50),
        row("request on a connection, p90", &mut requests, 90),
    ])
}

const SOON: Duration = Duration::from_millis(500);

fn row(name: &'static str, samples: &mut [Vec<Duration>], percent: usize) -> Row {
    let percentile = |samples: &mut Vec<Duration>| {
        samples.sort_unstable();
        samples[samples.len() * percent / 100].as_secs_f64() * 1e6
    };
    Row { name, figures: samples.iter_mut().map(percentile).collect() }
}
