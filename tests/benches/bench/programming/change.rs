//! One endpoint comes and goes.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, Map, MapData};
use lab::api_server::Api as _;
use lab::figures::{Mode, counted, percentile};
use proxy_common::addr::{Port, protocol};
use proxy_common::tables::{SERVICES, Service, ServiceKey};
use socket2::SockRef;

use super::agent::Running;
use super::objects::changed_at;
use super::wait::until;
use crate::plan::Plan;

/// Changes of each kind, and with `--quick`.
const CHANGES: u32 = 100;
const FEW: u32 = 20;
/// No more changes are made after so long.
const LONG: Duration = Duration::from_mins(2);
/// An attempt to connect that takes longer found nobody.
const ATTEMPT: Duration = Duration::from_millis(200);

/// What changes took: p50 and p99, in milliseconds.
pub(crate) struct Changes {
    /// Until the table has it; none where that says nothing.
    pub(crate) to_kernel: Option<[f64; 2]>,
    /// Until a connection goes by it.
    pub(crate) to_packet: [f64; 2],
    /// Time on the CPU of one.
    pub(crate) cpu_millis: f64,
}

/// Changes an endpoint back and forth.
pub(crate) fn measure(running: &Running, plan: &Plan) -> Result<Changes> {
    let (ip, port) = changed_at();
    let at = SocketAddr::from((ip, port));
    let changes = if plan.quick { FEW } else { CHANGES };
    let before = running.usage()?.cpu_seconds;
    let see = |is_ready: bool| until("the first packet", plan.patience(), || Ok(connects(at)? == is_ready));
    // The clients' own time is theirs; the agent's is what is asked for.
    let to_packet = running.client.inside(|| changed(running, changes, see))??;
    let mut made = to_packet.len();
    let to_kernel = if running.mode == Mode::Iptables {
        None
    } else {
        let services: HashMap<MapData, ServiceKey, Service> = Map::HashMap(running.table(SERVICES)?).try_into()?;
        let key = ServiceKey::new(std::net::IpAddr::from(ip).into(), Port::new(port), protocol::TCP);
        let see = |is_ready: bool| {
            let look = || Ok(services.get(&key, 0)?.cluster == u32::from(is_ready));
            until("the table", plan.patience(), look)
        };
        let took = changed(running, changes, see)?;
        made += took.len();
        Some(percentiles(took)?)
    };
    let cpu_millis = (running.usage()?.cpu_seconds - before) / counted(made as u64) * 1e3;
    Ok(Changes { to_kernel, to_packet: percentiles(to_packet)?, cpu_millis })
}

/// How long each change took until it was seen.
fn changed(running: &Running, changes: u32, see: impl Fn(bool) -> Result<Duration>) -> Result<Vec<Duration>> {
    let started = Instant::now();
    let mut took = Vec::new();
    // Two at the least: one goes, one comes back.
    for is_ready in [false, true].into_iter().cycle().take(changes as usize) {
        running.server.apply(&running.objects.changed(is_ready))?;
        took.push(see(is_ready)?);
        if is_ready && started.elapsed() > LONG {
            break;
        }
    }
    Ok(took)
}

/// Whether somebody answers.
fn connects(to: SocketAddr) -> Result<bool> {
    match TcpStream::connect_timeout(&to, ATTEMPT) {
        Ok(stream) => {
            // A reset, so that no port waits for its end.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error).context("connect"),
    }
}

fn percentiles(mut took: Vec<Duration>) -> Result<[f64; 2]> {
    took.sort_unstable();
    let at = |percent| percentile(&took, percent).map(|time| time.as_secs_f64() * 1e3).context("no change was made");
    Ok([at(50)?, at(99)?])
}
