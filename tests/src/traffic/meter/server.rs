//! The server: a few threads that wait for connections and see each to its end, and one for datagrams.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::{ANSWER_AND_CLOSE, BLOCK, ECHO, REQUEST, TAKE_ALL};
use crate::traffic::serve::LISTENING;

/// Threads for connections; a kept one occupies its own.
const THREADS: usize = 4;
/// Connections that may wait for a thread.
const BACKLOG: i32 = 4_096;

/// Serves a TCP and a UDP port until the program is killed.
pub(in crate::traffic) fn serve(port: u16) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let datagrams = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))?;
    let mut threads = vec![thread::spawn(move || echo_datagrams(&datagrams))];
    for _ in 0..THREADS {
        let listener = listener.try_clone()?;
        threads.push(thread::spawn(move || accept(&listener)));
    }
    println!("{LISTENING}");
    threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
}

fn accept(listener: &TcpListener) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let (stream, _) = listener.accept()?;
        // How a client ends its connection is its business.
        let _: io::Result<()> = answer(stream, &mut block);
    }
}

fn answer(mut stream: TcpStream, block: &mut [u8]) -> io::Result<()> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    match kind[0] {
        ANSWER_AND_CLOSE => {
            stream.write_all(&kind)?;
            stream.shutdown(Shutdown::Both)
        }
        ECHO => {
            stream.set_nodelay(true)?;
            loop {
                stream.read_exact(&mut block[..REQUEST])?;
                stream.write_all(&block[..REQUEST])?;
            }
        }
        TAKE_ALL => {
            while stream.read(block)? > 0 {}
            Ok(())
        }
        other => Err(io::Error::other(format!("no kind of connection begins with {other}"))),
    }
}

fn echo_datagrams(socket: &UdpSocket) -> io::Result<()> {
    let mut datagram = [0; REQUEST];
    loop {
        // An ICMP error for an earlier answer is reported here or there; it concerns a client that has gone.
        let Ok((length, client)) = socket.recv_from(&mut datagram) else { continue };
        let _ = socket.send_to(&datagram[..length], client);
    }
}
