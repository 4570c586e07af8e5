//! Half-open connections from forged addresses, to a node port whose endpoints are on the other node.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::Family;
use lab::figures::Mode;
use lab::losses::half_open;
use lab::traffic::{Ask, Ping};

use super::Lost;
use super::scene::{NODE_PORTS, Scene};
use crate::plan::Plan;

/// Connections that stand before the flood and exchange messages throughout.
const STANDING: u32 = 50;
/// Half-open connections, each from an address of its own: several times what the tables take; and with `--quick`.
const FLOOD: u32 = 1_000_000;
const SMALL: u32 = 50_000;
/// Pause between two that come new in the flood, and how long one may take.
const EVERY: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that stood and broke, and new ones that weren't served.
pub(super) fn cause(plan: &Plan, mode: Mode) -> Result<Lost> {
    let scene = Scene::start(mode, [2, 2])?;
    let lab = scene.cluster.lab();
    let [http, _, echo] = NODE_PORTS.map(|port| SocketAddr::new(lab.nodes()[0].addresses().of(Family::V4), port));
    let flood = if plan.quick { SMALL } else { FLOOD };
    let standing = lab.client().ping(&Ping::new(echo).connections(STANDING))?;
    let newcomers = lab.client().http_load(&Ask::new(http).every(EVERY).timeout(TIMEOUT))?;
    half_open(lab.wire(), http, flood)?;
    let newcomers = newcomers.stop()?;
    let broken = standing.stop()?.failures.len();
    let refused = newcomers.iter().filter(|outcome| outcome.is_err()).count();
    let of = format!(
        "{STANDING} that stood ({broken}) and {} that came ({refused}) while {flood} were half-opened",
        newcomers.len()
    );
    Ok(Lost { lost: (broken + refused) as u64, of })
}
