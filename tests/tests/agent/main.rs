//! The agent's life, in the lab: how it starts, follows objects and interfaces, dies, comes back and is removed.

mod cleanup;
mod cli;
mod foreign;
mod health;
mod interfaces;
mod manifests;
mod monitor;
mod policies;
mod restart;
mod settings;
mod start_up;
mod support;
mod support_bundle;
