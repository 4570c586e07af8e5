//! NetworkPolicy: who has an address, and what may reach whom.
//!
//! A change takes effect by one word, `POLICY_GENERATION`. What an address is stands twice in its entry, as it was and as
//! it is from a generation on, so every packet is judged by the state of one moment, whichever entries it needs. Rules need
//! no such thing: the numbers of sets and classes in their keys keep their meaning for as long as anything refers to them.

use crate::addr::{Addr, Port};

/// An address of a pod: of every pod of this node, and of those elsewhere that a selector in use matches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Identity {
    /// [`identity_flags`].
    pub flags: u32,
    /// Index of the host's end of the pod's interface; 0 while it isn't known, and for pods elsewhere.
    pub ifindex: u32,
    /// The generation from which `next` holds; before it, `last` does.
    pub since: u32,
    /// What held before.
    pub last: Policing,
    /// What holds.
    pub next: Policing,
}

const _: () = assert!(size_of::<Identity>() == 36);

/// Bits of [`Identity::flags`].
pub mod identity_flags {
    /// A pod of this node.
    pub const LOCAL: u32 = 1 << 0;
}

/// What policies make of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct Policing {
    /// What it is as a peer: the number of its class; 0 of none, as everybody is.
    pub class: u32,
    /// The rules for what reaches it: number of a set, with [`Policing::AUDIT`]; 0 where no policy isolates it.
    pub ingress: u32,
    /// The rules for what it reaches, likewise.
    pub egress: u32,
}

const _: () = assert!(size_of::<Policing>() == 12);

impl Policing {
    /// Beside a set's number: what its rules don't allow is reported, and passes.
    pub const AUDIT: u32 = 1 << 31;

    /// Some direction is isolated.
    #[inline(always)]
    #[must_use]
    pub const fn is_policed(&self) -> bool {
        self.ingress | self.egress != 0
    }
}

impl Identity {
    /// A pod of this node.
    #[inline(always)]
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.flags & identity_flags::LOCAL != 0
    }

    /// What holds in a generation.
    #[inline(always)]
    #[must_use]
    pub const fn at(&self, generation: u32) -> Policing {
        if is_before(generation, self.since) { self.last } else { self.next }
    }
}

/// Whether one generation precedes another. They wrap around.
#[inline(always)]
const fn is_before(generation: u32, other: u32) -> bool {
    generation.wrapping_sub(other) > u32::MAX / 2
}

/// Class of the addresses of a network that have no [`Identity`]. The key is the network: an [`Addr`] in a trie by longest
/// prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct Block {
    /// The generation from which `next` holds; before it, `last` does.
    pub since: u32,
    /// Number of the class before.
    pub last: u32,
    /// Number of the class.
    pub next: u32,
}

const _: () = assert!(size_of::<Block>() == 12);

impl Block {
    /// Class in a generation.
    #[inline(always)]
    #[must_use]
    pub const fn at(&self, generation: u32) -> u32 {
        if is_before(generation, self.since) { self.last } else { self.next }
    }
}

/// What a rule of a set allows. Key of a trie by longest prefix: of set and class alone (all protocols), with protocol (all
/// its ports), or with a prefix of the port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct RuleKey {
    /// Number of the set, without [`Policing::AUDIT`]. Sets of the two directions have different numbers.
    pub set: u32,
    /// Number of the peer's class; 0 for every peer.
    pub class: u32,
    /// IP protocol number.
    pub protocol: u16,
    /// Destination port.
    pub port: Port,
}

const _: () = assert!(size_of::<RuleKey>() == 12);

impl RuleKey {
    /// Prefix of a single port, in bits of the key.
    pub const BITS: u32 = 96;
    /// Prefix of all ports of a protocol.
    pub const ANY_PORT: u32 = 80;
    /// Prefix of all protocols.
    pub const ANY_PROTOCOL: u32 = 64;

    /// Whether the first `bits` of two keys are the same.
    #[must_use]
    pub fn has_prefix_of(&self, bits: u32, other: &Self) -> bool {
        let same = |counts: bool, a: u32, b: u32| !counts || a == b;
        let beyond = if bits > Self::ANY_PORT { Self::BITS - bits } else { 16 };
        same(true, self.set, other.set)
            && same(true, self.class, other.class)
            && same(bits >= Self::ANY_PORT, u32::from(self.protocol), u32::from(other.protocol))
            && same(
                bits > Self::ANY_PORT,
                u32::from(self.port.number()) >> beyond,
                u32::from(other.port.number()) >> beyond,
            )
    }
}

/// A rule of a policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct Rule {
    /// Number of the policy in `POLICY_NAMES`; 0 where no rule was needed.
    pub policy: u32,
    /// Its place in `spec.ingress` or, with [`Rule::EGRESS`], in `spec.egress`, from 0.
    pub index: u32,
}

const _: () = assert!(size_of::<Rule>() == 8);

impl Rule {
    /// Bit of [`Rule::index`]: a rule of `spec.egress`.
    pub const EGRESS: u32 = 1 << 31;
}

/// Name of a policy, padded with zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct PolicyName {
    /// Namespace: a DNS label, 63 bytes at most (Kubernetes names, RFC 1123).
    pub namespace: [u8; 64],
    /// Name: a DNS subdomain, 253 bytes at most.
    pub name: [u8; 256],
}

const _: () = assert!(size_of::<PolicyName>() == 320);

/// One of the policies that a set is made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(C)]
pub struct SetPolicy {
    /// Number of the set, without [`Policing::AUDIT`].
    pub set: u32,
    /// Number of the policy.
    pub policy: u32,
}

const _: () = assert!(size_of::<SetPolicy>() == 8);

/// What is known of this node's pods as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct PodNetwork {
    /// [`pod_network_flags`].
    pub flags: u32,
    /// The range that pods of this node have their addresses from, one of a family. A mask of zero bits is none.
    pub ipv4: Addr,
    /// Which bits of an address must be those of `ipv4`.
    pub ipv4_mask: Addr,
    /// The same for IPv6.
    pub ipv6: Addr,
    /// Which bits of an address must be those of `ipv6`.
    pub ipv6_mask: Addr,
}

const _: () = assert!(size_of::<PodNetwork>() == 68);

/// Bits of [`PodNetwork::flags`].
pub mod pod_network_flags {
    /// Some pod of this node is policed, or was a generation ago. Without it nothing is looked up but pods' own addresses.
    pub const POLICED: u32 = 1 << 0;
    /// An address of the range that no pod is known to have is neither served nor heard.
    pub const HOLD_UNKNOWN: u32 = 1 << 1;
}

impl PodNetwork {
    /// Whether a pod of this node may have the address.
    #[inline(always)]
    #[must_use]
    pub fn contains(&self, addr: &Addr) -> bool {
        within(addr, &self.ipv4, &self.ipv4_mask) || within(addr, &self.ipv6, &self.ipv6_mask)
    }
}

#[inline(always)]
fn within(addr: &Addr, network: &Addr, mask: &Addr) -> bool {
    let ([a, b, c, d], [na, nb, nc, nd], [ma, mb, mc, md]) = (addr.words(), network.words(), mask.words());
    let differs = ((a ^ na) & ma) | ((b ^ nb) & mb) | ((c ^ nc) & mc) | ((d ^ nd) & md);
    differs == 0 && ma | mb | mc | md != 0
}
