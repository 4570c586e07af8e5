//! What Services promise to those who use them: the rules for who is reached and whose address is seen, the applications
//! of `examples/`, and what becomes of connections while pods come and go. Over both ways of attaching pods, with and
//! without socket programs, IPv4 and IPv6.

mod changed_service;
#[path = "../services/checksums.rs"]
mod checksums;
mod dns;
mod guestbook;
mod headless_slice;
mod load;
mod load_balancer;
mod policies;
#[path = "../services/protocol.rs"]
mod protocol;
mod removed_service;
mod replace;
mod rolling_update;
mod story;
mod zookeeper;
