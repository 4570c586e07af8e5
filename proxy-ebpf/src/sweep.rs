//! Forgets flows that are over. The agent walks the tables and names candidates; whether one is over is decided here,
//! on the record as it is now, so that a flow which was seen again in between is kept.

use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use proxy_common::nat::{FlowEntry as _, FlowTables as _, SourcePorts as _, forget, is_over};
use proxy_common::sweep::{COUNT_OFFSET, Count, KEYS_OFFSET, MAX_KEYS};
use proxy_common::tables::FlowKey;
use proxy_common::wire::Bytes as _;

use crate::clock;
use crate::tables::Maps;
use crate::tc::Skb;

/// Takes the candidates' keys as a packet; see [`proxy_common::sweep`]. Returns how many flows it removed. Never
/// attached to a hook.
#[classifier]
pub(crate) fn sweep_flows(ctx: TcContext) -> i32 {
    let skb = Skb::new(&ctx);
    let Some(Count(count)) = skb.header(COUNT_OFFSET) else { return 0 };
    let now = clock::seconds();
    let mut removed = 0;
    let mut i = 0;
    // A loop of the kernel's: its verifier looks at one step instead of all.
    Maps.repeat(count.min(MAX_KEYS), || {
        let key = skb.header::<FlowKey>(KEYS_OFFSET + i * size_of::<FlowKey>() as u32);
        i += 1;
        removed += i32::from(key.is_some_and(|key| remove_if_over(&key, now)));
        key.is_none()
    });
    removed
}

#[inline(never)]
fn remove_if_over(key: &FlowKey, now: u32) -> bool {
    let Some(entry) = Maps.established(key).or_else(|| Maps.half_open(key)) else { return false };
    let record = entry.record();
    let over = is_over(&Maps, key, &record, now);
    if over {
        forget(&Maps, key, &record);
    }
    over
}
