//! The lab itself, without Sluice: what can reach what, and that nothing is left behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use lab::traffic::{Ask, Ping, Serve};
use lab::{Addresses, Attachment, Family, Host, Lab, LabId, Pod, Process};
use rustix::process::{Pid, Signal, kill_process};

const HTTP: u16 = 8080;
const ECHO: u16 = 7;
const UDP: u16 = 5353;

/// A pod on each node, and a second one on the first.
struct Pods {
    a1: Pod,
    a2: Pod,
    b1: Pod,
}

fn pods(lab: &Lab) -> Result<Pods> {
    let (a, b) = (lab.node("node1")?, lab.node("node2")?);
    Ok(Pods { a1: a.add_pod("a1", 10)?, a2: a.add_pod("a2", 11)?, b1: b.add_pod("b1", 10)? })
}

fn serve(host: &Host) -> Result<Process> {
    let job = Serve { name: host.name().into(), http: vec![HTTP], echo: vec![ECHO], udp: vec![UDP] };
    Ok(host.serve(&job)?)
}

fn at(addresses: Addresses, family: Family, port: u16) -> SocketAddr {
    SocketAddr::new(addresses.of(family), port)
}

#[test]
fn pods_reach_each_other_on_one_node_and_across_nodes() -> Result<()> {
    for attachment in Attachment::BOTH {
        let lab = Lab::builder().attachment(attachment).build()?;
        let pods = pods(&lab)?;
        let _servers = [serve(&pods.a2)?, serve(&pods.b1)?];
        for (server, family) in
            [&pods.a2, &pods.b1].into_iter().flat_map(|pod| Family::BOTH.map(|family| (pod, family)))
        {
            let client = pods.a1.addresses().of(family);
            let http = pods.a1.http_get(at(server.addresses(), family, HTTP))?;
            assert_eq!((http.pod.as_str(), http.client.ip()), (server.name(), client), "{attachment:?}");
            let udp = pods.a1.udp_get(at(server.addresses(), family, UDP))?;
            assert_eq!((udp.pod.as_str(), udp.client.ip()), (server.name(), client), "{attachment:?}");
        }
    }
    Ok(())
}

#[test]
fn client_and_nodes_reach_each_other_through_the_router() -> Result<()> {
    let lab = Lab::builder().build()?;
    for node in lab.nodes() {
        let _server = serve(node)?;
        for family in Family::BOTH {
            let answer = lab.client().http_get(at(node.addresses(), family, HTTP))?;
            assert_eq!(answer.client.ip(), lab.client_addresses().of(family));
            let ping = if family == Family::V4 { "-4" } else { "-6" };
            let hops = lab.client().run(&["ip", ping, "route", "get", &node.addresses().of(family).to_string()])?;
            assert!(hops.contains(" via "), "the client is outside: {hops}");
        }
    }
    Ok(())
}

#[test]
fn client_does_not_reach_pods() -> Result<()> {
    for attachment in Attachment::BOTH {
        let lab = Lab::builder().attachment(attachment).build()?;
        let pod = lab.node("node1")?.add_pod("a1", 10)?;
        let _server = serve(&pod)?;
        for family in Family::BOTH {
            let refused = lab.client().http_get(at(pod.addresses(), family, HTTP)).unwrap_err();
            assert_eq!(refused.errno(), Some("ENETUNREACH"), "{attachment:?} {family}");
        }
    }
    Ok(())
}

#[test]
fn node_reaches_its_own_pods() -> Result<()> {
    for attachment in Attachment::BOTH {
        let lab = Lab::builder().attachment(attachment).build()?;
        let node = lab.node("node1")?;
        let pod = node.add_pod("a1", 10)?;
        let _server = serve(&pod)?;
        for family in Family::BOTH {
            assert_eq!(node.http_get(at(pod.addresses(), family, HTTP))?.pod, "a1", "{attachment:?} {family}");
        }
    }
    Ok(())
}

#[test]
fn answers_show_both_ends_of_the_connection() -> Result<()> {
    let lab = Lab::builder().build()?;
    let pods = pods(&lab)?;
    let _server = serve(&pods.b1)?;
    for family in Family::BOTH {
        let to = at(pods.b1.addresses(), family, HTTP);
        let from = at(pods.a1.addresses(), family, 40_000);
        let answer = pods.a1.http(&Ask::new(to).from(from).times(3).one_socket())?;
        assert_eq!((answer.client, answer.local), (from, Some(to)));
        assert_eq!((answer.sockname, answer.peername), (from, to));
        let to = at(pods.b1.addresses(), family, UDP);
        let answer = pods.a1.udp(&Ask::new(to).from(from).unconnected())?;
        assert_eq!((answer.client, answer.peername), (from, to));
    }
    let mapped = pods.a1.http(&Ask::new(at(pods.b1.addresses(), Family::V4, HTTP)).mapped())?;
    assert_eq!(mapped.client.ip(), pods.a1.addresses().of(Family::V4));
    Ok(())
}

