//! The message by which the agent names flows that may be over to the program `sweep_flows`: a packet for
//! `BPF_PROG_TEST_RUN`, never sent.
//!
//! An Ethernet header of zero bytes, the number of keys, the keys.

use crate::tables::FlowKey;
use crate::wire::Header;

/// Where the number of keys stands.
pub const COUNT_OFFSET: u32 = 14;
/// Where the keys begin.
pub const KEYS_OFFSET: u32 = COUNT_OFFSET + size_of::<Count>() as u32;
/// Most keys of one message: the kernel takes a page at the most, less its own head and tail room.
pub const MAX_KEYS: u32 = 64;

/// Number of keys, in the machine's order.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Count(pub u32);

// SAFETY: an integer.
unsafe impl Header for Count {}
// SAFETY: integers only, repr(C), no padding (asserted beside its definition).
unsafe impl Header for FlowKey {}

/// Length of a message in bytes.
pub const LENGTH: usize = KEYS_OFFSET as usize + MAX_KEYS as usize * size_of::<FlowKey>();
