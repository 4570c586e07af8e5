//! Layouts of the version before, of those tables that the programs write and whose layout has changed since: what an
//! upgrade converts so that no flow is lost. What the agent writes is written anew instead.
//!
//! Only one version back: the next one replaces what is here.

use super::VERSION;
use crate::addr::{Addr, Port};

const _: () =
    assert!(VERSION == 3, "this page holds layouts of version 2: replace them by those of the version before");

/// A record of `FLOWS` and `FLOWS_NEW`, whose key has not changed: all of today's but for the policies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct FlowRecord {
    /// As [`super::FlowRecord::src`].
    pub src: Addr,
    /// As [`super::FlowRecord::dst`].
    pub dst: Addr,
    /// As [`super::FlowRecord::src_port`].
    pub src_port: Port,
    /// As [`super::FlowRecord::dst_port`].
    pub dst_port: Port,
    /// As [`super::FlowRecord::service`].
    pub service: u32,
    /// As [`super::FlowRecord::epoch`].
    pub epoch: u32,
    /// As [`super::FlowRecord::last_seen`].
    pub last_seen: u32,
    /// As [`super::FlowRecord::state`].
    pub state: u32,
    /// As [`super::FlowRecord::flags`].
    pub flags: u32,
}

const _: () = assert!(size_of::<FlowRecord>() == 56);

impl From<FlowRecord> for super::FlowRecord {
    /// No policy judged it: it passed in generation 0, which ends with the first policy.
    fn from(old: FlowRecord) -> Self {
        Self {
            src: old.src,
            dst: old.dst,
            src_port: old.src_port,
            dst_port: old.dst_port,
            service: old.service,
            epoch: old.epoch,
            last_seen: old.last_seen,
            state: old.state,
            flags: old.flags,
            policy: 0,
        }
    }
}
