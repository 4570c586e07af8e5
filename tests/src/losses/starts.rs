//! Packets that reach pods before the policy that denies them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::error::{Doing as _, Result};
use crate::host::Host;
use crate::lab::Lab;
use crate::manifests::build;
use crate::pod::Pod;
use crate::topology;

/// Pods that start in one round.
const TOGETHER: u8 = 50;
/// The first one's number on its node.
const FIRST: u8 = 100;
/// A port that nobody serves: what arrives is counted by the pod's kernel.
const PORT: u16 = 9;
/// How long an agent has to make a mistake.
const WAIT: Duration = Duration::from_millis(200);
/// What a pod's kernel counts of packets that reach it.
const COUNTERS: [(&str, &str); 4] =
    [("Tcp", "InSegs"), ("Udp", "NoPorts"), ("Udp", "InDatagrams"), ("Icmp", "InEchos")];
const COUNTER6: &str = "Udp6NoPorts";

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Starts {
    /// Pods that started.
    pub pods: u64,
    /// Packets that were sent to where they start.
    pub sent: u64,
    /// What reached one: round, pod and counter -> packets.
    pub leaks: BTreeMap<String, u64>,
}

/// Starts pods on `node1` in a namespace whose pods nobody may reach, in rounds of fifty, while `clients` hammer at their
/// addresses.
pub fn starts(lab: &Lab, namespace: &str, clients: &[&Host], pods: u16) -> Result<Starts> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let hammers: Vec<_> = clients.iter().map(|client| scope.spawn(move || hammer(client, stop))).collect();
        let mut leaks = BTreeMap::new();
        let rounds = pods.div_ceil(TOGETHER.into());
        let started = (0..rounds).try_for_each(|round| start_some(lab, namespace, round, &mut leaks));
        stop.store(true, Ordering::Relaxed);
        let mut sent = 0;
        for hammer in hammers {
            sent += hammer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        started.map(|()| Starts { pods: u64::from(rounds) * u64::from(TOGETHER), sent, leaks })
    })
}

/// A Pod of `node1` that only starts.
#[must_use]
pub fn starting(name: &str, namespace: &str, index: u8) -> Value {
    let mut pod = build::client(name, 1, index);
    pod["metadata"]["namespace"] = json!(namespace);
    pod
}

/// A round of pods. Of every second the object is there before its interface, as its labels are known before its address;
/// of the others it comes after.
fn start_some(lab: &Lab, namespace: &str, round: u16, leaks: &mut BTreeMap<String, u64>) -> Result<()> {
    let (manifests, node) = (lab.manifests(), lab.node("node1")?);
    let objects = |is_early: bool| {
        let part = indexes().filter(|index| index.is_multiple_of(2) == is_early);
        build::file(&part.map(|index| starting(&name(index), namespace, index)).collect::<Vec<_>>())
    };
    manifests.write("early.yaml", &objects(true))?;
    let pods: Vec<Pod> = indexes().map(|index| node.add_pod(&name(index), index)).collect::<Result<_>>()?;
    manifests.write("late.yaml", &objects(false))?;
    thread::sleep(WAIT);
    for pod in pods {
        let counted = COUNTERS.map(|(protocol, name)| (format!("{protocol} {name}"), pod.counter(protocol, name)));
        for (counter, packets) in counted.into_iter().chain([(COUNTER6.into(), pod.counter6(COUNTER6))]) {
            let packets = packets?;
            if packets > 0 {
                leaks.insert(format!("round {round}, {}: {counter}", pod.name()), packets);
            }
        }
        pod.remove()?;
    }
    manifests.remove("early.yaml")?;
    manifests.remove("late.yaml")
}

fn indexes() -> impl Iterator<Item = u8> {
    FIRST..FIRST + TOGETHER
}

fn name(index: u8) -> String {
    format!("starting-{index}")
}

/// Sends to every address there may be a pod at, over and over; returns how many packets went out.
fn hammer(client: &Host, stop: &AtomicBool) -> Result<u64> {
    let sent = client.inside(|| -> io::Result<u64> {
        let udp = [UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?, UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?];
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            for address in indexes().flat_map(|index| topology::pod(1, index).iter().collect::<Vec<_>>()) {
                let to = SocketAddr::new(address, PORT);
                // Who isn't there yet may be unreachable.
                let socket = if address.is_ipv4() { &udp[0] } else { &udp[1] };
                sent += u64::from(socket.send_to(b"?", to).is_ok());
                sent += u64::from(knock(to)?);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(sent)
    })?;
    sent.doing(|| format!("hammer at pods from {client}"))
}

/// Sends a SYN and waits for nothing.
fn knock(to: SocketAddr) -> io::Result<bool> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None)?;
    let begun = socket.connect(&to.into());
    Ok(begun.is_err_and(|error| error.raw_os_error() == Some(libc::EINPROGRESS)))
}
