//! NetworkPolicies on their way from the manifests to the tables, and which pod the agent takes an interface for.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use lab::{AgentOptions, Attachment, Cluster, Lab, Node, SocketLb};
use proxy_common::addr::Addr;
use proxy_common::drop::Reason;
use proxy_common::tables::{Policing, pod_network_flags};

use crate::support::eventually;
use crate::support::objects::{HTTP, client, file, pod};
use crate::support::policies::{device, identity, ifindex, judged, node_object, only, pinned};
use crate::support::status::{Held, Policy, status};

/// A web server and its client on node1, and the Node object of node1.
fn lab(attachment: Attachment) -> Result<Lab> {
    let lab = Lab::builder().attachment(attachment).build()?;
    let node = node_object(lab.node("node1")?);
    let objects = [node, pod("web-1", "web", 1, 10), client("asker", 1, 20)];
    lab.manifests().write("cluster.yaml", &file(&objects))?;
    Ok(lab)
}

fn cluster() -> Result<Cluster> {
    Ok(Cluster::start(lab(Attachment::Routed)?, SocketLb::On)?)
}

fn policy_status(node: &Node) -> Result<Policy> {
    Ok(status(node)?.agent()?.policy)
}

/// What policies make of an address now.
fn policing(node: &Node, ip: IpAddr) -> Result<Option<Policing>> {
    let generation = pinned(node)?.policies.generation()?;
    Ok(identity(node, ip)?.map(|identity| identity.at(generation)))
}

fn errors(node: &Node) -> Result<Vec<String>> {
    Ok(status(node)?.agent()?.errors)
}

#[test]
fn a_policy_isolates_the_pods_it_selects_for_as_long_as_it_is_there() -> Result<()> {
    let cluster = cluster()?;
    let node = cluster.lab().node("node1")?;
    let [web, asker] = ["web-1", "asker"].map(|name| cluster.pod(name).map(lab::Pod::addresses));
    let (web, asker) = (web?, asker?);
    let seen = || {
        let tables = pinned(node)?;
        let verdicts = [(asker, HTTP), (asker, 81), (web, HTTP)].map(|(from, port)| {
            let pairs = from.iter().zip(web.iter());
            pairs.map(|(from, to)| judged(&tables, from, to, port)).collect::<Result<Vec<_>>>()
        });
        verdicts.into_iter().collect::<Result<Vec<_>>>()
    };
    let (passes, denied) = (vec![Ok(()); 2], vec![Err(Reason::PolicyIngress); 2]);
    assert_eq!(seen()?, [passes.clone(), passes.clone(), passes.clone()]);
    cluster.lab().manifests().write("policy.yaml", &file(&[only("web", "web", "client", HTTP)]))?;
    // The last is the pod itself, which can't keep itself out.
    eventually("the policy", &vec![passes.clone(), denied, passes.clone()], seen)?;
    let Policy { policies, policed_pods, generation, .. } = policy_status(node)?;
    assert_eq!((policies, policed_pods), (1, 1));
    assert!(policing(node, asker.v4.into())?.is_some_and(|policing| !policing.is_policed()));
    cluster.lab().manifests().remove("policy.yaml")?;
    eventually("no policy", &vec![passes.clone(), passes.clone(), passes], seen)?;
    let after = policy_status(node)?;
    assert_eq!((after.policies, after.policed_pods), (0, 0));
    assert!(after.generation > generation, "{generation} and then {}", after.generation);
    Ok(())
}

