//! What becomes of traffic between each two ends.

use proxy_common::addr::Family;

use super::cluster::{Cluster, Verdict};
use super::ends::End;
use super::traffic::Traffic;

/// Two ends, with what was found out of the traffic from one to the other.
pub(super) struct Cell<'a, T> {
    pub(super) from: &'a End,
    pub(super) to: &'a End,
    /// Where the ends have both families and the two differ.
    pub(super) family: Option<Family>,
    /// For each slice of the traffic.
    pub(super) found: Vec<T>,
}

/// What becomes of `traffic` in a cluster.
pub(super) fn verdicts<'a>(cluster: &Cluster, ends: &'a [End], traffic: &Traffic) -> Vec<Cell<'a, Verdict>> {
    cells(ends, |from, to, family| between(cluster, traffic, from, to, family))
}

/// What becomes of `traffic` before and after a change.
pub(super) fn changes<'a>(
    [before, after]: [&Cluster; 2],
    ends: &'a [End],
    traffic: &Traffic,
) -> Vec<Cell<'a, (Verdict, Verdict)>> {
    cells(ends, |from, to, family| {
        let before = between(before, traffic, from, to, family)?;
        let after = between(after, traffic, from, to, family)?;
        Some(before.into_iter().zip(after).collect())
    })
}

fn between(cluster: &Cluster, traffic: &Traffic, from: &End, to: &End, family: Family) -> Option<Vec<Verdict>> {
    let (from, to) = End::pair(from, to, family, cluster)?;
    Some(traffic.slices().iter().map(|slice| cluster.verdict(from, to, *slice)).collect())
}

fn cells<T: PartialEq>(ends: &[End], between: impl Fn(&End, &End, Family) -> Option<Vec<T>>) -> Vec<Cell<'_, T>> {
    let mut cells = Vec::new();
    for (from, to) in ends.iter().flat_map(|from| ends.iter().map(move |to| (from, to))) {
        let families = [Family::V4, Family::V6].map(|family| between(from, to, family).map(|found| (family, found)));
        let cell = |family, found| Cell { from, to, family, found };
        match families {
            [Some((v4, found_v4)), Some((v6, found_v6))] if found_v4 != found_v6 => {
                cells.extend([cell(Some(v4), found_v4), cell(Some(v6), found_v6)]);
            }
            [Some((_, found)), _] | [None, Some((_, found))] => cells.push(cell(None, found)),
            [None, None] => {}
        }
    }
    cells
}
