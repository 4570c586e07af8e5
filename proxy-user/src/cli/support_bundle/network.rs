//! Interfaces and routes of this network namespace.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Context as _;
use futures::TryStreamExt as _;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::{Handle, new_connection};
use serde::Serialize;
use tokio::runtime::Builder;

use crate::cli::output;

/// Interfaces and routes as JSON, so many of each at most.
pub(super) fn read(limit: usize) -> (anyhow::Result<String>, anyhow::Result<String>) {
    let asked = Builder::new_current_thread().enable_all().build().context("can't ask rtnetlink").and_then(|runtime| {
        runtime.block_on(async {
            let (connection, handle, _) = new_connection().context("can't open an rtnetlink socket")?;
            tokio::spawn(connection);
            Ok((interfaces(&handle, limit).await, routes(&handle, limit).await))
        })
    });
    asked.unwrap_or_else(|error: anyhow::Error| {
        let text = format!("{error:#}");
        (Err(error), Err(anyhow::Error::msg(text)))
    })
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Interface {
    index: u32,
    name: String,
    /// The driver's name: `veth`, `bridge`; absent for hardware.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    up: bool,
    mtu: u32,
    /// Index of the bridge or bond it is a port of.
    #[serde(skip_serializing_if = "Option::is_none")]
    master: Option<u32>,
    /// Index of the other end, or of what lies below.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<u32>,
    /// Number of the network namespace where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_netns: Option<i32>,
    addresses: Vec<String>,
}

async fn interfaces(handle: &Handle, limit: usize) -> anyhow::Result<String> {
    let mut addresses = BTreeMap::<u32, Vec<String>>::new();
    let mut told = handle.address().get().execute();
    while let Some(message) = told.try_next().await.context("list the addresses")? {
        addresses.entry(message.header.index).or_default().extend(address(&message));
    }
    let (mut interfaces, mut told) = (Vec::new(), handle.link().get().execute());
    while let Some(message) = told.try_next().await.context("list the interfaces")? {
        let addresses = addresses.remove(&message.header.index).unwrap_or_default();
        interfaces.push(Interface { addresses, ..interface(&message) });
    }
    output::sample("InterfaceList", &interfaces, limit)
}

fn interface(message: &LinkMessage) -> Interface {
    let up = message.header.flags.contains(LinkFlags::Up);
    let mut interface = Interface { index: message.header.index, up, ..Interface::default() };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            LinkAttribute::Controller(index) => interface.master = Some(*index),
            LinkAttribute::Link(index) => interface.link = Some(*index),
            LinkAttribute::LinkNetNsId(id) => interface.link_netns = Some(*id),
            LinkAttribute::LinkInfo(infos) => {
                let kind =
                    |info: &LinkInfo| if let LinkInfo::Kind(kind) = info { Some(kind.to_string()) } else { None };
                interface.kind = infos.iter().find_map(kind);
            }
            _ => {}
        }
    }
    interface
}

/// Of a point-to-point interface the address attribute is the other end's.
fn address(message: &AddressMessage) -> Option<String> {
    let own = |attribute: &AddressAttribute| if let AddressAttribute::Local(ip) = attribute { Some(*ip) } else { None };
    let any =
        |attribute: &AddressAttribute| if let AddressAttribute::Address(ip) = attribute { Some(*ip) } else { None };
    let attributes = &message.attributes;
    let ip: IpAddr = attributes.iter().find_map(own).or_else(|| attributes.iter().find_map(any))?;
    Some(format!("{ip}/{}", message.header.prefix_len))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Route {
    family: &'static str,
    /// `ADDRESS/BITS`, or `default`.
    to: String,
    r#type: String,
    table: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    /// Index of the interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
    /// Ways out of a route that has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    ways: Option<usize>,
}

async fn routes(handle: &Handle, limit: usize) -> anyhow::Result<String> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let mut told = handle.route().get(question).execute();
        while let Some(message) = told.try_next().await.context("list the routes")? {
            routes.push(route(&message));
        }
    }
    output::sample("RouteList", &routes, limit)
}

fn route(message: &RouteMessage) -> Route {
    let header = &message.header;
    let family = if header.address_family == AddressFamily::Inet { "IPv4" } else { "IPv6" };
    let mut route = Route {
        family,
        to: "default".to_owned(),
        r#type: format!("{:?}", header.kind),
        table: u32::from(header.table),
        gateway: None,
        interface: None,
        source: None,
        metric: None,
        ways: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => {
                if let Some(ip) = ip(to) {
                    route.to = format!("{ip}/{}", header.destination_prefix_length);
                }
            }
            RouteAttribute::Gateway(gateway) => route.gateway = ip(gateway),
            RouteAttribute::PrefSource(source) => route.source = ip(source),
            RouteAttribute::Oif(index) => route.interface = Some(*index),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(metric) => route.metric = Some(*metric),
            RouteAttribute::MultiPath(hops) => route.ways = Some(hops.len()),
            _ => {}
        }
    }
    route
}

const fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}
