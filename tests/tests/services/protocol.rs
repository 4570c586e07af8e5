//! One way to ask over TCP and over UDP.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result, anyhow, ensure};
use lab::traffic::{Answer, Ask, Failure};
use lab::{Family, Host};

/// Of the transport. The servers of the suites answer both alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// Both with both families.
    pub(crate) fn with_families() -> impl Iterator<Item = (Self, Family)> {
        [Self::Tcp, Self::Udp].into_iter().flat_map(|protocol| Family::BOTH.map(|family| (protocol, family)))
    }

    /// What comes of each request.
    pub(crate) fn each(self, host: &Host, ask: &Ask) -> Result<Vec<Result<Answer, Failure>>> {
        use_ports_of_its_own(host)?;
        let outcomes = match self {
            Self::Tcp => host.http_each(ask)?,
            Self::Udp => host.udp_each(ask)?,
        };
        ensure!(!outcomes.is_empty(), "{host} asked nothing");
        Ok(outcomes)
    }

    /// The answers, one for each request.
    pub(crate) fn answers(self, host: &Host, ask: &Ask) -> Result<Vec<Answer>> {
        let answers = self.each(host, ask)?.into_iter().enumerate().map(|(number, outcome)| {
            outcome.map_err(|failure| anyhow!("request {number} of {host} over {self:?}: {failure}; {ask:?}"))
        });
        answers.collect()
    }

    /// The kernel's name of the error that the one request ends in.
    pub(crate) fn error(self, host: &Host, ask: &Ask) -> Result<String> {
        Ok(match self.each(host, ask)?.remove(0) {
            Ok(answer) => format!("an answer of {}", answer.pod),
            Err(failure) => failure.error,
        })
    }
}

/// First port that clients ask from.
const FIRST_PORT: u16 = 10_000;
/// Ports for each call: a few times as many as there are requests.
const PORTS: u16 = 500;
/// More calls than any lab sees.
const CALLS: u16 = (u16::MAX - FIRST_PORT) / PORTS;

/// Has a host ask from ports that no other call in its lab uses. An endpoint knows clients by address and port only: when
/// one asks it by two ways from the same port in short succession, the answers can't be told apart.
fn use_ports_of_its_own(host: &Host) -> Result<()> {
    static CALL: AtomicU16 = AtomicU16::new(0);
    let first = FIRST_PORT + CALL.fetch_add(1, Ordering::Relaxed) % CALLS * PORTS;
    let range = format!("{first} {}", first + PORTS - 1);
    host.inside(|| fs::write("/proc/sys/net/ipv4/ip_local_port_range", range))?
        .with_context(|| format!("choose the ports of {host}"))
}

/// Who answered.
pub(crate) fn pods(answers: &[Answer]) -> BTreeSet<&str> {
    answers.iter().map(|answer| answer.pod.as_str()).collect()
}
