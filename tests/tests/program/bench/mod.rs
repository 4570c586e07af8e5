//! A node in a network namespace of its own, with the programs loaded and none attached.

pub(crate) mod policy;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use aya::maps::{Array, HashMap, LpmTrie, MapData, PerCpuArray, RingBuf, lpm_trie};
use aya::programs::tc::qdisc_add_clsact;
use aya::programs::{Program, SchedClassifier, TcAttachType, TestRun as _, TestRunOptions};
use aya::{Ebpf, EbpfLoader, Pod};
use proxy_common::addr::{Addr, Family, Port, protocol};
use proxy_common::drop::Reason;
use proxy_common::event::Event;
use proxy_common::tables::{
    self, Address, Backend, BackendKey, Device, EndpointSet, FlowKey, FlowRecord, Member, MemberKey, Service,
    ServiceKey, SourceRange, Table, address_flags, backend_flags, member_flags, service_flags,
};

pub(crate) use self::policy::HERE;
use super::packet::{Seen, see};

/// The node's addresses.
pub(crate) const NODE: [&str; 2] = ["192.0.2.11", "2001:db8:1::11"];

/// What a program said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// On to the next program and the node's own stack.
    Next,
    /// Dropped.
    Drop,
    /// Sent out of an interface.
    Redirect,
}

impl Verdict {
    pub(crate) fn of(program: &str, code: u32) -> Self {
        match code.cast_signed() {
            -1 => Self::Next,
            2 => Self::Drop,
            7 => Self::Redirect,
            other => panic!("{program} said {other}"),
        }
    }
}

/// The loopback addresses of both families.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

/// A node: `eth0` with a gateway, `pod0` with the route to this node's pods, forwarding on.
pub(crate) struct Bench {
    ebpf: Ebpf,
    services: u32,
}

/// The kernel programs as built.
pub(crate) fn object() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target/bpf/sluice-ebpf.o");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: build it with: cargo xtask build", path.display()))
}

const SET_UP: &str = "
link set lo up
link add eth0 type veth peer name wire0
link add pod0 type veth peer name inside0
link set eth0 up
link set wire0 up
link set pod0 up
link set inside0 up
addr add 192.0.2.11/24 dev eth0
addr add 2001:db8:1::11/64 dev eth0 nodad
route add default via 192.0.2.1
route add default via 2001:db8:1::1 dev eth0
route add 10.244.1.0/24 dev pod0
route add fd00:10:244:1::/64 dev pod0
neigh add 192.0.2.1 lladdr 02:00:00:00:01:01 dev eth0
neigh add 2001:db8:1::1 lladdr 02:00:00:00:01:01 dev eth0
neigh add 10.244.1.20 lladdr 02:00:00:00:02:20 dev pod0
neigh add fd00:10:244:1::20 lladdr 02:00:00:00:02:20 dev pod0
";

impl Bench {
    /// Moves this thread to a network namespace of its own, which ends with it.
    pub(crate) fn new() -> Self {
        Self::with(open(JUDGED_MARK, 0, 0))
    }

    /// A node whose programs take every packet for one that was judged for a pod of it.
    pub(crate) fn where_all_is_judged() -> Self {
        Self::with(open(0, 0, 0))
    }

    /// A node whose programs answer what policies deny.
    pub(crate) fn rejecting() -> Self {
        Self::with(open(JUDGED_MARK, 1, 0))
    }

    /// A node whose programs hand packets to its pods past its stack.
    pub(crate) fn redirecting() -> Self {
        Self::with(open(JUDGED_MARK, 0, 1))
    }

