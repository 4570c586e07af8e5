//! The work of `lab-traffic`.

use std::io::{self, Read as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::http::Connection;
use super::job::{Ask, Job};
use super::meter;
use super::outcome::{Answer, Failure};
use super::ping::ping;
use super::probe::probe;
use super::serve::serve;
use super::udp::Client;

/// Carries out a job; what comes of it goes to standard output, a line of JSON each. Success is when nothing failed.
pub fn run(job: &Job) -> io::Result<ExitCode> {
    let succeeded = match job {
        Job::Serve(job) => serve(job).map(|()| true)?,
        // A connection that failed is of no more use; an error is no end to a UDP socket.
        Job::Http(ask) => repeat(ask, Connection::open, Connection::request, |it, failed| it.is_kept() && !failed)?,
        Job::Udp(ask) => repeat(ask, Client::open, |client, ask| client.request(ask), |_, _| true)?,
        Job::Ping(job) => {
            let report = ping(job, &stdin_closed());
            println!("{}", serde_json::to_string(&report)?);
            report.failures.is_empty()
        }
        Job::Probe(job) => {
            println!("{}", serde_json::to_string(&probe(job))?);
            true
        }
        Job::Measured(port) => meter::serve(*port).map(|()| true)?,
        Job::Meter(job) => {
            println!("{}", serde_json::to_string(&meter::measure(job)?)?);
            true
        }
    };
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn repeat<Socket>(
    ask: &Ask,
    open: impl Fn(&Ask) -> Result<Socket, Failure>,
    request: impl Fn(&mut Socket, &Ask) -> Result<Answer, Failure>,
    is_kept: impl Fn(&Socket, bool) -> bool,
) -> io::Result<bool> {
    let stop = ask.times.is_none().then(stdin_closed);
    let mut socket = None;
    let mut succeeded = true;
    for _ in 0..ask.times.unwrap_or(u32::MAX) {
        if stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            break;
        }
        let mut attempt = || {
            let mut current = match socket.take() {
                Some(open) => open,
                None => open(ask)?,
            };
            let outcome = request(&mut current, ask);
            socket = (ask.reuse && is_kept(&current, outcome.is_err())).then_some(current);
            outcome
        };
        let outcome: Result<Answer, Failure> = attempt();
        succeeded &= outcome.is_ok();
        println!("{}", serde_json::to_string(&outcome)?);
        thread::sleep(ask.every);
    }
    Ok(succeeded)
}

/// A flag that is set when standard input ends.
fn stdin_closed() -> Arc<AtomicBool> {
    let closed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&closed);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::Relaxed);
    });
    closed
}
