//! Per packet: the programs on the interfaces of pods and on uplinks.

mod abort;
mod answer;
mod event;
mod fragment;
mod guard;
mod hooks;
mod local;
mod log;
mod path;
mod read;
mod rewrite;
mod route;
mod skb;

pub(crate) use skb::Skb;

pub(crate) use local::Way;
