//! Reading real maps, pinned on a bpffs of the test's own. Takes root.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use aya::Pod;
use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{HashMap, MapData, PerCpuHashMap, PerCpuValues};
use aya::programs::links::FdLink;
use aya::programs::{CgroupAttachMode, CgroupSockAddr, CgroupSockAddrAttachType};
use aya::util::nr_cpus;
use aya_obj::generated::bpf_map_type::{
    self, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH,
    BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH,
};
use aya_obj::generated::{bpf_attr, bpf_cmd};
use aya_obj::maps::{LegacyMap, PinningType, bpf_map_def};
use ipnetwork::IpNetwork;
use proxy_common::addr::{Port, protocol};
use proxy_common::policy::{PolicyTables as _, Question, Ruling};
use proxy_common::tables::{
    Block, Identity, PodNetwork, Policing, PolicyName, Rule, RuleKey, SetPolicy, Table, identity_flags,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::*;
use crate::plan::{BlockPrefix, PolicyImage, RulePrefix};
use crate::preflight::load_for;

/// A bpffs with pinned tables, as an agent leaves them; gone when dropped.
pub(crate) struct PinnedTables {
    bpffs: tempfile::TempDir,
}

impl PinnedTables {
    /// An empty bpffs.
    pub(crate) fn none() -> Self {
        let bpffs = tempfile::tempdir().unwrap();
        mount("bpf", bpffs.path(), "bpf", MountFlags::empty(), None).expect("tests of pinned maps run as root");
        Self { bpffs }
    }

    /// All tables, empty.
    pub(crate) fn empty() -> Self {
        let pinned = Self::none();
        fs::create_dir_all(pinned.maps()).unwrap();
        pinned.create::<ServiceKey, Service>(tables::SERVICES, BPF_MAP_TYPE_HASH);
        pinned.create::<BackendKey, Backend>(tables::BACKENDS, BPF_MAP_TYPE_HASH);
        pinned.create::<MemberKey, Member>(tables::MEMBERS, BPF_MAP_TYPE_HASH);
        pinned.create::<u32, ServiceName>(tables::SERVICE_NAMES, BPF_MAP_TYPE_HASH);
        pinned.create::<FlowKey, FlowRecord>(tables::FLOWS, BPF_MAP_TYPE_HASH);
        pinned.create::<FlowKey, FlowRecord>(tables::FLOWS_NEW, BPF_MAP_TYPE_LRU_HASH);
        pinned.create::<SocketKey, SocketPeer>(tables::SOCK_BACKEND, BPF_MAP_TYPE_LRU_HASH);
        pinned.create::<SocketKey, SocketPeer>(tables::SOCK_ORIGIN, BPF_MAP_TYPE_LRU_HASH);
        pinned.create::<Addr, Address>(tables::ADDRESSES, BPF_MAP_TYPE_HASH);
        pinned.create::<AffinityKey, Affinity>(tables::AFFINITY, BPF_MAP_TYPE_LRU_HASH);
        pinned.create::<Key<SourceRange>, u32>(tables::SOURCE_RANGES, BPF_MAP_TYPE_LPM_TRIE);
        pinned.create::<Addr, Identity>(tables::IDENTITIES, BPF_MAP_TYPE_HASH);
        pinned.create::<Key<Addr>, Block>(tables::BLOCKS, BPF_MAP_TYPE_LPM_TRIE);
        pinned.create::<Key<RuleKey>, Rule>(tables::RULES, BPF_MAP_TYPE_LPM_TRIE);
        pinned.create::<u32, PolicyName>(tables::POLICY_NAMES, BPF_MAP_TYPE_HASH);
        pinned.create::<SetPolicy, u32>(tables::SET_POLICIES, BPF_MAP_TYPE_HASH);
        pinned.create::<Rule, u64>(tables::RULE_HITS, BPF_MAP_TYPE_PERCPU_HASH);
        pinned.create::<u32, u32>(tables::POLICY_GENERATION, BPF_MAP_TYPE_ARRAY);
        pinned.create::<u32, PodNetwork>(tables::POD_NETWORK, BPF_MAP_TYPE_ARRAY);
        pinned.create::<u32, Device>(tables::DEVICES, BPF_MAP_TYPE_HASH);
        pinned.create::<u32, u32>(tables::EPOCH, BPF_MAP_TYPE_ARRAY);
        pinned.create::<u32, u64>(tables::DROPS, BPF_MAP_TYPE_PERCPU_ARRAY);
        pinned
    }

    pub(crate) fn bpffs(&self) -> &Path {
        self.bpffs.path()
    }

    fn maps(&self) -> PathBuf {
        pins::maps_directory(self.bpffs.path())
    }

    fn create<K, V>(&self, table: Table, map_type: bpf_map_type) {
        // What is not filled needs no memory, except in an LRU map, which takes all of its own in advance.
        const BPF_F_NO_PREALLOC: u32 = 1;
        let definition = bpf_map_def {
            map_type: map_type as u32,
            key_size: size_of::<K>() as u32,
            value_size: size_of::<V>() as u32,
            max_entries: table.max_entries,
            map_flags: match map_type {
                BPF_MAP_TYPE_HASH | BPF_MAP_TYPE_PERCPU_HASH | BPF_MAP_TYPE_LPM_TRIE => BPF_F_NO_PREALLOC,
                _ => 0,
            },
            id: 0,
            pinning: PinningType::None,
        };
        let map = aya_obj::Map::Legacy(LegacyMap {
            def: definition,
            inner_def: None,
            section_index: 0,
            section_kind: aya_obj::EbpfSectionKind::Maps,
            symbol_index: None,
            data: Vec::new(),
        });
        MapData::create(map, table.name, None).unwrap().pin(self.maps().join(table.name)).unwrap();
    }

    /// Writes entries of a hash table.
    pub(crate) fn put<K: Pod, V: Pod>(&self, table: Table, entries: impl IntoIterator<Item = (K, V)>) {
        let data = MapData::from_pin(self.maps().join(table.name)).unwrap();
        let lru = data.info().unwrap().map_type().unwrap() == MapType::LruHash;
        let map = if lru { Map::LruHashMap(data) } else { Map::HashMap(data) };
        let mut map = HashMap::<_, K, V>::try_from(map).unwrap();
        for (key, value) in entries {
            map.insert(key, value, 0).unwrap();
        }
    }

    /// Lets the networks use frontends with source ranges.
    pub(crate) fn put_source_ranges(&self, prefixes: impl IntoIterator<Item = SourcePrefix>) {
        let entry = |SourcePrefix { range, bits }| (range, bits, 0_u32);
        self.put_prefixes(tables::SOURCE_RANGES, prefixes.into_iter().map(entry));
    }

    /// Sets the count of a reason to 1 on the first CPU, 2 on the second, and so on; returns the sum.
    pub(crate) fn put_drops(&self, reason: Reason) -> u64 {
        let data = MapData::from_pin(self.maps().join(tables::DROPS.name)).unwrap();
        let mut drops = PerCpuArray::<_, u64>::try_from(Map::PerCpuArray(data)).unwrap();
        let counts: Vec<u64> = (1..=nr_cpus().unwrap() as u64).collect();
        let sum = counts.iter().sum();
        drops.set(reason.number(), PerCpuValues::try_from(counts).unwrap(), 0).unwrap();
        sum
    }

    /// Writes the policy tables; each rule was hit once on the first CPU, twice on the second, and so on.
    pub(crate) fn put_policies(&self, image: &PolicyImage) {
        self.put(tables::POLICY_NAMES, image.names.clone());
        self.put(tables::SET_POLICIES, image.set_policies.iter().map(|key| (*key, 0_u32)));
        self.put(tables::IDENTITIES, image.identities.clone());
        self.put_prefixes(
            tables::BLOCKS,
            image.blocks.iter().map(|(prefix, block)| (prefix.addr, prefix.bits, *block)),
        );
        self.put_prefixes(tables::RULES, image.rules.iter().map(|(prefix, rule)| (prefix.key, prefix.bits, *rule)));
        self.put_word(tables::POLICY_GENERATION, image.generation);
        self.put_word(tables::POD_NETWORK, image.pod_network);
        let data = MapData::from_pin(self.maps().join(tables::RULE_HITS.name)).unwrap();
        let mut hits = PerCpuHashMap::<_, Rule, u64>::try_from(Map::PerCpuHashMap(data)).unwrap();
        for rule in image.rules.values() {
            let counts = PerCpuValues::try_from((1..=nr_cpus().unwrap() as u64).collect::<Vec<_>>()).unwrap();
            hits.insert(rule, counts, 0).unwrap();
        }
    }

    fn put_prefixes<K: Pod, V: Pod>(&self, table: Table, entries: impl IntoIterator<Item = (K, u32, V)>) {
        let data = MapData::from_pin(self.maps().join(table.name)).unwrap();
        let mut trie = LpmTrie::<_, K, V>::try_from(Map::LpmTrie(data)).unwrap();
        for (key, bits, value) in entries {
            trie.insert(&Key::new(bits, key), value, 0).unwrap();
        }
    }

    /// Sets the one entry of an array.
    fn put_word<V: Pod>(&self, table: Table, value: V) {
        let data = MapData::from_pin(self.maps().join(table.name)).unwrap();
        Array::<_, V>::try_from(Map::Array(data)).unwrap().set(0, value, 0).unwrap();
    }

    fn put_epoch(&self, epoch: u32) {
        self.put_word(tables::EPOCH, epoch);
    }

    fn replace<K, V>(&self, table: Table, map_type: bpf_map_type) {
        fs::remove_file(self.maps().join(table.name)).unwrap();
        self.create::<K, V>(table, map_type);
    }

    fn error(&self) -> String {
        Pinned::open(self.bpffs()).err().expect("the tables are not as they should be").to_string()
    }
}

/// A cgroup of the test's own, which no process is in; gone when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Self {
        let mount = crate::mounts::cgroup2().unwrap();
        let path = mount.join(format!("sluice-read-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
    }
}

impl Drop for PinnedTables {
    fn drop(&mut self) {
        unmount(self.bpffs.path(), UnmountFlags::DETACH).unwrap();
    }
}

fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

#[test]
fn entries_are_read_as_they_were_written() {
    let pinned = PinnedTables::empty();
    let device = Device { ipv4: addr("10.0.0.1"), ipv6: addr("fd00::1"), flags: 1, netns: 5, ..Device::default() };
    pinned.put(tables::DEVICES, [(7, device), (9, Device::default())]);
    pinned.put(tables::ADDRESSES, [(addr("10.0.0.1"), Address { flags: 1 })]);
    pinned.put_epoch(42);
    let read = Pinned::open(pinned.bpffs()).unwrap();
    assert_eq!(read.devices.entries().unwrap().get(&7), Some(&device));
    assert_eq!((read.devices.get(&7).unwrap(), read.devices.get(&8).unwrap()), (Some(device), None));
    assert_eq!(read.addresses.keys().unwrap().into_iter().collect::<Vec<_>>(), [addr("10.0.0.1")]);
    assert_eq!(read.epoch().unwrap(), 42);
    assert!(read.flows_new.entries().unwrap().is_empty());
    let fill = read.fill().unwrap().into_iter().find(|fill| fill.table == tables::DEVICES);
    assert_eq!(fill, Some(Fill { table: tables::DEVICES, entries: 2, evicts: false }));
}

#[test]
fn policy_tables_are_read_as_they_were_written_and_judged_by() {
    let class = |class| Policing { class, ..Policing::default() };
    let isolated = Policing { ingress: 7, ..Policing::default() };
    let key = RuleKey { set: 7, class: 3, protocol: protocol::TCP.into(), port: Port::new(80) };
    let rule = Rule { policy: 1, index: 2 };
    let block = Block { since: 0, last: 0, next: 3 };
    let image = PolicyImage {
        identities: BTreeMap::from([
            (
                addr("10.0.0.1"),
                Identity { flags: identity_flags::LOCAL, since: 5, next: isolated, ..Identity::default() },
            ),
            (addr("10.0.1.1"), Identity { since: 6, last: class(3), next: class(4), ..Identity::default() }),
        ]),
        blocks: BTreeMap::from([(BlockPrefix::from("192.0.2.0/24".parse::<IpNetwork>().unwrap()), block)]),
        rules: BTreeMap::from([(RulePrefix { key, bits: RuleKey::BITS }, rule)]),
        generation: 5,
        ..PolicyImage::default()
    };
    let pinned = PinnedTables::empty();
    pinned.put_policies(&image);
    let read = Pinned::open(pinned.bpffs()).unwrap();
    assert_eq!(read.policies.identities.entries().unwrap(), image.identities);
    assert_eq!(read.policies.rules.entries().unwrap(), [(key, RuleKey::BITS, rule)]);
    let sum = (1..=nr_cpus().unwrap() as u64).sum();
    assert_eq!(read.policies.rule_hits().unwrap(), BTreeMap::from([(rule, sum)]));
    let judged = |src, port| {
        let (src, dst, port) = (addr(src), addr("10.0.0.1"), Port::new(port));
        let question = Question { src, dst, protocol: protocol::TCP.into(), port, ..Question::default() };
        let (tables, mut ruling) = (Overlay::new(&read), Ruling::default());
        let verdict = tables.judge(&question, &mut ruling).map(|()| ruling.ingress);
        tables.check().unwrap();
        verdict
    };
    assert_eq!((judged("10.0.1.1", 80), judged("192.0.2.9", 80)), (Ok(rule), Ok(rule)));
    assert_eq!(judged("10.0.1.1", 81), Err(Reason::PolicyIngress));
    assert_eq!(judged("198.51.100.1", 80), Err(Reason::PolicyIngress));
    pinned.put_policies(&PolicyImage { generation: 6, ..image });
    assert_eq!(judged("10.0.1.1", 80), Err(Reason::PolicyIngress), "of another class from there on");
}

#[test]
fn drops_are_the_sum_of_all_cpus() {
    let pinned = PinnedTables::empty();
    let sum = pinned.put_drops(Reason::NoRoute);
    let drops = Pinned::open(pinned.bpffs()).unwrap().drops().unwrap();
    let packets = |reason| drops.iter().find(|count| count.reason == reason).unwrap().packets;
    assert_eq!((packets(Reason::NoRoute), packets(Reason::TooBig)), (sum, 0));
}

#[test]
fn where_no_agent_ever_started_the_directory_and_the_flag_are_named() {
    let pinned = PinnedTables::none();
    let error = pinned.error();
    assert!(error.starts_with(&pinned.bpffs().display().to_string()) && error.contains("--bpffs"), "{error}");
    let missing = Pinned::open("/nonexistent/bpffs".as_ref()).err().unwrap();
    assert!(matches!(missing, ReadError::NotStarted { .. }), "{missing}");
}

#[test]
fn tables_of_another_version_are_told_from_none() {
    let pinned = PinnedTables::none();
    fs::create_dir_all(pinned.bpffs().join("v4000000/maps")).unwrap();
    assert!(pinned.error().contains("layout v4000000"), "{}", pinned.error());
}

#[test]
fn a_table_of_another_layout_is_refused_by_name_property_and_value() {
    let pinned = PinnedTables::empty();
    pinned.replace::<u32, [u8; 64]>(tables::DEVICES, BPF_MAP_TYPE_HASH);
    let error = pinned.error();
    let difference = format!("value size is 64, and this sluice expects {}", size_of::<Device>());
    assert!(error.contains("table DEVICES") && error.contains(&difference), "{error}");
    pinned.replace::<u64, Device>(tables::DEVICES, BPF_MAP_TYPE_HASH);
    assert!(pinned.error().contains("key size is 8"), "{}", pinned.error());
    pinned.replace::<u32, Device>(tables::DEVICES, BPF_MAP_TYPE_LRU_HASH);
    assert!(pinned.error().contains("type is LruHash, and this sluice expects Hash"), "{}", pinned.error());
    pinned.replace::<u32, Device>(Table { max_entries: 3, ..tables::DEVICES }, BPF_MAP_TYPE_HASH);
    assert!(pinned.error().contains("max_entries is 3"), "{}", pinned.error());
    pinned.replace::<u32, Device>(tables::DEVICES, BPF_MAP_TYPE_HASH);
    assert!(Pinned::open(pinned.bpffs()).is_ok());
}

#[test]
fn a_table_that_is_not_there_is_named() {
    let pinned = PinnedTables::empty();
    fs::remove_file(pinned.maps().join("MEMBERS")).unwrap();
    assert!(pinned.error().contains("table MEMBERS: can't open"), "{}", pinned.error());
}

/// Pins a program that aya didn't load.
fn pin(program: &OwnedFd, path: &Path) {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the union holds integers only, for which zero is a value.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: BPF_OBJ_PIN reads this member, and every bit pattern is a value of it.
    let object = unsafe { &mut attr.__bindgen_anon_4 };
    object.bpf_fd = program.as_raw_fd().cast_unsigned();
    object.pathname = path.as_ptr() as u64;
    // SAFETY: the kernel reads size_of::<bpf_attr>() bytes of attr and the path it points to, and writes nothing.
    let result = unsafe { libc::syscall(libc::SYS_bpf, bpf_cmd::BPF_OBJ_PIN, &raw const attr, size_of::<bpf_attr>()) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

#[test]
fn pinned_links_are_listed_with_their_programs() {
    let (pinned, cgroup) = (PinnedTables::none(), Cgroup::new());
    assert_eq!(links(pinned.bpffs()).unwrap(), []);
    let loaded = load_for(CgroupSockAddrAttachType::Connect4).unwrap();
    pin(&loaded, &pinned.bpffs().join("connect4"));
    let mut program =
        CgroupSockAddr::from_pin(pinned.bpffs().join("connect4"), CgroupSockAddrAttachType::Connect4).unwrap();
    let program_id = program.info().unwrap().id();
    let link = program.attach(fs::File::open(&cgroup.0).unwrap(), CgroupAttachMode::Single).unwrap();
    let link = FdLink::try_from(program.take_link(link).unwrap()).unwrap();
    let id = link.info().unwrap().id();
    let directory = pins::links_directory(pinned.bpffs());
    fs::create_dir_all(&directory).unwrap();
    // The agent ends: only the pin of the link is left.
    fs::remove_file(pinned.bpffs().join("connect4")).unwrap();
    drop((link.pin(directory.join("cgroup-connect4")).unwrap(), program, loaded));
    let expected = PinnedLink { name: "cgroup-connect4".into(), id, program_id, program: "sluice_probe".into() };
    assert_eq!(links(pinned.bpffs()).unwrap(), [expected]);
    fs::remove_file(directory.join("cgroup-connect4")).unwrap();
}