    fn with(ebpf: Ebpf) -> Self {
        // SAFETY: a network namespace changes nothing that this process shares between threads as memory or descriptors.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
            .expect("a network namespace: are you root?");
        let batch = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(batch.path(), SET_UP).unwrap();
        let status = Command::new("ip").arg("-batch").arg(batch.path()).status().expect("ip of iproute2");
        assert!(status.success(), "ip -batch: {status}");
        for sysctl in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(Path::new("/proc/sys/net").join(sysctl), "1").unwrap();
        }
        let mut bench = Self { ebpf, services: 0 };
        let source = Device { ipv4: ip(NODE[0]), ipv6: ip(NODE[1]), ..Device::default() };
        bench.put(tables::DEVICES, 0, source);
        let node = Address { flags: address_flags::NODE | address_flags::NODE_PORT };
        for address in NODE.into_iter().chain(LOOPBACK) {
            bench.put(tables::ADDRESSES, ip(address), node);
        }
        bench
    }

    /// Writes a table's entry.
    pub(crate) fn put<K: Pod, V: Pod>(&mut self, table: Table, key: K, value: V) {
        self.map::<K, V>(table).insert(key, value, 0).unwrap();
    }

    /// A table of whatever type.
    pub(crate) fn any_map(&mut self, table: Table) -> &mut aya::maps::Map {
        self.ebpf.map_mut(table.name).unwrap()
    }

    /// A table.
    pub(crate) fn map<K: Pod, V: Pod>(&mut self, table: Table) -> HashMap<&mut MapData, K, V> {
        HashMap::try_from(self.ebpf.map_mut(table.name).unwrap()).unwrap()
    }

    /// Adds a Service at `frontends` (`"10.96.0.1:80"`, or `":30080"` for a node port) whose endpoints are `backends`
    /// (with `@` before those on this node); each protocol. Returns its number for TCP; UDP's is one more, SCTP's two.
    pub(crate) fn service(&mut self, frontends: &[&str], backends: &[&str], flags: u32) -> u32 {
        let first = self.services + 1;
        for number in [protocol::TCP, protocol::UDP, protocol::SCTP] {
            self.services += 1;
            self.service_port(self.services, number, frontends, backends, flags);
        }
        first
    }

    /// Gives the Service of number `first` a node port with flags of its own.
    pub(crate) fn node_port(&mut self, first: u32, port: u16, backends: &[&str], flags: u32) {
        self.also_at(first, &format!(":{port}"), backends, flags);
    }

    /// Gives the Service of number `first` another address with flags of its own.
    pub(crate) fn also_at(&mut self, first: u32, frontend: &str, backends: &[&str], flags: u32) {
        for (id, number) in (first..).zip([protocol::TCP, protocol::UDP, protocol::SCTP]) {
            self.frontend(id, number, frontend, backends, flags);
        }
    }

    /// Lets sources of a network use those frontends of the Service of number `first` that are for a range only.
    pub(crate) fn source_range(&mut self, first: u32, network: IpAddr, prefix: u32) {
        let before = if network.is_ipv4() { SourceRange::BEFORE_V4 } else { SourceRange::BEFORE_V6 };
        let map = self.ebpf.map_mut(tables::SOURCE_RANGES.name).unwrap();
        let mut ranges: LpmTrie<_, SourceRange, u32> = LpmTrie::try_from(map).unwrap();
        for service in first..first + 3 {
            let range = SourceRange { service, addr: network.into() };
            ranges.insert(&lpm_trie::Key::new(before + prefix, range), 0, 0).unwrap();
        }
    }

    /// Gives the Service of number `first`, as it is now, session affinity.
    pub(crate) fn bind_clients(&mut self, first: u32, affinity_timeout: u32) {
        let mut services = self.map::<ServiceKey, Service>(tables::SERVICES);
        let entries: Vec<_> = services.iter().map(Result::unwrap).collect();
        for (key, service) in entries.into_iter().filter(|(_, service)| (first..first + 3).contains(&service.id)) {
            services.insert(key, Service { affinity_timeout, ..service }, 0).unwrap();
        }
    }

    fn service_port(&mut self, id: u32, number: u8, frontends: &[&str], backends: &[&str], flags: u32) {
        let parsed: Vec<Backend> = backends.iter().map(|text| backend(text)).collect();
        let local: Vec<Backend> = parsed.iter().copied().filter(Backend::is_local).collect();
        for (set, list) in [(EndpointSet::Cluster, &parsed), (EndpointSet::Local, &local)] {
            for (slot, backend) in (0..).zip(list) {
                self.put(tables::BACKENDS, BackendKey::new(id, set, slot), *backend);
            }
        }
        for backend in &parsed {
            let local = if backend.is_local() { member_flags::LOCAL | member_flags::ON_NODE } else { 0 };
            let member = Member { flags: member_flags::CLUSTER | local };
            self.put(tables::MEMBERS, MemberKey::new(id, backend.addr, backend.port), member);
        }
        for frontend in frontends {
            self.frontend(id, number, frontend, backends, flags);
        }
    }

    fn frontend(&mut self, id: u32, number: u8, frontend: &str, backends: &[&str], flags: u32) {
        let local = backends.iter().filter(|text| text.starts_with('@')).count() as u32;
        let service = Service { id, cluster: backends.len() as u32, local, flags, ..Service::default() };
        if let Some(port) = frontend.strip_prefix(':') {
            let flags = flags | service_flags::EXTERNAL | service_flags::NODE_PORT;
            for family in [Family::V4, Family::V6] {
                let key = ServiceKey::new(family.any(), Port::new(port.parse().unwrap()), number);
                self.put(tables::SERVICES, key, Service { flags, ..service });
            }
        } else {
            let (addr, port) = socket(frontend);
            self.put(tables::SERVICES, ServiceKey::new(addr, port, number), service);
            let external = service.flags & service_flags::EXTERNAL != 0;
            let flags = address_flags::FRONTEND | if external { 0 } else { address_flags::CLUSTER_IP };
            self.put(tables::ADDRESSES, addr, Address { flags });
        }
    }

    /// Runs a frame through a program.
    pub(crate) fn run(&mut self, program: &str, frame: &[u8]) -> (Verdict, Vec<u8>) {
        let (code, bytes) = self.run_raw(program, frame);
        (Verdict::of(program, code), bytes)
    }

    /// Runs a frame through a program and reads what comes out.
    pub(crate) fn see(&mut self, program: &str, frame: &[u8]) -> (Verdict, Seen) {
        let (verdict, bytes) = self.run(program, frame);
        (verdict, see(&bytes))
    }

    /// Runs a frame through a program: its return value, and the frame after it.
    pub(crate) fn run_raw(&mut self, program: &str, frame: &[u8]) -> (u32, Vec<u8>) {
        self.run_with(program, frame, None)
    }

    /// The same with the start of a `__sk_buff`.
    fn run_with(&mut self, program: &str, frame: &[u8], ctx_in: Option<&[u8]>) -> (u32, Vec<u8>) {
        let mut out = vec![0; frame.len() + 256];
        let options =
            TestRunOptions { data_in: Some(frame), data_out: Some(&mut out), ctx_in, ..TestRunOptions::default() };
        let result = self.loaded(program).test_run(options).unwrap();
        out.truncate(result.data_size_out as usize);
        (result.return_value, out)
    }

    /// A program that is in the kernel.
    pub(crate) fn loaded(&mut self, program: &str) -> &mut SchedClassifier {
        let program: &mut SchedClassifier = self.ebpf.program_mut(program).unwrap().try_into().unwrap();
        if program.fd().is_err() {
            program.load().unwrap();
        }
        program
    }

    /// Has a program run on what comes in by an interface.
    pub(crate) fn attach(&mut self, program: &str, ifname: &str) {
        let program: &mut SchedClassifier = self.ebpf.program_mut(program).unwrap().try_into().unwrap();
        program.load().unwrap();
        // Kernels without tcx have filters, of this queueing discipline.
        qdisc_add_clsact(ifname).unwrap();
        program.attach(ifname, TcAttachType::Ingress).unwrap();
    }

    /// Sets an array's only entry.
    pub(crate) fn set<V: Pod>(&mut self, name: &str, value: V) {
        Array::try_from(self.ebpf.map_mut(name).unwrap()).unwrap().set(0, value, 0).unwrap();
    }

    /// Packets dropped for a reason.
    pub(crate) fn drops(&mut self, reason: Reason) -> u64 {
        self.counted(tables::DROPS, reason)
    }

    /// Packets that passed in an audit, and would have been dropped for a reason.
    pub(crate) fn audits(&mut self, reason: Reason) -> u64 {
        self.counted(tables::AUDITS, reason)
    }

    fn counted(&mut self, counters: Table, reason: Reason) -> u64 {
        let packets: PerCpuArray<_, u64> = PerCpuArray::try_from(self.ebpf.map(counters.name).unwrap()).unwrap();
        packets.get(&reason.number(), 0).unwrap().iter().sum()
    }

    /// What the programs told since the last time.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut ring = RingBuf::try_from(self.ebpf.map_mut("EVENTS").unwrap()).unwrap();
        let mut events = Vec::new();
        while let Some(item) = ring.next() {
            assert_eq!(item.len(), size_of::<Event>());
            // SAFETY: as long as an event, and any bytes make up one.
            events.push(unsafe { std::ptr::read_unaligned(item.as_ptr().cast()) });
        }
        events
    }

    /// Fragments that wait for the first of their datagram.
    pub(crate) fn held(&mut self) -> usize {
        let held: HashMap<_, [u8; 44], [u8; 1_608]> = HashMap::try_from(self.ebpf.map("HELD").unwrap()).unwrap();
        held.keys().count()
    }

    /// Entries of `FLOWS` and `FLOWS_NEW`.
    pub(crate) fn flows(&mut self) -> (usize, usize) {
        let count = |map: HashMap<&mut MapData, FlowKey, FlowRecord>| map.keys().count();
        (count(self.map(tables::FLOWS)), count(self.map(tables::FLOWS_NEW)))
    }
}

