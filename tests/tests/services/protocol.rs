//! One way to ask over TCP and over UDP.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, ensure};
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

/// Who answered.
pub(crate) fn pods(answers: &[Answer]) -> BTreeSet<&str> {
    answers.iter().map(|answer| answer.pod.as_str()).collect()
}