#[test]
fn failures_carry_the_name_of_the_kernels_error() -> Result<()> {
    let lab = Lab::builder().segment_mtu(1400).build()?;
    let pods = pods(&lab)?;
    let _server = serve(&pods.b1)?;
    for family in Family::BOTH {
        let closed = at(pods.b1.addresses(), family, 1);
        assert_eq!(pods.a1.http_get(closed).unwrap_err().errno(), Some("ECONNREFUSED"));
        assert_eq!(pods.a1.udp_get(closed).unwrap_err().errno(), Some("ECONNREFUSED"));
        let too_long = Ask::new(at(pods.b1.addresses(), family, UDP)).send(70_000);
        assert_eq!(pods.a1.udp(&too_long).unwrap_err().errno(), Some("EMSGSIZE"));
    }
    let nobody = SocketAddr::new(IpAddr::from([192, 0, 2, 99]), HTTP);
    let silent = Ask::new(nobody).timeout(Duration::from_millis(200));
    assert_eq!(lab.client().http(&silent).unwrap_err().errno(), Some("timeout"));
    Ok(())
}

#[test]
fn large_transfers_pass_a_link_with_a_smaller_mtu() -> Result<()> {
    for offload in [true, false] {
        let lab = Lab::builder().segment_mtu(1400).offload(offload).build()?;
        let pods = pods(&lab)?;
        let _server = serve(&pods.b1)?;
        for family in Family::BOTH {
            let to = at(pods.b1.addresses(), family, HTTP);
            pods.a1.http(&Ask::new(to).send(200_000).receive(200_000))?;
            let route = pods.a1.run(&["ip", "route", "get", &to.ip().to_string()])?;
            assert!(route.contains("mtu 1400"), "offload {offload}: the path's MTU was discovered: {route}");
        }
    }
    Ok(())
}

#[test]
fn long_lived_connections_report_what_they_noticed() -> Result<()> {
    let lab = Lab::builder().build()?;
    let pods = pods(&lab)?;
    let mut server = serve(&pods.b1)?;
    let ping = pods.a1.ping(&Ping::new(at(pods.b1.addresses(), Family::V6, ECHO)).connections(3))?;
    std::thread::sleep(Duration::from_millis(100));
    let report = ping.stop()?;
    assert!(report.failures.is_empty() && report.sent > 10, "{report:?}");
    assert_eq!(report.sent, report.echoed);

    let ping = pods.a1.ping(&Ping::new(at(pods.b1.addresses(), Family::V4, ECHO)).connections(2))?;
    server.signal(Signal::KILL)?;
    server.wait(Duration::from_secs(5))?;
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(ping.stop()?.failures.len(), 2, "both connections broke");
    Ok(())
}

#[test]
fn programs_run_in_their_hosts_cgroup() -> Result<()> {
    let lab = Lab::builder().build()?;
    let node = lab.node("node1")?;
    let pod = node.add_pod("a1", 10)?;
    for host in [&**node, &*pod, lab.client()] {
        let cgroup = host.run(&["cat", "/proc/self/cgroup"])?;
        let expected = format!("sluice-lab{}/", lab.id());
        let line = cgroup.lines().find(|line| line.starts_with("0::")).unwrap_or_default();
        assert!(line.contains(&expected) && host.cgroup().ends_with(line[3..].trim_start_matches('/')), "{cgroup}");
    }
    assert!(pod.cgroup().starts_with(node.cgroup_root()));
    Ok(())
}

#[test]
fn removed_pod_is_gone_and_its_addresses_can_be_used_again() -> Result<()> {
    for attachment in Attachment::BOTH {
        let lab = Lab::builder().attachment(attachment).build()?;
        let node = lab.node("node1")?;
        let pod = node.add_pod("first", 10)?;
        let device = pod.host_device();
        pod.remove()?;
        assert!(node.run(&["ip", "link", "show", &device]).is_err(), "its interface is gone");
        let pod = node.add_pod("second", 10)?;
        let _server = serve(&pod)?;
        assert_eq!(node.http_get(at(pod.addresses(), Family::V4, HTTP))?.pod, "second");
    }
    Ok(())
}

