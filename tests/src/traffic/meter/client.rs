//! The clients: plain blocking calls, and a clock around them.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{ANSWER_AND_CLOSE, BLOCK, ECHO, Load, Meter, Metered, REQUEST, TAKE_ALL};
use crate::figures::percentile;

/// What is done before the clock starts.
const WARM_UP: u32 = 20;
/// A call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many failures in a row are no accident.
const HOPELESS: u64 = 3;

/// Does the work; an error where it doesn't work at all.
pub(in crate::traffic) fn measure(meter: &Meter) -> io::Result<Metered> {
    match meter.load {
        Load::Connect => repeat(meter, || connect(meter.to)),
        Load::Short => repeat(meter, || timed(|| short(meter.to))),
        Load::Request => {
            let stream = open(meter.to, ECHO)?;
            repeat(meter, || timed(|| request(&stream)))
        }
        Load::Bulk => bulk(meter),
        Load::Datagram => {
            let socket = datagram_socket(meter.to)?;
            repeat(meter, || timed(|| datagram(&socket)))
        }
        Load::NewDatagram => repeat(meter, || timed(|| datagram(&datagram_socket(meter.to)?))),
    }
}

/// Does it until time is up. Each says itself how long it took: what comes after it may not count.
fn repeat(meter: &Meter, mut once: impl FnMut() -> io::Result<Duration>) -> io::Result<Metered> {
    for _ in 0..WARM_UP {
        once()?;
    }
    let (mut took, mut failures, mut in_a_row) = (Vec::with_capacity(1 << 16), 0, 0);
    let started = Instant::now();
    while started.elapsed() < meter.lasts {
        match once() {
            Ok(time) => {
                took.push(time);
                in_a_row = 0;
            }
            Err(error) if in_a_row >= HOPELESS => return Err(error),
            Err(_) => {
                failures += 1;
                in_a_row += 1;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    took.sort_unstable();
    let micros = |percent| percentile(&took, percent).unwrap_or_default().as_secs_f64() * 1e6;
    Ok(Metered { count: took.len() as u64, failures, seconds, micros: [50, 90, 99].map(micros) })
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

fn connect(to: SocketAddr) -> io::Result<Duration> {
    let socket = socket(to, Type::STREAM)?;
    let took = timed(|| socket.connect(&to.into()))?;
    // A reset, so that no port waits for its end.
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(took)
}

fn short(to: SocketAddr) -> io::Result<()> {
    let mut stream = open(to, ANSWER_AND_CLOSE)?;
    stream.read_exact(&mut [0])?;
    match stream.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::other("the server answered twice")),
    }
}

fn request(mut stream: &TcpStream) -> io::Result<()> {
    let mut message = [0; REQUEST];
    stream.write_all(&message)?;
    stream.read_exact(&mut message)
}

fn bulk(meter: &Meter) -> io::Result<Metered> {
    let (block, mut stream) = (vec![0; BLOCK], open(meter.to, TAKE_ALL)?);
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < meter.lasts {
        stream.write_all(&block)?;
        count += block.len() as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    // The server closes when it has taken all.
    stream.read_to_end(&mut Vec::new())?;
    Ok(Metered { count, failures: 0, seconds: started.elapsed().as_secs_f64(), micros: [0.0; 3] })
}

fn datagram_socket(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::from(socket(to, Type::DGRAM)?);
    socket.connect(to)?;
    Ok(socket)
}

fn datagram(socket: &UdpSocket) -> io::Result<()> {
    socket.send(&[0; REQUEST])?;
    socket.recv(&mut [0; REQUEST]).map(drop)
}

/// A connection that has said what it is for.
fn open(to: SocketAddr, kind: u8) -> io::Result<TcpStream> {
    let socket = socket(to, Type::STREAM)?;
    socket.connect(&to.into())?;
    socket.set_tcp_nodelay(true)?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(&[kind])?;
    Ok(stream)
}

/// Its calls end in time; a limit for sending is one for connecting, too.
fn socket(to: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), kind, None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}
