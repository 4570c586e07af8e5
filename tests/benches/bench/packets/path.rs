//! The paths.

use super::bench::Verdict;

/// A way that packets take through a program.
pub(crate) struct Path {
    /// What they are.
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
    pub(crate) packet: Packet,
    /// Whether pods of the node are policed.
    pub(crate) policed: bool,
    /// Whether the program would find the same packet and the same tables again.
    pub(crate) is_repeatable: bool,
    /// What the program has to say.
    pub(crate) verdict: Verdict,
}

/// What is sent.
pub(crate) enum Packet {
    /// An ARP request.
    Arp,
    /// The first segment of a connection, each from a port that none came from before.
    Opening(Ends),
    /// A segment of a connection that stands.
    Established(Ends),
    /// A segment that nothing is known of.
    Unknown(Ends),
}

/// Source without its port where each packet has another, and destination.
#[derive(Clone, Copy)]
pub(crate) struct Ends(pub(crate) &'static str, pub(crate) &'static str);

/// A connection that stands before anything is measured: the programs that see it being made, and its ends there.
pub(crate) struct Connection {
    pub(crate) policed: bool,
    /// Where the client's segments are seen, and the server's.
    pub(crate) programs: [&'static str; 2],
    pub(crate) asking: Ends,
    pub(crate) answering: Ends,
}

pub(crate) const CLUSTER_IP: [&str; 2] = ["10.96.0.1:80", "[fd00:10:96::1]:80"];
pub(crate) const LOCAL_NODE_PORT: u16 = 30_080;
pub(crate) const REMOTE_NODE_PORT: u16 = 30_081;
pub(crate) const LOCAL: &str = "10.244.1.10:8080";
pub(crate) const REMOTE: [&str; 2] = ["10.244.2.10:8080", "[fd00:10:244:2::10]:8080"];
pub(crate) const POLICED: &str = "10.244.1.30";
pub(crate) const ALLOWED_PORT: u16 = 8_080;

const POD: Ends = Ends("10.244.1.20:40000", CLUSTER_IP[0]);
const POD_ANSWERED: Ends = Ends(REMOTE[0], POD.0);
const POD6: Ends = Ends("[fd00:10:244:1::20]:40000", CLUSTER_IP[1]);
const POD6_ANSWERED: Ends = Ends(REMOTE[1], POD6.0);
const TO_LOCAL: Ends = Ends("198.51.100.10:40000", "192.0.2.11:30080");
const FROM_LOCAL: Ends = Ends(LOCAL, TO_LOCAL.0);
const TO_REMOTE: Ends = Ends("198.51.100.10:40001", "192.0.2.11:30081");
const FROM_REMOTE: Ends = Ends(REMOTE[0], "192.0.2.11:40001");
const TO_POLICED: Ends = Ends("10.244.2.20:40000", "10.244.1.30:8080");
const FROM_POLICED: Ends = Ends(TO_POLICED.1, TO_POLICED.0);

pub(crate) const CONNECTIONS: [Connection; 5] = [
    connection(["from_pod", "to_pod"], POD, POD_ANSWERED),
    connection(["from_pod", "to_pod"], POD6, POD6_ANSWERED),
    connection(["from_uplink", "from_pod"], TO_LOCAL, FROM_LOCAL),
    connection(["from_uplink", "from_uplink"], TO_REMOTE, FROM_REMOTE),
    Connection { policed: true, ..connection(["from_uplink", "from_pod"], TO_POLICED, FROM_POLICED) },
];

const fn connection(programs: [&'static str; 2], asking: Ends, answering: Ends) -> Connection {
    Connection { policed: false, programs, asking, answering }
}

pub(crate) const PATHS: [Path; 19] = [
    untouched("nothing to do: ARP", "from_pod", Packet::Arp),
    untouched("not a Service", "from_pod", Packet::Unknown(Ends(POD.0, "203.0.113.1:443"))),
    untouched("not a Service, IPv6", "from_pod", Packet::Unknown(Ends(POD6.0, "[2001:db8:9::1]:443"))),
    untouched("not a Service, to a pod", "to_pod", Packet::Unknown(Ends("203.0.113.1:443", POD.0))),
    changed("ClusterIP, new flow", "from_pod", Packet::Opening(Ends("10.244.1.20", CLUSTER_IP[0]))),
    changed("ClusterIP, new flow, IPv6", "from_pod", Packet::Opening(Ends("fd00:10:244:1::20", CLUSTER_IP[1]))),
    changed("ClusterIP, established", "from_pod", Packet::Established(POD)),
    changed("ClusterIP, established, IPv6", "from_pod", Packet::Established(POD6)),
    changed("ClusterIP, reply", "to_pod", Packet::Established(POD_ANSWERED)),
    changed("ClusterIP, reply, IPv6", "to_pod", Packet::Established(POD6_ANSWERED)),
    redirected("NodePort, local, new flow", "from_uplink", Packet::Opening(Ends("198.51.100.10", TO_LOCAL.1))),
    redirected("NodePort, local, established", "from_uplink", Packet::Established(TO_LOCAL)),
    redirected("NodePort, local, reply", "from_pod", Packet::Established(FROM_LOCAL)),
    redirected("NodePort, remote, new flow", "from_uplink", Packet::Opening(Ends("198.51.100.10", TO_REMOTE.1))),
    redirected("NodePort, remote, established", "from_uplink", Packet::Established(TO_REMOTE)),
    redirected("NodePort, remote, reply", "from_uplink", Packet::Established(FROM_REMOTE)),
    policed("policed pod, new flow", Packet::Opening(Ends("10.244.2.20", TO_POLICED.1))),
    policed("policed pod, established", Packet::Established(TO_POLICED)),
    Path {
        verdict: Verdict::Drop,
        ..policed("policed pod, refused", Packet::Opening(Ends("10.244.2.20", "10.244.1.30:81")))
    },
];

const fn untouched(name: &'static str, program: &'static str, packet: Packet) -> Path {
    Path { name, program, packet, policed: false, is_repeatable: true, verdict: Verdict::Next }
}

const fn changed(name: &'static str, program: &'static str, packet: Packet) -> Path {
    Path { is_repeatable: false, ..untouched(name, program, packet) }
}

const fn redirected(name: &'static str, program: &'static str, packet: Packet) -> Path {
    Path { verdict: Verdict::Redirect, ..changed(name, program, packet) }
}

const fn policed(name: &'static str, packet: Packet) -> Path {
    // A packet that was judged carries a mark that says so.
    Path { policed: true, ..changed(name, "from_uplink", packet) }
}