#[test]
fn lab_leaves_nothing_behind() -> Result<()> {
    let lab = Lab::builder().build()?;
    let id = lab.id();
    let pod = lab.node("node1")?.add_pod("a1", 10)?;
    let server = serve(&pod)?;
    let process = format!("/proc/{}", server.pid());
    assert!(!left_behind(id)?.is_empty(), "a running lab is seen");
    // A lab goes with all its processes, also with those that nobody holds.
    std::mem::forget(server);
    drop(lab);
    assert_eq!(left_behind(id)?, Vec::<String>::new());
    let state = fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "its server was killed: {state}");
    Ok(())
}

#[test]
fn panicking_test_leaves_nothing_behind() -> Result<()> {
    let lab = Lab::builder().build()?;
    let id = lab.id();
    let result = std::thread::spawn(move || {
        let _lab = lab;
        panic!("as a failing test does");
    });
    assert!(result.join().is_err());
    assert_eq!(left_behind(id)?, Vec::<String>::new());
    Ok(())
}

/// A process of its own with a lab, for the tests below to end.
#[test]
#[ignore = "a part of the tests that end it"]
fn process_with_a_lab() -> Result<()> {
    let lab = Lab::builder().build()?;
    let pod = lab.node("node1")?.add_pod("a1", 10)?;
    let _server = serve(&pod)?;
    println!("\nlab {}", lab.id());
    std::thread::sleep(Duration::from_secs(30));
    Ok(())
}

fn end_process_with_a_lab(signal: Signal) -> Result<(LabId, ExitStatus)> {
    let arguments = ["--exact", "process_with_a_lab", "--ignored", "--nocapture"];
    let mut process =
        Command::new(std::env::current_exe()?).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let output = BufReader::new(process.stdout.take().expect("it is piped"));
    let number = output.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("lab ")?.parse().ok());
    let id = lab::existing::find(Some(number.expect("it says its lab's number")))?;
    kill_process(Pid::from_child(&process), signal)?;
    Ok((id, process.wait()?))
}

#[test]
fn interrupted_process_leaves_nothing_behind() -> Result<()> {
    for signal in [Signal::INT, Signal::TERM] {
        let (id, status) = end_process_with_a_lab(signal)?;
        assert_eq!(status.code(), Some(130));
        assert_eq!(left_behind(id)?, Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn lab_of_a_killed_process_is_removed_when_the_next_one_starts() -> Result<()> {
    let (id, _) = end_process_with_a_lab(Signal::KILL)?;
    let _next = Lab::builder().build()?;
    assert_eq!(left_behind(id)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn two_labs_run_side_by_side() -> Result<()> {
    let labs = [Lab::builder().build()?, Lab::builder().build()?];
    let servers: Vec<_> = labs.iter().map(|lab| serve(lab.client())).collect::<Result<_>>()?;
    for lab in &labs {
        let client = at(lab.client_addresses(), Family::V4, HTTP);
        assert_eq!(lab.node("node1")?.http_get(client)?.pod, "client");
    }
    drop(servers);
    Ok(())
}

#[test]
fn kept_lab_is_found_and_removed_by_its_number() -> Result<()> {
    let lab = Lab::builder().build()?;
    let id = lab.id();
    lab.keep()?;
    drop(lab);
    drop(Lab::builder().build()?); // starting another one spares it
    let (_, hosts) = lab::existing::list()?.into_iter().find(|(found, _)| *found == id).expect("it is listed");
    assert_eq!(hosts, ["client", "node1", "node2", "wire"]);
    assert!(Host::find(id, "node2")?.run(&["ip", "address"])?.contains("192.0.2.12/24"));
    lab::existing::down(id)?;
    assert_eq!(left_behind(id)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn lab_of_a_running_process_is_not_taken_down() -> Result<()> {
    let lab = Lab::builder().build()?;
    assert!(matches!(lab::existing::down(lab.id()), Err(lab::Error::InUse(_))));
    lab.client().run(&["true"])?;
    Ok(())
}

#[test]
fn lab_comes_up_and_goes_in_seconds() -> Result<()> {
    let started = Instant::now();
    let lab = Lab::builder().build()?;
    let up = started.elapsed();
    drop(lab);
    println!("up in {up:?}, up and down in {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(10));
    Ok(())
}

/// All on this machine that carries a lab's number.
fn left_behind(id: LabId) -> Result<Vec<String>> {
    let name = format!("sluice-lab{id}");
    let mut left: Vec<_> = fs::read_dir("/run/netns")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|netns| netns.starts_with(&format!("{name}-")))
        .collect();
    let dir = id.dir().display().to_string();
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    left.extend(mounts.lines().filter(|line| line.contains(&format!(" {dir}/"))).map(ToOwned::to_owned));
    let paths: [PathBuf; 2] = [id.dir(), id.cgroup()?];
    left.extend(paths.iter().filter(|path| path.exists()).map(|path| path.display().to_string()));
    Ok(left)
}
