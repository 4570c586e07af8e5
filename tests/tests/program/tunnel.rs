//! An interface without link-layer header: what it receives, on the kernel's own way. A test run's packets always have one.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::bench::Bench;
use crate::packet::{see, udp};

/// In each family: a node port, its backend, a client; a ClusterIP and its backend beyond the tunnel.
const FAMILIES: [[&str; 5]; 2] = [
    ["192.0.2.11:30080", "10.244.1.20:8080", "198.51.100.10:40000", "10.96.0.1:80", "203.0.113.5:8080"],
    [
        "[2001:db8:1::11]:30080",
        "[fd00:10:244:1::20]:8080",
        "[2001:db8:2::10]:40000",
        "[fd00:10:96::1]:80",
        "[2001:db8:9::5]:8080",
    ],
];
const TUN0: &[u8] = b"tun0";

/// `tun0`, by which 203.0.113.0/24 and `2001:db8:9::/64` are reached: what is written comes in by it.
fn tunnel(bench: &mut Bench) -> File {
    let tun = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
    // SAFETY: integers only: all zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(TUN0) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    // SAFETY: the request is readable and writable for its size.
    let code = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert_eq!(code, 0, "{}", std::io::Error::last_os_error());
    for command in ["link set tun0 up", "route add 203.0.113.0/24 dev tun0", "route add 2001:db8:9::/64 dev tun0"] {
        assert!(Command::new("ip").args(command.split(' ')).status().unwrap().success(), "ip {command}");
    }
    std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
    std::fs::write("/proc/sys/net/ipv4/conf/lo/rp_filter", "0").unwrap();
    bench.attach("from_tunnel", "tun0");
    tun
}

#[test]
fn a_packet_from_a_tunnel_reaches_the_wire_of_a_pod() {
    for [node_port, backend, client, ..] in FAMILIES {
        let mut bench = Bench::new();
        bench.service(&[":30080"], &[&format!("@{backend}")], 0);
        let mut tun = tunnel(&mut bench);
        let every_frame = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
        let mut wires = Socket::new(Domain::PACKET, Type::RAW, Some(every_frame)).unwrap();
        wires.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        tun.write_all(&udp(client, node_port, b"hello")[14..]).unwrap();

        let deadline = Instant::now() + Duration::from_secs(5);
        let seen = loop {
            assert!(Instant::now() < deadline, "no frame for the pod");
            let mut frame = [0; 256];
            let Ok(length) = wires.read(&mut frame) else { continue };
            // The pod's neighbour entry.
            if frame.starts_with(&[2, 0, 0, 0, 2, 0x20]) {
                break see(&frame[..length]);
            }
        };
        assert_eq!((seen.src.as_str(), seen.dst.as_str(), seen.ttl), (client, backend, 63));
    }
}

#[test]
fn an_answer_from_a_tunnel_reaches_the_nodes_own_socket() {
    for [node_port, _, _, cluster_ip, backend] in FAMILIES {
        let own = node_port.replace("30080", "40001");
        let mut bench = Bench::new();
        bench.service(&[cluster_ip], &[backend], 0);
        let mut tun = tunnel(&mut bench);
        bench.run("to_uplink", &udp(&own, cluster_ip, b"hello"));
        let socket = UdpSocket::bind(&own).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        tun.write_all(&udp(backend, &own, b"answer")[14..]).unwrap();

        let mut payload = [0; 16];
        let (length, from) = socket.recv_from(&mut payload).expect("an answer");
        assert_eq!((&payload[..length], from.to_string().as_str()), (&b"answer"[..], cluster_ip));
    }
}
