//! A node: a host with a bpffs, a cgroup above those of its pods, and the pods themselves.

use std::ops::Deref;
use std::path::Path;

use crate::error::{Doing, Result};
use crate::family::Addresses;
use crate::host::Host;
use crate::id::LabId;
use crate::options::{Options, PodNetwork};
use crate::plumb::device::{End, Pair};
use crate::plumb::namespace::Forwarding;
use crate::plumb::{self, device, namespace};
use crate::pod::Pod;
use crate::topology;

/// A node of the cluster. Programs run on it are as processes of the node itself or of host-network pods.
#[derive(Debug)]
pub struct Node {
    host: Host,
    number: u8,
    options: Options,
}

impl Node {
    /// Name of node `number`.
    pub(crate) fn name_of(number: u8) -> String {
        format!("node{number}")
    }

    /// Makes the node's cgroup and bpffs; its namespace and uplink are configured already.
    pub(crate) fn create(lab: LabId, number: u8, options: Options) -> Result<Self> {
        let name = Self::name_of(number);
        let bpffs = lab.dir().join(&name).join("bpf");
        std::fs::create_dir_all(&bpffs).doing(|| format!("make {}", bpffs.display()))?;
        rustix::mount::mount("bpf", &bpffs, "bpf", rustix::mount::MountFlags::empty(), None)
            .doing(|| format!("mount a bpffs at {}", bpffs.display()))?;
        let host = Host::create(lab, &name, lab.cgroup()?.join(&name).join("host"), Some(bpffs))?;
        Ok(Self { host, number, options })
    }

    /// Its number, from 1: node 1 is `node1`.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// Its addresses on the segment.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        topology::node(self.number)
    }

    /// The cgroup that holds all its processes, its own and its pods': where an agent attaches socket programs.
    #[must_use]
    pub fn cgroup_root(&self) -> &Path {
        self.host.cgroup().parent().expect("a host's cgroup is below its node's")
    }

    /// Starts a pod, which has the addresses of `index` (2 to 254) in the node's pod subnets.
    pub fn add_pod(&self, name: &str, index: u8) -> Result<Pod> {
        self.add_pod_at(name, topology::pod(self.number, index))
    }

    /// Starts a pod with the given addresses; the last number of the IPv4 address is the pod's own on this node.
    pub fn add_pod_at(&self, name: &str, addresses: Addresses) -> Result<Pod> {
        let netns = self.lab().netns(name);
        namespace::create(std::slice::from_ref(&netns))?;
        namespace::configure(&netns, Forwarding::Off, self.options.rp_filter)?;
        let host_side = End::new(self.netns(), plumb::pod::host_device(addresses));
        let pair = Pair { ends: [host_side, End::new(&netns, "eth0")], mtu: self.options.pod_mtu };
        device::create(&[pair], self.options.offload)?;
        plumb::pod::configure(&self.netns(), self.number, &netns, addresses, &self.options)?;
        if self.options.pod_network == PodNetwork::SecondUplink {
            plumb::wire::add_pod(&self.lab().netns("wire"), self.number, addresses)?;
        }
        let cgroup = self.cgroup_root().join(format!("pod-{name}"));
        Ok(Pod::new(Host::create(self.lab(), name, cgroup, None)?, self.host.name(), addresses))
    }
}

impl Deref for Node {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}
