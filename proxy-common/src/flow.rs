//! The life of a translated flow: its states, how packets move it along, and when it is over.

use crate::addr::protocol;
use crate::tables::{FlowRecord, flow_flags};
use crate::wire::Tcp;

/// Seconds without a datagram after which an answered flow of datagrams is forgotten: conntrack's default.
pub const UDP_TIMEOUT: u32 = 120;

/// State of a flow, the same in the records of both directions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u32)]
pub enum State {
    /// Only the client sent yet.
    New = 1,
    /// The backend answered.
    Replied = 2,
    /// The client sent on after the answer.
    Established = 3,
    /// TCP, SCTP: the client ended its direction.
    ClosedByClient = 4,
    /// TCP, SCTP: the backend ended its direction.
    ClosedByBackend = 5,
    /// TCP, SCTP: both directions ended.
    Closed = 6,
    /// TCP: one end sent a reset. SCTP: one end sent an ABORT, or the last word of a shutdown.
    Reset = 7,
}

impl State {
    /// The state with this number.
    #[inline(always)]
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            2 => Self::Replied,
            3 => Self::Established,
            4 => Self::ClosedByClient,
            5 => Self::ClosedByBackend,
            6 => Self::Closed,
            7 => Self::Reset,
            _ => Self::New,
        }
    }

    /// The name in the CLI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Replied => "Replied",
            Self::Established => "Established",
            Self::ClosedByClient => "ClosedByClient",
            Self::ClosedByBackend => "ClosedByBackend",
            Self::Closed => "Closed",
            Self::Reset => "Reset",
        }
    }

    /// The connection is over: a SYN begins another.
    #[inline(always)]
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }

    /// Both directions were seen, and the client after the backend: no flood of first packets brings a flow here. One of
    /// forged sources can, if it goes on blindly: no sequence number is checked.
    #[inline(always)]
    #[must_use]
    pub const fn is_established(self) -> bool {
        self as u32 >= Self::Established as u32
    }

    /// The state after a packet in the direction of the backend (`reply` false) or of the client.
    #[inline(always)]
    #[must_use]
    pub const fn after(self, reply: bool, tcp_flags: u8) -> Self {
        if tcp_flags & Tcp::RST != 0 {
            // A client's own resets nothing that the backend never answered to: else, and a segment later, the flow would
            // count as established.
            return if matches!((self, reply), (Self::New, false)) { Self::New } else { Self::Reset };
        }
        let fin = tcp_flags & Tcp::FIN != 0;
        match (self, reply) {
            (Self::New, true) => Self::Replied,
            (Self::Replied, false) if tcp_flags & Tcp::SYN == 0 => {
                if fin {
                    Self::ClosedByClient
                } else {
                    Self::Established
                }
            }
            (Self::Established, false) if fin => Self::ClosedByClient,
            (Self::Established, true) if fin => Self::ClosedByBackend,
            (Self::ClosedByClient, true) | (Self::ClosedByBackend, false) if fin => Self::Closed,
            // A reset whose numbers didn't fit ended nothing: a client that still acknowledges shows it. One that was
            // sent in good faith is answered by another.
            (Self::Reset, false) if tcp_flags & Tcp::ACK != 0 => Self::Established,
            (state, _) => state,
        }
    }

    /// Seconds without a packet after which the flow is forgotten. For TCP, kube-proxy's conntrack settings (a day, an
    /// hour for half-closed) where it has one; for SCTP and UDP, conntrack's own defaults.
    #[inline(always)]
    #[must_use]
    pub const fn timeout(self, protocol: u32) -> u32 {
        const TCP: u32 = protocol::TCP as u32;
        const SCTP: u32 = protocol::SCTP as u32;
        match protocol {
            TCP => match self {
                Self::New | Self::Replied => 60,
                Self::Established => 86_400,
                Self::ClosedByClient | Self::ClosedByBackend => 3_600,
                Self::Closed | Self::Reset => 30,
            },
            SCTP => match self {
                Self::New | Self::Replied | Self::ClosedByClient | Self::ClosedByBackend => 3,
                Self::Established => 210,
                Self::Closed | Self::Reset => 10,
            },
            _ => match self {
                Self::New => 30,
                _ => UDP_TIMEOUT,
            },
        }
    }
}

