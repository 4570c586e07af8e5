//! What can be chosen about a lab.

use crate::error::Result;
use crate::lab::Lab;

/// How pods are attached to their node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Attachment {
    /// A veth pair and a host route for each pod, as Calico does: pods reach each other at layer 3 only.
    #[default]
    Routed,
    /// Ports of one bridge on the node, as the bridge plugin does: pods of a node reach each other at layer 2.
    Bridge,
    /// The same as routed, but the node's end has no IPv4 address and answers ARP for everybody (`proxy_arp`): Calico to
    /// the letter.
    ProxyArp,
    /// A veth pair whose end on the node has the gateway's address, alone, in both families; a pod has its subnet but
    /// reaches it through the gateway. As the ptp plugin and kindnet do.
    PointToPoint,
}

/// How the nodes reach each other's pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PodNetwork {
    /// By routes through the nodes' addresses, on one link ("host-gw").
    #[default]
    Routes,
    /// By VXLAN, a device for each family with a single address, as flannel and Calico do.
    Vxlan,
    /// As on AWS: the network between the nodes knows each pod's address. A node has a second uplink, which belongs to
    /// every pod with an odd last number: rules of the node send by it what these send.
    SecondUplink,
}

impl Attachment {
    /// The two that differ in most, for loops.
    pub const BOTH: [Self; 2] = [Self::Routed, Self::Bridge];
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) attachment: Attachment,
    pub(crate) pod_network: PodNetwork,
    pub(crate) nodes: u8,
    pub(crate) segment_mtu: u32,
    pub(crate) client_mtu: u32,
    pub(crate) pod_mtu: u32,
    pub(crate) offload: bool,
    pub(crate) rp_filter: u8,
}

/// Choices for a lab that is not there yet.
#[derive(Clone, Debug)]
pub struct Builder(Options);

impl Default for Builder {
    fn default() -> Self {
        Self(Options {
            attachment: Attachment::default(),
            pod_network: PodNetwork::default(),
            nodes: 2,
            segment_mtu: 1500,
            client_mtu: 1500,
            pod_mtu: 1500,
            offload: true,
            rp_filter: 2,
        })
    }
}

impl Builder {
    /// How pods are attached; routed by default.
    #[must_use]
    pub fn attachment(mut self, attachment: Attachment) -> Self {
        self.0.attachment = attachment;
        self
    }

    /// How the nodes reach each other's pods; by routes by default.
    #[must_use]
    pub fn pod_network(mut self, pod_network: PodNetwork) -> Self {
        self.0.pod_network = pod_network;
        self
    }

    /// Number of nodes, 1 to 9; 2 by default.
    #[must_use]
    pub fn nodes(mut self, nodes: u8) -> Self {
        assert!((1..=9).contains(&nodes), "a lab has 1 to 9 nodes, not {nodes}");
        self.0.nodes = nodes;
        self
    }

    /// MTU in bytes of the nodes' segment; 1500 by default.
    #[must_use]
    pub fn segment_mtu(mut self, bytes: u32) -> Self {
        self.0.segment_mtu = bytes;
        self
    }

    /// MTU in bytes of the link between the router and the client; 1500 by default.
    #[must_use]
    pub fn client_mtu(mut self, bytes: u32) -> Self {
        self.0.client_mtu = bytes;
        self
    }

    /// MTU in bytes of the pods' interfaces, both sides; 1500 by default.
    #[must_use]
    pub fn pod_mtu(mut self, bytes: u32) -> Self {
        self.0.pod_mtu = bytes;
        self
    }

    /// Whether interfaces leave checksums and segmentation to their peer, as real ones do to the hardware; they do by
    /// default.
    #[must_use]
    pub fn offload(mut self, offload: bool) -> Self {
        self.0.offload = offload;
        self
    }

    /// Reverse path filter of the nodes' interfaces: 0 off, 1 strict, 2 loose; loose by default, as systemd sets it.
    #[must_use]
    pub fn rp_filter(mut self, mode: u8) -> Self {
        self.0.rp_filter = mode;
        self
    }

    /// Builds the lab, after removing the ones that dead processes left.
    pub fn build(self) -> Result<Lab> {
        Lab::build(self.0)
    }
}
