//! The servers: a thread for each port and each TCP connection. On SIGTERM they drain, as a web server does that its
//! kubelet ends: they go on to accept, but each HTTP answer is the last on its connection.

use std::io;
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::http;
use super::job::Serve;
use super::udp;

/// What a program prints when every server listens.
pub(super) const LISTENING: &str = "listening";

/// Opens every port, then serves until the program is killed.
pub(super) fn serve(job: &Serve) -> io::Result<()> {
    let name: Arc<str> = job.name.as_str().into();
    let draining = Arc::new(AtomicBool::new(false));
    let drain = Arc::clone(&draining);
    ctrlc::set_handler(move || drain.store(true, Ordering::Relaxed)).map_err(io::Error::other)?;
    let mut servers = Vec::new();
    for port in &job.http {
        let (listener, name, draining) = (listen(*port)?, Arc::clone(&name), Arc::clone(&draining));
        let answer = move |stream| http::answer(stream, &name, &draining);
        servers.push(thread::spawn(move || accept(&listener, answer)));
    }
    for port in &job.echo {
        let listener = listen(*port)?;
        servers.push(thread::spawn(move || accept(&listener, echo)));
    }
    for port in &job.udp {
        let (socket, name) = (UdpSocket::bind((Ipv6Addr::UNSPECIFIED, *port))?, Arc::clone(&name));
        servers.push(thread::spawn(move || udp::answer(&socket, &name)));
    }
    println!("{LISTENING}");
    servers.into_iter().try_for_each(|server| server.join().unwrap_or(Ok(())))
}

/// On every address of both families: the kernel's default for an IPv6 socket is to serve IPv4 too.
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
}

fn accept(
    listener: &TcpListener,
    serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        let serve = serve.clone();
        // A connection's end, however it comes, is its client's business.
        thread::spawn(move || serve(stream));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    io::copy(&mut stream.try_clone()?, &mut stream).map(drop)
}
