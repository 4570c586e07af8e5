//! What an SCTP packet means for its association (RFC 9260): said in TCP's flags, so that both share their states.

use crate::wire::Tcp;

/// Types of chunks (RFC 9260, 3.2).
pub mod chunk {
    /// Opens an association.
    pub const INIT: u8 = 1;
    /// Answers to that.
    pub const INIT_ACK: u8 = 2;
    /// Ends an association at once.
    pub const ABORT: u8 = 6;
    /// No more data from the sender.
    pub const SHUTDOWN: u8 = 7;
    /// Nor from the other side.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// The end of the association.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
    /// Flag of ABORT and SHUTDOWN COMPLETE: its verification tag is the other side's, sent back (RFC 9260, 8.5.1).
    pub const TAG_REFLECTED: u8 = 1;
}

/// The TCP flags that stand for a packet whose first chunk is of this type. The first is enough: INIT, INIT ACK and
/// SHUTDOWN COMPLETE travel alone, and control comes before data (RFC 9260, 6.10).
///
/// SHUTDOWN COMPLETE is, as a reset, answered to by nobody (RFC 9260, 8.4, rules 2 and 6).
#[inline(always)]
#[must_use]
pub const fn flags(chunk: u8) -> u8 {
    match chunk {
        chunk::INIT => Tcp::SYN,
        chunk::INIT_ACK => Tcp::SYN | Tcp::ACK,
        chunk::SHUTDOWN | chunk::SHUTDOWN_ACK => Tcp::FIN | Tcp::ACK,
        chunk::ABORT | chunk::SHUTDOWN_COMPLETE => Tcp::RST,
        _ => Tcp::ACK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::State;

    const COOKIE_ECHO: u8 = 10;
    const COOKIE_ACK: u8 = 11;
    const DATA: u8 = 0;

    fn walk(packets: &[(bool, u8)]) -> State {
        packets.iter().fold(State::New, |state, (reply, chunk)| state.after(*reply, flags(*chunk)))
    }

    const OPEN: [(bool, u8); 3] = [(false, chunk::INIT), (true, chunk::INIT_ACK), (false, COOKIE_ECHO)];

    #[test]
    fn an_association_is_established_by_the_cookie_that_comes_back() {
        assert_eq!(walk(&OPEN[..2]), State::Replied);
        assert_eq!(walk(&OPEN), State::Established);
        assert_eq!(walk(&[&OPEN[..], &[(true, COOKIE_ACK), (false, DATA)]].concat()), State::Established);
    }

    #[test]
    fn it_is_over_when_both_sides_shut_it_down_or_one_aborts() {
        for first in [false, true] {
            let half = walk(&[&OPEN[..], &[(first, chunk::SHUTDOWN)]].concat());
            assert!(!half.is_over() && half != State::Established);
            let both = half.after(!first, flags(chunk::SHUTDOWN_ACK));
            assert_eq!(both, State::Closed);
            assert!(both.after(first, flags(chunk::SHUTDOWN_COMPLETE)).is_over());
            assert!(walk(&[&OPEN[..], &[(first, chunk::ABORT)]].concat()).is_over());
        }
    }
}
