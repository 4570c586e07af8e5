//! Traffic of Services with real sockets: pods, nodes and an outside client, over both ways of attaching pods, with and
//! without socket programs, IPv4 and IPv6, TCP and UDP.

mod by_client;
mod checksums;
mod client;
mod cluster_ip;
mod configuration;
mod explain;
mod fragments;
mod icmp_errors;
mod local_redirect;
mod loopback;
mod no_endpoints;
mod node_port;
mod offload;
mod path_mtu;
mod port_reuse;
mod protocol;
mod raw;
mod same_port;
mod sctp;
mod unserved_port;
