//! At the socket: a Service's address is exchanged for a backend's before any packet exists.

mod addr;
mod hooks;
mod peer;
