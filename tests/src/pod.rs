//! A pod: a host on a node's pod subnet.

use std::fs;
use std::ops::Deref;

use crate::cgroup;
use crate::error::{Doing, Result};
use crate::family::Addresses;
use crate::host::Host;
use crate::ip::Batch;
use crate::plumb;

/// A pod. It stays until the lab goes or it is removed: dropping this handle changes nothing.
#[derive(Clone, Debug)]
pub struct Pod {
    host: Host,
    node: String,
    addresses: Addresses,
}

impl Pod {
    pub(crate) fn new(host: Host, node: &str, addresses: Addresses) -> Self {
        Self { host, node: node.into(), addresses }
    }

    /// Its addresses.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Name of the node it runs on.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Name of its interface on the node.
    #[must_use]
    pub fn host_device(&self) -> String {
        plumb::pod::host_device(self.addresses)
    }

    /// Ends its processes and removes its interface, as a kubelet does.
    pub fn remove(self) -> Result<()> {
        cgroup::remove(self.host.cgroup())?;
        // The interface first: the kernel takes its time with a namespace.
        let (mut interface, mut namespace) = (Batch::default(), Batch::default());
        interface.add("link del eth0");
        interface.run_in(&self.netns())?;
        namespace.add(format_args!("netns del {}", self.netns()));
        namespace.run()?;
        let description = self.host.description();
        fs::remove_file(&description).doing(|| format!("remove {}", description.display()))
    }
}

impl Deref for Pod {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}