#[test]
fn the_programs_know_which_pod_is_behind_which_interface() -> Result<()> {
    for attachment in Attachment::BOTH {
        let cluster = Cluster::start(lab(attachment)?, SocketLb::On)?;
        let node = cluster.lab().node("node1")?;
        for name in ["web-1", "asker"] {
            let pod = cluster.pod(name)?;
            let device = device(node, pod)?;
            let ips = pod.addresses();
            let expected = [IpAddr::from(ips.v4), ips.v6.into()].map(Addr::from);
            assert_eq!([device.pod_ipv4, device.pod_ipv6], expected, "{attachment:?} {name}");
            for ip in ips.iter() {
                let identity = identity(node, ip)?.expect("a pod of this node");
                assert!(identity.is_local(), "{attachment:?} {name}: {identity:?}");
                assert_eq!(identity.ifindex, ifindex(node, pod)?, "{attachment:?} {name}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_pod_that_takes_another_s_address_is_not_taken_for_it() -> Result<()> {
    // Attached to a bridge, a pod is known by the addresses inside it and by nothing else.
    let mut cluster = Cluster::start(lab(Attachment::Bridge)?, SocketLb::On)?;
    let (web, asker) = (cluster.pod("web-1")?.clone(), cluster.pod("asker")?.clone());
    let node = cluster.lab().node("node1")?;
    let before = (device(node, &web)?, device(node, &asker)?);
    asker.run(&["ip", "addr", "add", &format!("{}/24", web.addresses().v4), "dev", "eth0"])?;
    // When this one is known, what was told before it is too.
    let late = node.add_pod("late", 30)?;
    cluster.lab().manifests().write("late.yaml", &file(&[client("late", 1, 30)]))?;
    let late_ip = Addr::from(IpAddr::from(late.addresses().v4));
    eventually("the pod behind a new interface", &late_ip, || Ok(device(node, &late)?.pod_ipv4))?;
    assert_eq!((device(node, &web)?, device(node, &asker)?), before);
    cluster.agents()[0].kill()?;
    cluster.agents()[0].restart()?;
    let node = cluster.lab().node("node1")?;
    assert_eq!((device(node, &web)?, device(node, &asker)?), before, "nor by the next agent");
    Ok(())
}

#[test]
fn an_unknown_pod_is_held_until_its_object_comes() -> Result<()> {
    for attachment in Attachment::BOTH {
        let lab = lab(attachment)?;
        lab.manifests().write("policy.yaml", &file(&[only("web", "web", "client", HTTP)]))?;
        let cluster = Cluster::start(lab, SocketLb::On)?;
        let node = cluster.lab().node("node1")?;
        assert_eq!(policy_status(node)?.held, [], "{attachment:?}");
        let late = node.add_pod("late", 30)?;
        let mut held: Vec<_> = late.addresses().iter().map(|ip| Held { ip, device: late.host_device() }).collect();
        held.sort();
        eventually("who is held", &held, || {
            let mut held = policy_status(node)?.held;
            held.sort();
            Ok(held)
        })?;
        let web = cluster.pod("web-1")?.addresses().v4.into();
        let asked = || judged(&pinned(node)?, late.addresses().v4.into(), web, HTTP);
        assert_eq!(asked()?, Err(Reason::UnknownPod), "{attachment:?}");
        cluster.lab().manifests().write("late.yaml", &file(&[client("late", 1, 30)]))?;
        eventually("nobody held", &vec![], || Ok(policy_status(node)?.held))?;
        assert_eq!(asked()?, Ok(()), "{attachment:?}");
        let ip = Addr::from(IpAddr::from(late.addresses().v4));
        assert_eq!(device(node, &late)?.pod_ipv4, ip, "{attachment:?}");
        late.remove()?;
        cluster.lab().manifests().remove("late.yaml")?;
        eventually("no identity", &None, || identity(node, ip.into()))?;
    }
    Ok(())
}

#[test]
fn without_a_policy_or_when_told_so_nobody_is_held() -> Result<()> {
    for (arguments, policies) in [(&[][..], 0), (&["--unknown-pods", "allow"][..], 1)] {
        let lab = lab(Attachment::Routed)?;
        if policies > 0 {
            lab.manifests().write("policy.yaml", &file(&[only("web", "web", "client", HTTP)]))?;
        }
        let mut cluster = Cluster::without_agents(lab)?;
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        cluster.start_agents(&AgentOptions { arguments, ..SocketLb::On.into() })?;
        let node = cluster.lab().node("node1")?;
        let flags = pinned(node)?.policies.pod_network()?.flags;
        assert_eq!(flags & pod_network_flags::HOLD_UNKNOWN, 0, "{policies} policies");
        assert_eq!(policy_status(node)?.policies, policies);
    }
    Ok(())
}

#[test]
fn in_audit_mode_no_set_is_enforced() -> Result<()> {
    let lab = lab(Attachment::Routed)?;
    lab.manifests().write("policy.yaml", &file(&[only("web", "web", "client", HTTP)]))?;
    let mut cluster = Cluster::without_agents(lab)?;
    let arguments = ["--policy-mode", "audit"].map(ToOwned::to_owned).to_vec();
    cluster.start_agents(&AgentOptions { arguments, ..SocketLb::On.into() })?;
    let node = cluster.lab().node("node1")?;
    let policing = policing(node, cluster.pod("web-1")?.addresses().v4.into())?.expect("a pod of this node");
    assert_ne!(policing.ingress & Policing::AUDIT, 0);
    Ok(())
}

#[test]
fn no_verdict_changes_while_agents_are_killed_and_started() -> Result<()> {
    let lab = lab(Attachment::Routed)?;
    lab.manifests().write("policy.yaml", &file(&[only("web", "web", "client", HTTP)]))?;
    let mut cluster = Cluster::start(lab, SocketLb::On)?;
    let [web, asker] = ["web-1", "asker"].map(|name| cluster.pod(name).map(|pod| IpAddr::from(pod.addresses().v4)));
    let (web, asker) = (web?, asker?);
    let tables = pinned(cluster.lab().node("node1")?)?;
    let over = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = 0;
            while !over.load(Ordering::Relaxed) {
                let verdicts = [HTTP, 81].map(|port| judged(&tables, asker, web, port));
                let [allowed, denied] = verdicts;
                let verdicts = (allowed?, denied?);
                // Between two of the look-ups the generation may move more often than a reader tries.
                let is_moving = [verdicts.0, verdicts.1].contains(&Err(Reason::PolicyChanging));
                assert!(is_moving || verdicts == (Ok(()), Err(Reason::PolicyIngress)), "{verdicts:?}");
                seen += 1;
            }
            anyhow::Ok(seen)
        });
        let restarted: Result<()> = (0..3).try_for_each(|_| {
            cluster.agents()[0].kill()?;
            Ok(cluster.agents()[0].restart()?)
        });
        over.store(true, Ordering::Relaxed);
        let seen = watch.join().expect("a verdict changed");
        restarted.and(seen)
    })?;
    assert!(seen > 100, "{seen}");
    Ok(())
}

