//! A Service may get and lose ports, change its type and its address, go and come back: what it has is served, and nothing
//! else. Another Service of the same pods doesn't notice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use lab::manifests::build::{HTTP, UDP, client, file, http, on_nodes, pod, service};
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, Lab, eventually};
use serde_json::{Value, json};

use crate::protocol::Protocol;
use crate::story;

const NODE_PORT: u16 = 30_080;
/// How long a client waits for an answer that may not come.
const SILENCE: Duration = Duration::from_millis(200);

/// Where the Service may be asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Http,
    Dns,
    Admin,
    HttpOnNodes,
    DnsOnNodes,
    HttpElsewhere,
}

use Place::{Admin, Dns, DnsOnNodes, Http, HttpElsewhere, HttpOnNodes};

const PLACES: [Place; 6] = [Http, Dns, Admin, HttpOnNodes, DnsOnNodes, HttpElsewhere];

impl Place {
    fn protocol(self) -> Protocol {
        if matches!(self, Dns | DnsOnNodes) { Protocol::Udp } else { Protocol::Tcp }
    }

    fn address(self, cluster: &Cluster, family: Family) -> Result<SocketAddr> {
        let mut address = cluster.cluster_ip("other", family)?;
        match (self, family) {
            (HttpOnNodes | DnsOnNodes, _) => {
                address = SocketAddr::new(cluster.lab().node("node2")?.addresses().of(family), NODE_PORT);
            }
            (HttpElsewhere, Family::V4) => address.set_ip("10.96.0.11".parse()?),
            (HttpElsewhere, Family::V6) => address.set_ip("fd00:10:96::11".parse()?),
            (_, Family::V4) => address.set_ip("10.96.0.10".parse()?),
            (_, Family::V6) => address.set_ip("fd00:10:96::10".parse()?),
        }
        if self == Admin {
            address.set_port(81);
        }
        Ok(address)
    }
}

/// What becomes of the Service, and where it is served then.
fn chapters() -> Vec<(&'static str, Option<Value>, &'static [Place])> {
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": HTTP},
        {"name": "dns", "port": 80, "protocol": "UDP", "targetPort": UDP},
        {"name": "admin", "port": 81, "targetPort": HTTP},
    ]);
    let with = |names: &[&str]| {
        let chosen =
            ports.as_array().into_iter().flatten().filter(|port| names.iter().any(|name| port["name"] == *name));
        service("web", 10, &chosen.cloned().collect())
    };
    let mut external_name = with(&["http"]);
    external_name["spec"]["type"] = "ExternalName".into();
    external_name["spec"]["externalName"] = "web.example.com".into();
    let mut another_proxys = on_nodes(with(&["http"]), &[NODE_PORT]);
    another_proxys["metadata"]["labels"] = json!({"service.kubernetes.io/service-proxy-name": "other"});
    let mut headless = with(&[]);
    headless["spec"] = json!({"clusterIP": "None", "selector": {"app": "web"}, "ports": http()});
    let mut elsewhere = service("web", 11, &http());
    elsewhere["spec"]["selector"]["app"] = "web".into();
    vec![
        ("it comes", Some(with(&["http"])), &[Http]),
        ("it gets a port", Some(with(&["http", "admin"])), &[Http, Admin]),
        ("another for the same number", Some(with(&["http", "dns"])), &[Http, Dns]),
        ("on nodes", Some(on_nodes(with(&["http", "dns"]), &[NODE_PORT; 2])), &[Http, Dns, HttpOnNodes, DnsOnNodes]),
        ("without TCP", Some(on_nodes(with(&["dns"]), &[NODE_PORT])), &[Dns, DnsOnNodes]),
        ("without nodes", Some(with(&["http"])), &[Http]),
        ("as a name", Some(external_name), &[]),
        ("on nodes again", Some(on_nodes(with(&["http"]), &[NODE_PORT])), &[Http, HttpOnNodes]),
        ("another proxy's", Some(another_proxys), &[]),
        ("ours again", Some(with(&["http"])), &[Http]),
        ("headless", Some(headless), &[]),
        ("it goes", None, &[]),
        ("it comes back elsewhere", Some(elsewhere), &[HttpElsewhere]),
    ]
}

#[test]
fn what_a_service_has_is_served_and_nothing_else() -> Result<()> {
    story::on_nodes(2, prepare, |cluster| {
        for (what, service, served) in chapters() {
            println!("{what}");
            match service {
                Some(service) => cluster.lab().manifests().write("web.yaml", &file(&[service]))?,
                None => cluster.lab().manifests().remove("web.yaml")?,
            }
            let expected = names(cluster, |_, _, place| Ok(served.contains(&place)))?;
            eventually::<_, anyhow::Error>(what, &expected, || names(cluster, answers))?;
            for family in Family::BOTH {
                Protocol::Tcp
                    .answers(cluster.pod("asker")?, &Ask::new(cluster.cluster_ip("other", family)?).times(4))?;
            }
        }
        Ok(())
    })
}

fn prepare(lab: &Lab) -> Result<()> {
    let mut other = service("other", 20, &http());
    other["spec"]["selector"]["app"] = "web".into();
    let objects = [pod("web-1", "web", 1, 10), pod("web-2", "web", 2, 10), client("asker", 1, 20), other];
    Ok(lab.manifests().write("cluster.yaml", &file(&objects))?)
}

/// Who is answered where: a pod and a node, in both families.
fn names(
    cluster: &Cluster,
    is_one: impl Fn(&Host, SocketAddr, Place) -> Result<bool>,
) -> Result<BTreeSet<(String, Place)>> {
    let hosts: [&Host; 2] = [cluster.pod("asker")?, cluster.lab().node("node1")?];
    let mut names = BTreeSet::new();
    for (host, family) in hosts.into_iter().flat_map(|host| Family::BOTH.map(|family| (host, family))) {
        for place in PLACES {
            if is_one(host, place.address(cluster, family)?, place)? {
                names.insert((format!("{host} over {family}"), place));
            }
        }
    }
    Ok(names)
}

fn answers(host: &Host, to: SocketAddr, place: Place) -> Result<bool> {
    Ok(place.protocol().error(host, &Ask::new(to).timeout(SILENCE))?.starts_with("an answer"))
}
