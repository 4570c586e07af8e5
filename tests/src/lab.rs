//! A cluster's network on one machine: nodes, an outside client, and the router between them.

use std::fs;

use crate::claim::Claim;
use crate::error::{Doing, Error, Result};
use crate::family::Addresses;
use crate::host::Host;
use crate::id::LabId;
use crate::manifests::Manifests;
use crate::node::Node;
use crate::options::{Builder, Options, PodNetwork};
use crate::plumb::device::{self, End, Pair};
use crate::plumb::namespace::{self, Forwarding};
use crate::plumb::{self, second_uplink, wire};
use crate::topology::CLIENT;

/// A running lab; everything in it goes when it is dropped, when its process is interrupted, or, had the process no
/// chance to, when the next lab starts.
pub struct Lab {
    nodes: Vec<Node>,
    client: Host,
    wire: Host,
    manifests: Manifests,
    claim: Claim,
}

impl Lab {
    /// Choices for a lab.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn build(options: Options) -> Result<Self> {
        let claim = Claim::new()?;
        let id = claim.id;
        for name in ["hosts", "logs", "manifests"] {
            let path = id.dir().join(name);
            fs::create_dir(&path).doing(|| format!("make {}", path.display()))?;
        }
        lay_network(id, &options)?;
        let host = |name: &str| Host::create(id, name, id.cgroup()?.join(name), None);
        let nodes = (1..=options.nodes).map(|number| Node::create(id, number, options));
        Ok(Self {
            nodes: nodes.collect::<Result<_>>()?,
            client: host("client")?,
            wire: host("wire")?,
            manifests: Manifests::new(id.dir().join("manifests")),
            claim,
        })
    }

    /// Its number on this machine.
    #[must_use]
    pub const fn id(&self) -> LabId {
        self.claim.id
    }

    /// Its nodes, `node1` first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.nodes.iter().find(|node| node.name() == name).ok_or_else(|| {
            let names: Vec<_> = self.nodes.iter().map(|node| node.name()).collect();
            Error::Unknown { what: "node", name: name.into(), have: format!("are {}", names.join(", ")) }
        })
    }

    /// The client outside the cluster, one router away from the nodes.
    #[must_use]
    pub const fn client(&self) -> &Host {
        &self.client
    }

    /// The client's addresses.
    #[must_use]
    pub const fn client_addresses(&self) -> Addresses {
        CLIENT
    }

    /// The router between the nodes and the client.
    #[must_use]
    pub const fn wire(&self) -> &Host {
        &self.wire
    }

    /// The directory of manifests that the lab's agents watch.
    #[must_use]
    pub const fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// Leaves the lab in place when this handle is dropped; [`crate::existing::down`] removes it.
    pub fn keep(&self) -> Result<()> {
        self.claim.keep()
    }
}

fn lay_network(id: LabId, options: &Options) -> Result<()> {
    let [wire, client] = ["wire", "client"].map(|name| id.netns(name));
    let nodes: Vec<_> = (1..=options.nodes).map(|number| (number, id.netns(&Node::name_of(number)))).collect();
    let names: Vec<_> = [&wire, &client].into_iter().chain(nodes.iter().map(|(_, netns)| netns)).cloned().collect();
    namespace::create(&names)?;
    for name in &names {
        let forwarding = if *name == client { Forwarding::Off } else { Forwarding::On };
        namespace::configure(name, forwarding, options.rp_filter)?;
    }
    let links = nodes.iter().map(|(number, netns)| (wire::to_node(*number), netns, options.segment_mtu));
    let links = links.chain([(wire::to_client().to_owned(), &client, options.client_mtu)]);
    let pair =
        |device, netns: &String, inside, mtu| Pair { ends: [End::new(&wire, device), End::new(netns, inside)], mtu };
    let mut pairs: Vec<_> = links.map(|(device, netns, mtu)| pair(device, netns, "eth0", mtu)).collect();
    if options.pod_network == PodNetwork::SecondUplink {
        let second = |(number, netns): &(u8, String)| {
            pair(wire::to_second_uplink(*number), netns, second_uplink::DEVICE, options.segment_mtu)
        };
        pairs.extend(nodes.iter().map(second));
    }
    device::create(&pairs, options.offload)?;
    wire::configure_router(&wire, options)?;
    wire::configure_client(&client)?;
    nodes.iter().try_for_each(|(number, netns)| plumb::node::configure(netns, *number, options))
}
