//! What a packet that doesn't pass means to people, and what to do about it.

use proxy_common::drop::Reason;

/// What happened, in one line without the reason's name, and without whether it is refused or dropped.
pub(crate) const fn meaning(reason: Reason) -> &'static str {
    match reason {
        Reason::NoEndpoints => "no endpoint of the Service is ready",
        Reason::NoLocalEndpoints => "the traffic policy is Local, and no endpoint on this node is ready",
        Reason::NoConnection => "a TCP segment to a Service, of no connection that is known",
        Reason::NoSourcePort => "no source port was free to tell the replies by",
        Reason::FlowTableFull => "the tables of flows are full",
        Reason::NoRoute => "the node has no route to the endpoint",
        Reason::TooBig => "larger than the next link takes, as the sender was told",
        Reason::TtlExceeded => "its time to live ran out here, as the sender was told",
        Reason::Malformed => "a header is cut short or contradicts itself",
        Reason::RewriteFailed => "the kernel refused to rewrite it",
        Reason::MappedAddress => "an IPv6 packet with an IPv4-mapped address",
        Reason::NoSuchPort => "no Service has this port at this ClusterIP",
        Reason::UnknownFragment => {
            "a fragment whose datagram's first was refused, or hasn't come and there was no place to wait"
        }
        Reason::PolicyEgress => "no rule of the NetworkPolicies that isolate the sender's egress allows it",
        Reason::PolicyIngress => "no rule of the NetworkPolicies that isolate the receiver's ingress allows it",
        Reason::UnknownPod => "an address of this node's pods that no Pod is known to have, yet",
        Reason::SpoofedSource => "a pod sent it under an address that isn't its own",
        Reason::Unjudgeable => "a policed pod's packet that NetworkPolicy can't be asked about",
        Reason::PolicyChanging => "NetworkPolicies changed again and again while it was judged",
        Reason::Encapsulated => "a pod sent a packet inside another, as only the nodes' overlay may",
        Reason::SourceRange => "the client is not in the Service's loadBalancerSourceRanges",
    }
}
