//! Long-lived connections, which notice a packet that got lost and a connection that broke.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use super::job::Ping;
use super::outcome::{Failure, PingReport};
use super::socket::connect_within;

/// What a program prints when every connection is made, or couldn't be.
pub(super) const CONNECTED: &str = "connected";

/// Pings until `stop`.
pub(super) fn ping(job: &Ping, stop: &AtomicBool) -> PingReport {
    let connections: Vec<_> = (0..job.connections).map(|_| connect(job)).collect();
    println!("{CONNECTED}");
    let mut total = PingReport::default();
    thread::scope(|scope| {
        let pingers: Vec<_> =
            connections.into_iter().map(|connection| scope.spawn(|| ping_one(connection, job, stop))).collect();
        for pinger in pingers {
            total.add(pinger.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    total
}

fn connect(job: &Ping) -> Result<TcpStream, Failure> {
    let failed = |error| Failure::new("socket", &error);
    let socket = Socket::new(Domain::for_address(job.to), Type::STREAM, None).map_err(failed)?;
    connect_within(&socket, job.to, job.timeout)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true).map_err(failed)?;
    stream.set_read_timeout(Some(job.timeout)).map_err(failed)?;
    Ok(stream)
}

fn ping_one(connection: Result<TcpStream, Failure>, job: &Ping, stop: &AtomicBool) -> PingReport {
    let mut report = PingReport::default();
    let run = |report: &mut PingReport| {
        let mut stream = connection?;
        while !stop.load(Ordering::Relaxed) {
            let message = report.sent.to_be_bytes();
            let started = Instant::now();
            stream.write_all(&message).map_err(|error| Failure::new("send", &error))?;
            report.sent += 1;
            let mut echo = [0; 8];
            stream.read_exact(&mut echo).map_err(|error| Failure::new("receive", &error))?;
            if echo != message {
                return Err(Failure { error: format!("echo {echo:?} of {message:?}"), during: "receive".into() });
            }
            report.echoed += 1;
            report.slowest = report.slowest.max(started.elapsed());
            thread::sleep(job.every);
        }
        Ok(())
    };
    if let Err(failure) = run(&mut report) {
        report.failures.push(failure);
    }
    report
}
