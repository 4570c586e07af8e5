//! The steps from one state of the tables to the next, in the order in which readers may see them.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use proxy_common::addr::Addr;
use proxy_common::tables::{
    Address, Backend, BackendKey, Member, MemberKey, Service, ServiceKey, ServiceName, SourceRange,
};

/// One change of one table entry. A list of writes is carried out in order: after each, a reader of the tables finds
/// either the old or the new state of a Service, and never one with endpoints and none to be found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Name of a Service port; precedes its other entries. In a box, as it would make every write five times as large.
    PutName(u32, Box<ServiceName>),
    /// Last of a Service port's entries to go: its number is free again after it.
    DeleteName(u32),
    /// Endpoint that may serve flows.
    PutMember(MemberKey, Member),
    /// Endpoint that no longer may; an [`Write::AdvanceEpoch`] follows in the same list.
    DeleteMember(MemberKey),
    /// Endpoint in a slot.
    PutBackend(BackendKey, Backend),
    /// A slot beyond the count of its set.
    DeleteBackend(BackendKey),
    /// Frontend, with the counts of its sets.
    PutService(ServiceKey, Service),
    /// Frontend that no longer is.
    DeleteService(ServiceKey),
    /// Address of a frontend or of the node. Follows every frontend that is new in the list: from here on packets to it
    /// are looked up, and refused at a ClusterIP's port that no Service port has.
    PutAddress(Addr, Address),
    /// Address that is no frontend's any more, nor the node's.
    DeleteAddress(Addr),
    /// Sources that may use the frontends of a Service port; precedes those frontends.
    PutSourceRange(SourcePrefix),
    /// Sources that may no longer.
    DeleteSourceRange(SourcePrefix),
    /// Makes each flow look once whether its endpoint is still a member.
    AdvanceEpoch,
}

impl Write {
    /// Where the puts of a list stand among each other: whatever leads to an entry of another table comes after it. `None`
    /// for what is no put.
    pub(super) const fn stage(&self) -> Option<usize> {
        match self {
            Self::PutName(..) => Some(0),
            Self::PutMember(..) => Some(1),
            Self::PutBackend(..) => Some(2),
            Self::PutSourceRange(_) => Some(3),
            Self::PutService(..) => Some(4),
            Self::PutAddress(..) => Some(Self::STAGES - 1),
            Self::DeleteName(_)
            | Self::DeleteMember(_)
            | Self::DeleteBackend(_)
            | Self::DeleteService(_)
            | Self::DeleteAddress(_)
            | Self::DeleteSourceRange(_)
            | Self::AdvanceEpoch => None,
        }
    }

    /// How many values [`Write::stage`] has.
    pub(super) const STAGES: usize = 6;

    /// Whether a table has more room after it.
    pub(super) const fn frees_an_entry(&self) -> bool {
        matches!(
            self,
            Self::DeleteName(_)
                | Self::DeleteMember(_)
                | Self::DeleteBackend(_)
                | Self::DeleteService(_)
                | Self::DeleteSourceRange(_)
        )
    }
}

/// Key of `SOURCE_RANGES`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourcePrefix {
    /// Service port and network.
    pub range: SourceRange,
    /// Length of the prefix in bits of `range`, the Service port's number and what stands before an IPv4 address included.
    pub bits: u32,
}

impl SourcePrefix {
    /// `network` of the Service port numbered `service`.
    #[must_use]
    pub fn new(service: u32, network: IpNetwork) -> Self {
        let before = match network {
            IpNetwork::V4(_) => SourceRange::BEFORE_V4,
            IpNetwork::V6(_) => SourceRange::BEFORE_V6,
        };
        let range = SourceRange { service, addr: network.network().into() };
        Self { range, bits: before + u32::from(network.prefix()) }
    }
}

/// What the tables hold: read from the kernel by a starting agent, kept in step with each write after that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image {
    /// `SERVICES`.
    pub services: BTreeMap<ServiceKey, Service>,
    /// `BACKENDS`.
    pub backends: BTreeMap<BackendKey, Backend>,
    /// `MEMBERS`.
    pub members: BTreeMap<MemberKey, Member>,
    /// `SERVICE_NAMES`.
    pub names: BTreeMap<u32, ServiceName>,
    /// `ADDRESSES`.
    pub addresses: BTreeMap<Addr, Address>,
    /// `SOURCE_RANGES`.
    pub source_ranges: BTreeSet<SourcePrefix>,
}

impl Image {
    /// Carries `write` out, as the kernel does.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::PutName(id, name) => drop(self.names.insert(*id, **name)),
            Write::DeleteName(id) => drop(self.names.remove(id)),
            Write::PutMember(key, member) => drop(self.members.insert(*key, *member)),
            Write::DeleteMember(key) => drop(self.members.remove(key)),
            Write::PutBackend(key, backend) => drop(self.backends.insert(*key, *backend)),
            Write::DeleteBackend(key) => drop(self.backends.remove(key)),
            Write::PutService(key, service) => drop(self.services.insert(*key, *service)),
            Write::DeleteService(key) => drop(self.services.remove(key)),
            Write::PutAddress(addr, address) => drop(self.addresses.insert(*addr, *address)),
            Write::DeleteAddress(addr) => drop(self.addresses.remove(addr)),
            Write::PutSourceRange(key) => drop(self.source_ranges.insert(*key)),
            Write::DeleteSourceRange(key) => drop(self.source_ranges.remove(key)),
            Write::AdvanceEpoch => {}
        }
    }
}
