//! What a kube-proxy leaves on a node.

use anyhow::Result;
use lab::kube_proxy::{self, ServiceRules, restore, rules, save};
use lab::{Family, Lab, Node};

use crate::scene::sluice;

fn start_kube_proxy(node: &Node) -> Result<()> {
    for (family, cidr, service, endpoints) in [
        (Family::V4, "10.244.0.0/16", "10.96.0.10:80", ["10.244.1.10:8080", "10.244.2.10:8080"]),
        (
            Family::V6,
            "fd00:10:244::/48",
            "[fd00:10:96::10]:80",
            ["[fd00:10:244:1::10]:8080", "[fd00:10:244:2::10]:8080"],
        ),
    ] {
        let service = ServiceRules {
            name: "default/web:http",
            cluster_ip: service.parse()?,
            node_port: 30_080,
            endpoints: endpoints.iter().map(|endpoint| endpoint.parse()).collect::<Result<_, _>>()?,
        };
        restore(node, family, &rules(cidr, &[service]))?;
    }
    Ok(())
}

fn saved(node: &Node) -> Result<[String; 2]> {
    Ok([save(node, Family::V4)?, save(node, Family::V6)?])
}

#[test]
fn all_of_a_kube_proxy_is_removed_and_rules_of_others_stay_byte_for_byte() -> Result<()> {
    let lab = Lab::builder().build()?;
    let node = lab.node("node1")?;
    for family in Family::BOTH {
        restore(node, family, &kube_proxy::rules_of_others())?;
    }
    let before = saved(node)?;
    let doctor = || node.sluice(&["doctor"]).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    assert!(doctor()?.contains("none in iptables, nftables and IPVS"), "{}", doctor()?);
    start_kube_proxy(node)?;
    assert_ne!(saved(node)?, before);
    assert!(doctor()?.contains("16 chains in iptables-nft, 16 chains in ip6tables-nft"), "{}", doctor()?);
    let removed = sluice(node, &["cleanup", "--kube-proxy"])?;
    assert_eq!(removed, "16 chains in iptables-nft removed\n16 chains in ip6tables-nft removed\n");
    assert_eq!(saved(node)?, before);
    assert_eq!(sluice(node, &["cleanup", "--kube-proxy"])?, "", "a second time there is nothing");
    start_kube_proxy(node)?;
    assert_ne!(saved(node)?, before, "and a kube-proxy can come back");
    Ok(())
}

#[test]
fn nothing_is_removed_while_a_kube_proxy_runs() -> Result<()> {
    let lab = Lab::builder().build()?;
    let node = lab.node("node1")?;
    start_kube_proxy(node)?;
    let before = saved(node)?;
    let programs = tempfile::tempdir()?;
    let program = programs.path().join("kube-proxy");
    std::fs::copy("/bin/sleep", &program)?;
    let _running = node.spawn("kube-proxy", &program, &["60".into()])?;
    let refused = node.sluice(&["cleanup", "--kube-proxy"])?;
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && errors.contains("a kube-proxy runs here (process "), "{errors}");
    assert_eq!(saved(node)?, before);
    Ok(())
}
