//! What a packet that doesn't pass means to people, and what to do about it.

use proxy_common::drop::Reason;

/// What happened, in one line without the reason's name.
pub(super) const fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::NoEndpoints => "refused: no endpoint of the Service is ready",
        Reason::NoLocalEndpoints => "dropped: the traffic policy is Local, and no endpoint on this node is ready",
        Reason::NoConnection => "refused: a TCP segment to a Service, of no connection that is known",
        Reason::NoSourcePort => "dropped: no source port was free to tell the replies by",
        Reason::FlowTableFull => "dropped: the tables of flows are full",
        Reason::NoRoute => "dropped: the node has no route to the endpoint",
        Reason::TooBig => "dropped: larger than the next link takes, as the sender was told",
        Reason::TtlExceeded => "dropped: its time to live ran out here, as the sender was told",
        Reason::Malformed => "dropped: a header is cut short or contradicts itself",
        Reason::RewriteFailed => "dropped: the kernel refused to rewrite it",
        Reason::MappedAddress => "dropped: an IPv6 packet with an IPv4-mapped address",
        Reason::NoSuchPort => "refused: no Service has this port at this ClusterIP",
        Reason::UnknownFragment => {
            "dropped: a fragment whose datagram's first was refused, or hasn't come and there was no place to wait"
        }
        Reason::SourceRange => "dropped: the client is not in the Service's loadBalancerSourceRanges",
    }
}
