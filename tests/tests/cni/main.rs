//! Pods as the common network plugins attach them: each is served, and policed, from its first packet on. Services and
//! policies are the same in every lab; what differs is addresses, routes, rules and devices.

#[path = "../services/checksums.rs"]
mod checksums;
mod plugins;
mod scene;
mod several_uplinks;
