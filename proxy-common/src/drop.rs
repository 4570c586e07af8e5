//! Why a packet was not passed on: stable numbers, counted per CPU in the `DROPS` table.

/// Reason a packet was dropped or refused. A number keeps its meaning for ever; a slot is never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u32)]
pub enum Reason {
    /// The Service has no usable endpoint anywhere: refused (TCP reset, ICMP port unreachable).
    NoEndpoints = 1,
    /// A Local traffic policy, endpoints elsewhere but none on this node: dropped silently, as kube-proxy does.
    NoLocalEndpoints = 2,
    /// A TCP segment to a Service that belongs to no connection we know: refused with a reset.
    NoConnection = 3,
    /// No source port was free to translate to.
    NoSourcePort = 4,
    /// The flow tables had no room for a new flow.
    FlowTableFull = 5,
    /// The node has no route to where the packet must go.
    NoRoute = 6,
    /// Larger than the next link takes; answered with "fragmentation needed" or "packet too big".
    TooBig = 7,
    /// Time to live ran out here; answered with "time exceeded".
    TtlExceeded = 8,
    /// Header cut short or inconsistent.
    Malformed = 9,
    /// A helper of the kernel refused to rewrite the packet.
    RewriteFailed = 10,
    /// An IPv6 packet with an IPv4-mapped address, which must not be on a wire (RFC 4942, 2.2).
    MappedAddress = 11,
    /// A ClusterIP, and a port on it that no Service port has: refused.
    NoSuchPort = 12,
    /// The source isn't in the Service's `loadBalancerSourceRanges`: dropped silently, as kube-proxy does.
    SourceRange = 13,
    /// A fragment of a datagram whose first was refused, or has not come and there was no place to wait for it.
    UnknownFragment = 14,
    /// No rule of a policy that isolates the source's egress allows it.
    PolicyEgress = 15,
    /// No rule of a policy that isolates the destination's ingress allows it.
    PolicyIngress = 16,
    /// From or to an address of this node's pods that no pod is known to have, yet.
    UnknownPod = 17,
    /// A pod sent it under an address that isn't its own.
    SpoofedSource = 18,
    /// A policed pod's, and nothing that a policy can be asked about: a VLAN tag, a protocol that isn't IP.
    Unjudgeable = 19,
    /// The policies changed again and again while it was judged.
    PolicyChanging = 20,
    /// A pod's packet with another inside, as the overlay between the nodes has them: the node would take it out, whatever
    /// its source says.
    Encapsulated = 21,
}

/// Why a packet is not translated.
///
/// One word also as the error of a `Result<(), Stop>`: a kernel program's function returns no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It is none of ours, here.
    NotOurs,
    /// It is a fragment, and was put by until the first of its datagram comes.
    Held,
    /// It may be of a connection that the kernel's conntrack translates, since before our time. Nobody has judged it: the
    /// hook by which it leaves does, when it has been translated.
    LeftToConntrack,
    /// It must not pass.
    Drop(Reason),
}

impl From<Reason> for Stop {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Self::Drop(reason)
    }
}

const _: () = assert!(size_of::<Result<(), Stop>>() == 4);

impl Reason {
    /// Every reason, in the order of the numbers.
    pub const ALL: [Self; 21] = [
        Self::NoEndpoints,
        Self::NoLocalEndpoints,
        Self::NoConnection,
        Self::NoSourcePort,
        Self::FlowTableFull,
        Self::NoRoute,
        Self::TooBig,
        Self::TtlExceeded,
        Self::Malformed,
        Self::RewriteFailed,
        Self::MappedAddress,
        Self::NoSuchPort,
        Self::SourceRange,
        Self::UnknownFragment,
        Self::PolicyEgress,
        Self::PolicyIngress,
        Self::UnknownPod,
        Self::SpoofedSource,
        Self::Unjudgeable,
        Self::PolicyChanging,
        Self::Encapsulated,
    ];

    /// One more than the highest number: the size of the `DROPS` table.
    pub const SLOTS: u32 = 64;

    /// Slot in the `DROPS` table.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The sender is told that nobody serves it (TCP reset, ICMP port unreachable, `ECONNREFUSED`).
    #[inline(always)]
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::NoEndpoints | Self::NoConnection | Self::NoSuchPort)
    }

    /// The name in metrics and in the CLI.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoEndpoints => "NoEndpoints",
            Self::NoLocalEndpoints => "NoLocalEndpoints",
            Self::NoConnection => "NoConnection",
            Self::NoSourcePort => "NoSourcePort",
            Self::FlowTableFull => "FlowTableFull",
            Self::NoRoute => "NoRoute",
            Self::TooBig => "TooBig",
            Self::TtlExceeded => "TtlExceeded",
            Self::Malformed => "Malformed",
            Self::RewriteFailed => "RewriteFailed",
            Self::MappedAddress => "MappedAddress",
            Self::NoSuchPort => "NoSuchPort",
            Self::SourceRange => "SourceRange",
            Self::UnknownFragment => "UnknownFragment",
            Self::PolicyEgress => "PolicyEgress",
            Self::PolicyIngress => "PolicyIngress",
            Self::UnknownPod => "UnknownPod",
            Self::SpoofedSource => "SpoofedSource",
            Self::Unjudgeable => "Unjudgeable",
            Self::PolicyChanging => "PolicyChanging",
            Self::Encapsulated => "Encapsulated",
        }
    }
}
