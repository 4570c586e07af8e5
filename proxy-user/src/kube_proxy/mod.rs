//! A kube-proxy that ran on this machine, or runs: what it left, found and removed as `kube-proxy --cleanup` does.
//!
//! Chains of the kubelet's (`KUBE-FIREWALL`, `KUBE-KUBELET-CANARY`, `KUBE-IPTABLES-HINT`, `KUBE-MARK-DROP`) are nobody
//! else's, and stay.

mod chains;
mod iptables;
mod ipvs;
mod leftovers;
mod process;

pub(crate) use leftovers::Leftovers;
pub(crate) use process::running;