/// No packet has it that wasn't judged.
const JUDGED_MARK: u16 = 0x1d02;

/// The object with its maps, as an agent opens it that isn't asked for the programs' own log.
fn open(judged_mark: u16, policy_reject: u8, local_redirect: u8) -> Ebpf {
    EbpfLoader::new()
        .override_global("AYA_LOG_LEVEL", &0_u8, true)
        .override_global("JUDGED_MARK", &judged_mark, true)
        .override_global("POLICY_REJECT", &policy_reject, true)
        .override_global("LOCAL_REDIRECT", &local_redirect, true)
        .load(&object())
        .unwrap()
}

/// Name of each program -> instructions that the verifier processed for it.
pub(crate) fn verified(ebpf: &Ebpf) -> BTreeMap<String, u32> {
    let instructions = |program: &Program| {
        let info = match program {
            Program::SchedClassifier(program) => program.info(),
            Program::CgroupSockAddr(program) => program.info(),
            other => panic!("a program of type {:?}", other.prog_type()),
        };
        info.unwrap().verified_instruction_count().expect("counted since Linux 5.16")
    };
    ebpf.programs().map(|(name, program)| (name.to_owned(), instructions(program))).collect()
}

/// Loads every program into the kernel, as an agent does whose operator switched nothing on.
pub(crate) fn load() -> Ebpf {
    load_all(open(JUDGED_MARK, 0, 0))
}

/// The same where packets are handed to pods past the node's stack.
pub(crate) fn load_redirecting() -> Ebpf {
    load_all(open(JUDGED_MARK, 0, 1))
}

fn load_all(mut ebpf: Ebpf) -> Ebpf {
    for (name, program) in ebpf.programs_mut() {
        match program {
            Program::SchedClassifier(program) => program.load(),
            Program::CgroupSockAddr(program) => program.load(),
            other => panic!("{name}: a program of type {:?}", other.prog_type()),
        }
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    ebpf
}

fn backend(text: &str) -> Backend {
    let (addr, port) = socket(text.trim_start_matches('@'));
    Backend { addr, port, flags: if text.starts_with('@') { backend_flags::LOCAL } else { 0 } }
}

/// An address as the tables hold it.
pub(crate) fn ip(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

/// An address and port as the tables hold them.
pub(crate) fn socket(text: &str) -> (Addr, Port) {
    let socket: SocketAddr = text.parse().unwrap();
    (socket.ip().into(), Port::new(socket.port()))
}
