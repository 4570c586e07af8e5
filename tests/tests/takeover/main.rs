//! Sluice in the place of a kube-proxy: its connections live on, its rules go, its configuration works.

mod configuration;
mod connection;
mod leftovers;
mod scene;
mod takeover;
