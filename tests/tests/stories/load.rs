//! Clients that go on asking while a story runs.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use lab::traffic::{Answer, Ask, Background, Failure};
use lab::{Host, eventually};

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

    /// Waits until the latest request of each client was answered by a pod.
    pub(crate) fn wait_until_answered_by(&self, pod: &str) -> Result<()> {
        for (client, background) in &self.0 {
            let latest = || Ok(background.so_far()?.pop().map_or_else(String::new, answering));
            eventually::<_, lab::Error>(&format!("who answers {client}"), &pod.to_owned(), latest)?;
        }
        Ok(())
    }

    /// Number of requests each client has made.
    pub(crate) fn requests(&self) -> Result<Vec<usize>> {
        self.0.iter().map(|(_, background)| Ok(background.so_far()?.len())).collect()
    }

    /// The answers each client got, the first one first; an error unless every request of every client was answered.
    pub(crate) fn all_answered(self) -> Result<Vec<Vec<Answer>>> {
        let all = vec![0; self.0.len()];
        self.all_answered_after(&all)
    }

    /// The same, but for the first requests of each client.
    pub(crate) fn all_answered_after(self, first: &[usize]) -> Result<Vec<Vec<Answer>>> {
        let clients = self.0.into_iter().zip(first);
        clients.map(|((client, background), first)| all_answered(&client, background, *first)).collect()
    }
}

/// The pod that answered, or why none did.
fn answering(outcome: Result<Answer, Failure>) -> String {
    outcome.map_or_else(|failure| failure.to_string(), |answer| answer.pod)
}

fn all_answered(client: &str, background: Background, first: usize) -> Result<Vec<Answer>> {
    let outcomes = background.stop()?;
    let asked = outcomes.len();
    ensure!(asked > first, "{client}: {asked} requests, none after the first {first}");
    let mut answers = Vec::with_capacity(asked - first);
    let mut failures = Vec::new();
    for (number, outcome) in outcomes.into_iter().enumerate().skip(first) {
        match outcome {
            Ok(answer) => answers.push(answer),
            Err(failure) => failures.push(format!("request {number}: {failure}")),
        }
    }
    ensure!(failures.is_empty(), "{client}: {} of {asked} requests were lost: {failures:?}", failures.len());
    Ok(answers)
}
