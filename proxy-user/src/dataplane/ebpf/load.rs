//! Brings maps and programs into the kernel, attached to nothing yet.

use std::hash::{BuildHasher as _, RandomState};

use aya::programs::{CgroupSockAddr, SchedClassifier};
use aya::{Ebpf, EbpfLoader};
use aya_log::Level;
use proxy_common::tables;

use super::error::Error;
use super::hooks::{SOCKET_PROGRAMS, SWEEP_PROGRAM, TC_PROGRAMS};
use super::pins::Pins;

/// Constants of the programs, fixed when they are loaded: the verifier removes what they turn off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Globals {
    /// Cookie of the node's own network namespace.
    pub host_netns_cookie: u64,
    /// Only sockets of the node itself are translated, not those of pods.
    pub socket_lb_host_only: bool,
    /// What policies deny is answered, instead of dropped in silence.
    pub policy_reject: bool,
    /// Packets between pods of this node go past the node's stack.
    pub local_redirect: bool,
}

/// Loads the object: maps that are pinned, whose layout was checked, are used again, the others made and pinned.
pub(super) fn load(
    object: &[u8],
    pins: &Pins,
    globals: &Globals,
    log_level: Option<Level>,
    with_sockets: bool,
) -> Result<Ebpf, Error> {
    let host_only = u8::from(globals.socket_lb_host_only);
    let policy_reject = u8::from(globals.policy_reject);
    let local_redirect = u8::from(globals.local_redirect);
    let log_level = log_level.map_or(0, |level| level as u8);
    let judged_mark = judged_mark();
    let mut loader = EbpfLoader::new();
    loader
        .override_global("HOST_NETNS_COOKIE", &globals.host_netns_cookie, true)
        .override_global("SOCKET_LB_HOST_ONLY", &host_only, true)
        .override_global("POLICY_REJECT", &policy_reject, true)
        .override_global("LOCAL_REDIRECT", &local_redirect, true)
        .override_global("JUDGED_MARK", &judged_mark, true)
        // Only there if a program logs.
        .override_global(aya_log::LEVEL, &log_level, false);
    for table in tables::ALL {
        loader.map_pin_path(table.name, pins.maps().join(table.name));
    }
    let mut ebpf = loader.load(object).map_err(Error::Load)?;
    load_programs(&mut ebpf, with_sockets)?;
    Ok(ebpf)
}

/// The number by which the programs know a packet that they have judged. Pods don't learn it, and other nodes in the same
/// kernel have another. It and its neighbour, which differs in the lowest bit, are not 0: that is on every new packet.
fn judged_mark() -> u16 {
    // Keyed by the kernel's random numbers.
    let random = RandomState::new().hash_one(std::process::id());
    let [low, high, ..] = random.to_ne_bytes();
    u16::from_ne_bytes([low, high]) | 2
}

fn load_programs(ebpf: &mut Ebpf, with_sockets: bool) -> Result<(), Error> {
    for name in TC_PROGRAMS.into_iter().chain([SWEEP_PROGRAM]) {
        let error = |source| Error::Program { name, source };
        let program = ebpf.program_mut(name).ok_or(Error::Missing { kind: "program", name })?;
        <&mut SchedClassifier>::try_from(program).map_err(error)?.load().map_err(error)?;
    }
    if !with_sockets {
        return Ok(());
    }
    for name in SOCKET_PROGRAMS {
        let error = |source| Error::Program { name, source };
        let program = ebpf.program_mut(name).ok_or(Error::Missing { kind: "program", name })?;
        <&mut CgroupSockAddr>::try_from(program).map_err(error)?.load().map_err(error)?;
    }
    Ok(())
}
