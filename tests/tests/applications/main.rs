//! Applications as they are deployed, from `examples/`, and what becomes of their connections while pods come and go:
//! over both ways of attaching pods, with and without socket programs, IPv4 and IPv6.

#[path = "../services/checksums.rs"]
mod checksums;
mod dns;
mod guestbook;
mod load;
mod replace;
mod rolling_update;
mod story;
mod zookeeper;
