//! What the programs tell of a packet, for `sluice monitor`.

use crate::addr::{Addr, Port};
use crate::tables::{FlowKey, Rule};

/// A verdict, as it lies in the ring buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Event {
    /// Nanoseconds of the kernel's monotonic clock.
    pub time: u64,
    /// The packet as it met us.
    pub key: FlowKey,
    /// Where it goes after translation.
    pub dst: Addr,
    /// Its port there.
    pub dst_port: Port,
    /// TCP flags.
    pub tcp_flags: u16,
    /// The interface it is on.
    pub ifindex: u32,
    /// [`kind`].
    pub kind: u32,
    /// [`crate::drop::Reason`] as a number, of a drop and of what an audit reports; else 0.
    pub reason: u32,
    /// The rule that let the source send it.
    pub egress: Rule,
    /// The rule that let the destination have it.
    pub ingress: Rule,
    /// Bytes of the packet, from its link-layer header on.
    pub length: u32,
    /// Events of this CPU that were not told since the last that was.
    pub skipped: u32,
}

const _: () = assert!(size_of::<Event>() == 104);

/// Values of [`Event::kind`].
pub mod kind {
    /// It was dropped or refused.
    pub const DROP: u32 = 1;
    /// A new flow passes, or one that runs under a changed policy.
    pub const ALLOW: u32 = 2;
    /// It passes, and would not if the policy were enforced.
    pub const AUDIT: u32 = 3;
}

/// What is asked to be told. User space writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Listening {
    /// Bits `1 << kind` of the events that somebody listens to; 0: nobody does.
    pub kinds: u32,
    /// Most events a second and CPU; those beyond it are counted ([`Event::skipped`]).
    pub per_second: u32,
}

/// How much one CPU told, and didn't. Zero at the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Told {
    /// The second that `sent` is about: of the kernel's monotonic clock.
    pub second: u32,
    /// Events told in it.
    pub sent: u32,
    /// Events not told since the last that was.
    pub skipped: u32,
}

impl Told {
    /// Whether another event may be told in the second `now`; else it is counted as skipped.
    #[inline(always)]
    pub fn admits(&mut self, per_second: u32, now: u32) -> bool {
        if self.second != now {
            self.second = now;
            self.sent = 0;
        }
        if self.sent < per_second {
            self.sent += 1;
            return true;
        }
        self.skipped = self.skipped.wrapping_add(1);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_events_and_counts_the_others() {
        let mut told = Told::default();
        let admitted = |told: &mut Told, now| (0..5).filter(|_| told.admits(3, now)).count();
        assert_eq!((admitted(&mut told, 7), told.skipped), (3, 2));
        assert_eq!((admitted(&mut told, 8), told.skipped), (3, 4));
        assert!(!Told::default().admits(0, 9));
    }
}
