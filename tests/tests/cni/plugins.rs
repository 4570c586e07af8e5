//! One lab for each way in which plugins attach pods and connect nodes.

use anyhow::Result;
use lab::{Attachment, Lab, PodNetwork};

use crate::scene::{serves_and_polices, start};

/// What VXLAN leaves of 1,500 bytes over IPv6, the larger of both headers.
const VXLAN_MTU: u32 = 1430;
const STRICT: u8 = 1;

/// The ptp plugin, kindnet, and GKE's: a gateway address on every pod's interface.
#[test]
fn pods_of_the_ptp_plugin_are_served_and_policed() -> Result<()> {
    serves_and_polices(&start(Lab::builder().attachment(Attachment::PointToPoint).build()?)?)
}

/// Calico without an overlay, where the machine filters reverse paths strictly, as Calico demands of pods' interfaces.
#[test]
fn pods_of_calico_are_served_and_policed_where_reverse_paths_are_filtered() -> Result<()> {
    serves_and_polices(&start(Lab::builder().attachment(Attachment::ProxyArp).rp_filter(STRICT).build()?)?)
}

#[test]
fn pods_of_calico_are_served_and_policed_over_vxlan() -> Result<()> {
    let lab = Lab::builder().attachment(Attachment::ProxyArp).pod_network(PodNetwork::Vxlan).pod_mtu(VXLAN_MTU);
    serves_and_polices(&start(lab.build()?)?)
}

#[test]
fn pods_of_flannel_are_served_and_policed_over_vxlan() -> Result<()> {
    let lab = Lab::builder().attachment(Attachment::Bridge).pod_network(PodNetwork::Vxlan).pod_mtu(VXLAN_MTU);
    serves_and_polices(&start(lab.build()?)?)
}