#[test]
fn a_manifest_that_cannot_be_read_opens_nothing() -> Result<()> {
    let lab = lab(Attachment::Routed)?;
    let policy = file(&[only("web", "web", "client", HTTP)]);
    lab.manifests().write("policy.yaml", &policy)?;
    let mut cluster = Cluster::start(lab, SocketLb::On)?;
    let [web, asker] = ["web-1", "asker"].map(|name| cluster.pod(name).map(|pod| IpAddr::from(pod.addresses().v4)));
    let (web, asker) = (web?, asker?);
    let verdict = |cluster: &Cluster| judged(&pinned(cluster.lab().node("node1")?)?, asker, web, 81);
    assert_eq!(verdict(&cluster)?, Err(Reason::PolicyIngress));

    cluster.lab().manifests().write("policy.yaml", "kind: [")?;
    let errors_now = |cluster: &Cluster| errors(cluster.lab().node("node1")?);
    eventually("an error", &1, || Ok(errors_now(&cluster)?.len()))?;
    assert_eq!(verdict(&cluster)?, Err(Reason::PolicyIngress), "what it said last is in force");
    cluster.agents()[0].kill()?;
    cluster.agents()[0].restart()?;
    assert_eq!(verdict(&cluster)?, Err(Reason::PolicyIngress), "what it said to an earlier agent is in force");
    let told = errors_now(&cluster)?;
    assert!(told.iter().any(|error| error.starts_with("NetworkPolicies stay as an earlier agent")), "{told:?}");
    let device = device(cluster.lab().node("node1")?, cluster.pod("web-1")?)?;
    assert_eq!(device.pod_ipv4, web.into(), "and the pod is held to its address");

    cluster.lab().manifests().write("policy.yaml", &file(&[only("web", "web", "client", 81)]))?;
    eventually("the mended policy", &Ok(()), || verdict(&cluster))?;
    eventually("no error", &Vec::<String>::new(), || errors_now(&cluster))?;
    Ok(())
}
