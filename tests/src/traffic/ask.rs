//! Traffic as calls on a host.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use super::http::{Page, get};
use super::job::{Ask, Job, Ping, Probe, Serve};
use super::meter::{Meter, Metered};
use super::outcome::{Answer, Failure, PingReport, Reached};
use super::{ping, serve};
use crate::error::{Doing, Error, Result};
use crate::host::Host;
use crate::process::Process;
use crate::programs;
use crate::wait::patient;

/// How long a program may take to start or, when told, to end.
const PROGRAM_LIMIT: Duration = Duration::from_secs(15);
/// How long an agent may take to answer a question about its state.
const STATUS_LIMIT: Duration = Duration::from_secs(2);

impl Host {
    /// Starts servers, and returns when they listen. They go with the handle.
    pub fn serve(&self, job: &Serve) -> Result<Process> {
        let name = format!("serve-{}", job.name);
        self.start(&name, &Job::Serve(job.clone()), serve::LISTENING)
    }

    /// One HTTP request.
    pub fn http_get(&self, to: SocketAddr) -> Result<Answer> {
        self.http(&Ask::new(to))
    }

    /// One UDP request through a connected socket.
    pub fn udp_get(&self, to: SocketAddr) -> Result<Answer> {
        self.udp(&Ask::new(to))
    }

    /// HTTP requests; the last one's answer, or the first one's failure.
    pub fn http(&self, ask: &Ask) -> Result<Answer> {
        self.all_answered(ask, self.http_each(ask)?)
    }

    /// UDP requests; the last one's answer, or the first one's failure.
    pub fn udp(&self, ask: &Ask) -> Result<Answer> {
        self.all_answered(ask, self.udp_each(ask)?)
    }

    /// HTTP requests, and what came of each.
    pub fn http_each(&self, ask: &Ask) -> Result<Vec<Result<Answer, Failure>>> {
        self.outcomes(&Job::Http(ask.clone()))
    }

    /// UDP requests, and what came of each.
    pub fn udp_each(&self, ask: &Ask) -> Result<Vec<Result<Answer, Failure>>> {
        self.outcomes(&Job::Udp(ask.clone()))
    }

    /// One try at each of many servers, all at once; what came of each, in their order.
    pub fn probe(&self, job: &Probe) -> Result<Vec<Reached>> {
        let output = self.output(&Job::Probe(job.clone()))?;
        serde_json::from_str(&output).map_err(io::Error::from).doing(|| format!("read what the probe on {self} saw"))
    }

    /// Starts a server for [`Host::meter`] on a TCP and a UDP port, and returns when it listens. It goes with the handle.
    pub fn serve_measured(&self, port: u16) -> Result<Process> {
        self.start("serve-measured", &Job::Measured(port), serve::LISTENING)
    }

    /// Takes the time of traffic from this host.
    pub fn meter(&self, meter: &Meter) -> Result<Metered> {
        let output = self.output(&Job::Meter(*meter))?;
        let read = serde_json::from_str(&output).map_err(io::Error::from);
        read.doing(|| {
            format!("read what {:?} from {self} to {} took (it says above why it failed)", meter.load, meter.to)
        })
    }

    /// What a server answers for a path; none where nobody listens, and from a port that closes meanwhile: that resets what
    /// it hadn't accepted yet.
    pub fn page(&self, to: SocketAddr, path: &str) -> Result<Option<Page>> {
        match self.inside(|| page(to, patient(STATUS_LIMIT), path))? {
            Some(Err(error)) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(None),
            page => page.transpose().doing(|| format!("read what {to} says of {path}")),
        }
    }

    /// HTTP requests that go on until they are stopped.
    pub fn http_load(&self, ask: &Ask) -> Result<Background> {
        self.load("http", &Job::Http(ask.clone().until_stopped()))
    }

    /// UDP requests that go on until they are stopped.
    pub fn udp_load(&self, ask: &Ask) -> Result<Background> {
        self.load("udp", &Job::Udp(ask.clone().until_stopped()))
    }

    /// Long-lived connections that send until they are stopped; returns when they are made.
    pub fn ping(&self, job: &Ping) -> Result<BackgroundPing> {
        Ok(BackgroundPing(self.start("ping", &Job::Ping(job.clone()), ping::CONNECTED)?))
    }

    fn load(&self, name: &str, job: &Job) -> Result<Background> {
        // The first outcome shows that it is under way.
        Ok(Background(self.start(name, job, "\n")?))
    }

    fn start(&self, name: &str, job: &Job, until: &str) -> Result<Process> {
        let mut process = self.spawn(name, programs::traffic()?, &[argument(job)])?;
        process.wait_until(patient(PROGRAM_LIMIT), |process| process.log().contains(until))?;
        Ok(process)
    }

    fn outcomes(&self, job: &Job) -> Result<Vec<Result<Answer, Failure>>> {
        parse(&self.output(job)?)
    }

    fn output(&self, job: &Job) -> Result<String> {
        let mut command = self.command(programs::traffic()?)?;
        command.arg(argument(job)).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().doing(|| format!("run lab-traffic on {self}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn all_answered(&self, ask: &Ask, outcomes: Vec<Result<Answer, Failure>>) -> Result<Answer> {
        let last = outcomes.into_iter().reduce(Result::and).expect("a request has an outcome");
        last.map_err(|failure| Error::Traffic { from: self.name().into(), to: ask.to.to_string(), failure })
    }
}

/// Requests under way.
#[derive(Debug)]
pub struct Background(Process);

impl Background {
    /// What came of each request so far; of one at least.
    pub fn so_far(&self) -> Result<Vec<Result<Answer, Failure>>> {
        let log = self.0.log();
        // The last line may be written just now.
        parse(log.rsplit_once('\n').map_or("", |(lines, _)| lines))
    }

    /// Lets the current request end, and returns what came of each since the start.
    pub fn stop(self) -> Result<Vec<Result<Answer, Failure>>> {
        parse(&stop(self.0)?)
    }
}

/// Connections under way.
#[derive(Debug)]
pub struct BackgroundPing(Process);

impl BackgroundPing {
    /// Lets the current messages end, and returns what became of the connections since the start.
    pub fn stop(self) -> Result<PingReport> {
        let log = stop(self.0)?;
        let last = log.lines().last().unwrap_or_default();
        serde_json::from_str(last).map_err(io::Error::from).doing(|| format!("read the ping report {last:?}"))
    }
}

/// What a server answers to this thread's network namespace; none where nobody listens.
pub(crate) fn page(to: SocketAddr, limit: Duration, path: &str) -> Option<io::Result<Page>> {
    let stream = TcpStream::connect_timeout(&to, limit).ok()?;
    Some(stream.set_read_timeout(Some(limit)).and_then(|()| get(stream, path)))
}

/// Closes the program's standard input, and returns its output when it has ended.
fn stop(mut process: Process) -> Result<String> {
    drop(process.take_stdin());
    process.wait(patient(PROGRAM_LIMIT))?;
    Ok(process.log())
}

fn argument(job: &Job) -> String {
    serde_json::to_string(job).expect("a job is strings and numbers")
}

fn parse(lines: &str) -> Result<Vec<Result<Answer, Failure>>> {
    let outcome = |line| serde_json::from_str(line).map_err(io::Error::from);
    lines.lines().map(|line| outcome(line).doing(|| format!("read the outcome {line:?}"))).collect()
}
