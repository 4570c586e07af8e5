//! What NetworkPolicies promise: who reaches whom, from the first packet on, while pods and policies come and go. Over both
//! ways of attaching pods, with and without socket programs, IPv4 and IPv6.

mod change;
#[path = "../services/checksums.rs"]
mod checksums;
mod examples;
mod first_packet;
mod matrix;
mod node;
mod scene;
mod spoof;
