//! Clients that go on asking while a story runs.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use lab::Host;
use lab::traffic::{Answer, Ask, Background};

/// Pause between requests of one client.
const PAUSE: Duration = Duration::from_millis(10);

/// Clients under way.
#[derive(Default)]
pub(crate) struct Load(Vec<(String, Background)>);

impl Load {
    /// A client that asks over HTTP.
    pub(crate) fn http(&mut self, host: &Host, ask: &Ask) -> Result<()> {
        self.0.push((format!("{host}: {ask:?}"), host.http_load(&ask.clone().every(PAUSE))?));
        Ok(())
    }

    /// A client that asks over UDP.
    pub(crate) fn udp(&mut self, host: &Host, ask: &Ask) -> Result<()> {
        self.0.push((format!("{host}: {ask:?}"), host.udp_load(&ask.clone().every(PAUSE))?));
        Ok(())
    }

    /// Who answered the first request of the first client.
    pub(crate) fn first_to_answer(&self) -> Result<String> {
        let (client, background) = self.0.first().context("no client was started")?;
        let first = background.so_far()?.into_iter().next().context("no request was made")?;
        first.map(|answer| answer.pod).map_err(|failure| anyhow!("{client}: {failure}"))
    }

    /// The answers each client got, the first one first; an error unless every request of every client was answered.
    pub(crate) fn all_answered(self) -> Result<Vec<Vec<Answer>>> {
        self.0.into_iter().map(|(client, background)| all_answered(&client, background)).collect()
    }
}

fn all_answered(client: &str, background: Background) -> Result<Vec<Answer>> {
    let outcomes = background.stop()?;
    let asked = outcomes.len();
    let mut answers = Vec::with_capacity(asked);
    let mut failures = Vec::new();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(answer) => answers.push(answer),
            Err(failure) => failures.push(format!("request {number}: {failure}")),
        }
    }
    ensure!(failures.is_empty(), "{client}: {} of {asked} requests were lost: {failures:?}", failures.len());
    Ok(answers)
}