/// Nothing was seen of this direction for longer than its state allows. `now` is in whole seconds of the kernel's
/// monotonic clock. A flow is over when both of its directions are.
#[inline(always)]
#[must_use]
pub const fn expired(record: &FlowRecord, protocol: u32, now: u32) -> bool {
    idle_longer_than(State::from_number(record.state).timeout(protocol), record.last_seen, now)
}

/// Whether more than `limit` seconds passed between `last_seen` and `now`. Another CPU's clock may be a tick ahead: what
/// was seen then was seen just now.
#[inline(always)]
#[must_use]
pub const fn idle_longer_than(limit: u32, last_seen: u32, now: u32) -> bool {
    now.wrapping_sub(last_seen).cast_signed() > limit.cast_signed()
}

/// Direction from the backend to the client.
#[inline(always)]
#[must_use]
pub const fn is_reply(record: &FlowRecord) -> bool {
    record.flags & flow_flags::REPLY != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIN_ACK: u8 = Tcp::FIN | Tcp::ACK;
    const SYN_ACK: u8 = Tcp::SYN | Tcp::ACK;

    fn walk(packets: &[(bool, u8)]) -> State {
        packets.iter().fold(State::New, |state, (reply, flags)| state.after(*reply, *flags))
    }

    #[test]
    fn a_connection_is_established_by_the_last_step_of_the_handshake_only() {
        assert_eq!(walk(&[(false, Tcp::SYN), (true, SYN_ACK)]), State::Replied);
        assert_eq!(walk(&[(false, Tcp::SYN), (true, SYN_ACK), (false, Tcp::SYN)]), State::Replied);
        assert_eq!(walk(&[(false, Tcp::SYN), (true, SYN_ACK), (false, Tcp::ACK)]), State::Established);
    }

    #[test]
    fn it_is_over_when_both_ends_finished() {
        let open = [(true, SYN_ACK), (false, Tcp::ACK)];
        let state = |packets: &[(bool, u8)]| walk(&[&open, packets].concat());
        assert_eq!(state(&[(false, FIN_ACK)]), State::ClosedByClient);
        assert_eq!(state(&[(true, FIN_ACK)]), State::ClosedByBackend);
        assert_eq!(state(&[(false, FIN_ACK), (true, FIN_ACK), (false, Tcp::ACK)]), State::Closed);
        assert_eq!(state(&[(true, FIN_ACK), (false, FIN_ACK), (true, Tcp::ACK)]), State::Closed);
    }

    #[test]
    fn a_reset_that_ended_nothing_is_taken_back_by_the_client() {
        let reset = walk(&[(true, SYN_ACK), (false, Tcp::ACK), (true, Tcp::RST)]);
        assert_eq!(reset, State::Reset);
        assert_eq!(reset.after(true, Tcp::ACK), State::Reset);
        assert_eq!(reset.after(false, Tcp::ACK), State::Established);
    }

    #[test]
    fn nothing_that_the_client_sends_alone_is_taken_for_more_than_a_beginning() {
        for [first, second, third] in [[Tcp::RST, Tcp::ACK, Tcp::ACK], [Tcp::SYN, Tcp::RST, Tcp::ACK], [FIN_ACK; 3]] {
            assert_eq!(walk(&[(false, Tcp::SYN), (false, first), (false, second), (false, third)]), State::New);
        }
    }

    #[test]
    fn datagrams_are_established_when_the_client_goes_on() {
        assert_eq!(walk(&[(false, 0), (false, 0)]), State::New);
        assert_eq!(walk(&[(false, 0), (true, 0), (true, 0)]), State::Replied);
        assert_eq!(walk(&[(false, 0), (true, 0), (false, 0)]), State::Established);
    }

    #[test]
    fn a_clock_that_is_behind_expires_nothing() {
        let record = FlowRecord { last_seen: 100, state: State::New as u32, ..FlowRecord::default() };
        assert!(!expired(&record, u32::from(protocol::UDP), 99));
        assert!(!expired(&record, u32::from(protocol::UDP), 130));
        assert!(expired(&record, u32::from(protocol::UDP), 131));
    }

    #[test]
    fn a_state_comes_back_from_its_number() {
        for number in 1..=7 {
            assert_eq!(State::from_number(number) as u32, number);
        }
    }
}
