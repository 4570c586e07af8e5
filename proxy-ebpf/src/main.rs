//! Sluice's kernel programs: they parse, call the shared decisions of `proxy-common`, rewrite and count.
//!
//! One file a hook with thin entries: [`tc`] per packet, [`sock`] at the socket, [`sweep`] run by the agent.
#![no_std]
#![no_main]
#![expect(clippy::needless_pass_by_value, reason = "aya's macros hand a program its context by value")]

mod clock;
mod maps;
mod policy;
mod sock;
mod sweep;
mod tables;
mod tc;
mod zero;

// The kernel lends helpers that are its own only to programs under its licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

// The verifier refuses a program that can get here.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
