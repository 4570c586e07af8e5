//! From the node's interfaces and addresses to the tables and the hooks.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Context as _;
use proxy_common::addr::{Addr, Family};
use proxy_common::tables::{Device, device_flags};

use super::bindings::Bindings;
use crate::dataplane::ebpf::{self, Attached, Hooks, Maps};
use crate::dataplane::{Dataplane, Serves as _};
use crate::node::{DeviceInfo, NodeState, Role, primary_address};

/// Entry of `DEVICES` that stands for the node: for interfaces without an address.
const NODE: u32 = 0;

/// What the kernel was told of the node.
#[derive(Default)]
pub(super) struct NodeTables {
    devices: BTreeMap<u32, Device>,
    /// The state, and the pods behind interfaces, that tables and hooks are brought to; `None` while they are not.
    followed: Option<(NodeState, Bindings)>,
}

impl NodeTables {
    /// Brings tables and hooks to what the node is now; costs nothing when they are.
    pub(super) fn follow(
        &mut self,
        dataplane: &mut Dataplane,
        state: &NodeState,
        pods: &Bindings,
    ) -> anyhow::Result<()> {
        if self.followed.as_ref().is_some_and(|(followed, bound)| followed == state && bound == pods) {
            return Ok(());
        }
        self.followed = None;
        self.put(dataplane.maps_mut(), state, pods)?;
        if let Dataplane::Ebpf(programs) = dataplane {
            Self::attach(programs, state)?;
            Self::detach(programs, state)?;
        }
        self.trim(dataplane.maps_mut(), state, pods)
    }

    /// Tells the programs of what there is, before they run there.
    pub(super) fn put(&mut self, maps: &mut Maps, state: &NodeState, pods: &Bindings) -> anyhow::Result<()> {
        for (ifindex, device) in devices(state, pods) {
            if self.devices.get(&ifindex) != Some(&device) {
                maps.set_device(ifindex, device).context("the table of interfaces")?;
                self.devices.insert(ifindex, device);
            }
        }
        Ok(())
    }

    /// Has the programs run at every interface that is to have them.
    fn attach(dataplane: &mut ebpf::Dataplane, state: &NodeState) -> anyhow::Result<()> {
        // One interface that can't be had keeps no other from being served.
        let mut failed = Ok(());
        for (ifindex, device) in &state.devices {
            let Some(hooks) = hooks(device) else { continue };
            match dataplane.attach_device(*ifindex, &device.name, hooks) {
                Ok(Attached::Yes | Attached::InterfaceGone) => {}
                Err(error) => failed = Err(error).with_context(|| format!("interface {}", device.name)),
            }
        }
        failed
    }

    /// Takes programs from every other interface, also those of an earlier agent.
    fn detach(dataplane: &mut ebpf::Dataplane, state: &NodeState) -> anyhow::Result<()> {
        let with_programs = state.devices.iter().filter(|(_, device)| hooks(device).is_some());
        Ok(dataplane.retain_devices(&with_programs.map(|(ifindex, _)| *ifindex).collect())?)
    }

    /// Forgets what is no more, here and whatever an earlier agent left.
    fn trim(&mut self, maps: &mut Maps, state: &NodeState, pods: &Bindings) -> anyhow::Result<()> {
        let wanted = devices(state, pods);
        for ifindex in maps.devices()?.into_keys().filter(|ifindex| !wanted.contains_key(ifindex)) {
            maps.remove_device(ifindex).context("the table of interfaces")?;
            self.devices.remove(&ifindex);
        }
        self.followed = Some((state.clone(), pods.clone()));
        Ok(())
    }
}

fn hooks(device: &DeviceInfo) -> Option<Hooks> {
    match device.role {
        Role::Loopback => Some(Hooks::Loopback),
        Role::Pod => Some(Hooks::Pod),
        Role::Uplink if device.no_mac => Some(Hooks::Tunnel),
        Role::Uplink => Some(Hooks::Uplink),
        Role::Other => None,
    }
}

fn devices(state: &NodeState, pods: &Bindings) -> BTreeMap<u32, Device> {
    let primary = |family| table_addr(primary_address(state, family));
    let has_overlay = state.devices.values().any(takes_packets_out_of_others);
    let node = Device {
        ipv4: primary(Family::V4),
        ipv6: primary(Family::V6),
        flags: if has_overlay { device_flags::OVERLAY } else { 0 },
        ..Device::default()
    };
    let entry = |(ifindex, device): (&u32, _)| (*ifindex, entry(device, pods.behind(*ifindex)));
    state.devices.iter().map(entry).chain([(NODE, node)]).collect()
}

/// VXLAN and the like, also such as IPIP, which have no link-layer header.
fn takes_packets_out_of_others(device: &DeviceInfo) -> bool {
    device.role == Role::Uplink && (device.is_overlay || device.no_mac)
}

fn entry(device: &DeviceInfo, pod_ips: impl Iterator<Item = IpAddr>) -> Device {
    let (pod_ipv4, pod_ipv6): (Vec<_>, Vec<_>) = pod_ips.partition(IpAddr::is_ipv4);
    let is_pod = device.role == Role::Pod;
    let pod_netns = device.peer_netns.filter(|_| is_pod).and_then(|number| u32::try_from(number).ok());
    let flag = |set: bool, flag: u32| if set { flag } else { 0 };
    Device {
        ipv4: table_addr(device.source(Family::V4)),
        ipv6: table_addr(device.source(Family::V6)),
        flags: flag(is_pod, device_flags::POD)
            | flag(pod_netns.is_some(), device_flags::POD_NETNS)
            | flag(device.no_mac, device_flags::NO_MAC)
            | flag(device.is_overlay, device_flags::OVERLAY),
        netns: pod_netns.unwrap_or_default(),
        pod_ipv4: table_addr(pod_ipv4.first().copied()),
        pod_ipv6: table_addr(pod_ipv6.first().copied()),
    }
}

fn table_addr(ip: Option<IpAddr>) -> Addr {
    ip.map_or(Addr::UNSPECIFIED, Addr::from)
}
