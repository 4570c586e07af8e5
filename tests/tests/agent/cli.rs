//! The command line on a running cluster, and on what a dead agent left.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Output;

use anyhow::{Context as _, Result};
use lab::traffic::{Ping, Serve};
use lab::{Cluster, Family, Host, Lab, Process, SocketLb, topology};
use serde_json::{Value, json};

use crate::support::kernel::attached;
use crate::support::objects::{HTTP, UDP, client, file, on_nodes, pod, service};
use crate::support::status::status;
use crate::support::{stderr, stdout};

const ECHO: u16 = 7;

/// Two web servers behind a Service with a named port of each kind, one of them an echo server, and a Service without
/// pods in another namespace.
fn cluster(socket_lb: SocketLb) -> Result<(Cluster, Process)> {
    let lab = Lab::builder().build()?;
    let ports = json!([
        {"name": "http", "port": 80, "targetPort": HTTP},
        {"name": "dns", "port": 53, "targetPort": UDP, "protocol": "UDP"},
    ]);
    let echo = service("echo", 11, &json!([{"port": ECHO, "targetPort": ECHO}]));
    let mut idle = service("idle", 12, &json!([{"port": 80}]));
    idle["metadata"]["namespace"] = "quiet".into();
    let objects = [
        on_nodes(service("web", 10, &ports), &[30080, 30053]),
        echo,
        idle,
        pod("web-1", "web", 1, 10),
        pod("web-2", "web", 2, 10),
        pod("echo", "echo", 2, 11),
        client("asker", 1, 20),
    ];
    lab.manifests().write("objects.yaml", &file(&objects))?;
    let cluster = Cluster::start(lab, socket_lb)?;
    let server = cluster.pod("echo")?.serve(&Serve { name: "echo".into(), echo: vec![ECHO], ..Serve::default() })?;
    Ok((cluster, server))
}

/// What a command that succeeds prints; nothing may be on standard error.
fn printed(node: &Host, arguments: &[&str]) -> Result<String> {
    let output = node.sluice(arguments)?;
    assert!(output.status.success(), "{arguments:?}: {}: {}", output.status, stderr(&output));
    assert_eq!(stderr(&output), "", "{arguments:?}");
    Ok(stdout(&output))
}

/// The rows of a table, cell by cell, titles first; cells are three spaces or more apart.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let cells = |line| str::split(line, "   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    table.lines().map(cells).collect()
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

const KINDS: [(&str, &str, &str); 4] = [
    ("services", "svc", "ServiceList"),
    ("backends", "be", "BackendList"),
    ("endpoints", "ep", "EndpointsList"),
    ("flows", "fl", "FlowList"),
];

#[test]
fn every_kind_is_printed_in_every_format_whether_the_agent_lives_or_not() -> Result<()> {
    let (mut cluster, _server) = cluster(SocketLb::Off)?;
    let ping = cluster.pod("asker")?.ping(&Ping::new(cluster.cluster_ip("echo", Family::V4)?))?;
    let mut of_living = Vec::new();
    for alive in [true, false] {
        let node = cluster.lab().node("node1")?;
        let mut printed_now = Vec::new();
        for (kind, short, list_kind) in KINDS {
            let table = printed(node, &["get", kind])?;
            assert!(rows(&table).len() > 1, "{table}");
            let wide = printed(node, &["get", short, "-o", "wide"])?;
            let (columns, all_columns) = (&rows(&table)[0], &rows(&wide)[0]);
            assert!(all_columns.starts_with(columns) && all_columns.len() > columns.len(), "{wide}");
            let list: Value = serde_json::from_str(&printed(node, &["get", kind, "-o", "json"])?)?;
            assert_eq!((&list["kind"], &list["apiVersion"]), (&list_kind.into(), &"sluice.dev/v1alpha1".into()));
            assert_eq!(items(&list).len(), rows(&table).len() - 1, "{table}");
            let yaml: Value = serde_yaml_ng::from_str(&printed(node, &["get", short, "-o", "yaml"])?)?;
            if kind != "flows" {
                // Flows move on between two commands.
                assert_eq!(yaml, list);
                printed_now.push((table, wide, list));
            }
        }
        if alive {
            of_living = printed_now;
            cluster.agents()[0].kill()?;
        } else {
            assert_eq!(printed_now, of_living, "the dead agent's tables are what they were");
        }
    }
    assert!(ping.stop()?.failures.is_empty());
    Ok(())
}

#[test]
fn services_show_their_frontends_and_how_many_endpoints_they_have() -> Result<()> {
    let (cluster, _server) = cluster(SocketLb::On)?;
    let table = printed(&cluster.lab().nodes()[0], &["get", "services"])?;
    let rows = rows(&table);
    assert_eq!(rows[0], ["NAMESPACE", "NAME", "TYPE", "PORT", "PROTOCOL", "FRONTENDS", "ENDPOINTS"]);
    for expected in [
        ["default", "echo", "ClusterIP", "<unset>", "TCP", "10.96.0.11:7", "1 (0 local)"],
        ["default", "echo", "ClusterIP", "<unset>", "TCP", "[fd00:10:96::11]:7", "1 (0 local)"],
        ["default", "web", "NodePort", "http", "TCP", "10.96.0.10:80,*:30080", "2 (1 local)"],
        ["default", "web", "NodePort", "dns", "UDP", "[fd00:10:96::10]:53,*:30053", "2 (1 local)"],
        ["quiet", "idle", "ClusterIP", "<unset>", "TCP", "10.96.0.12:80", "0 (0 local)"],
    ] {
        assert!(rows.iter().any(|row| row == &expected), "{expected:?} is not in\n{table}");
    }
    assert_eq!(rows.len(), 1 + 2 * 4, "{table}");
    Ok(())
}

#[test]
fn lists_are_narrowed_by_name_and_namespace() -> Result<()> {
    let (cluster, _server) = cluster(SocketLb::On)?;
    let node = cluster.lab().node("node1")?;
    let names = |arguments: &[&str]| -> Result<BTreeSet<String>> {
        let list: Value = serde_json::from_str(&printed(node, &[arguments, &["-o", "json"]].concat())?)?;
        items(&list).iter().map(|item| Ok(item["name"].as_str().context("no name")?.to_owned())).collect()
    };
    assert_eq!(names(&["get", "svc"])?, ["echo", "idle", "web"].map(str::to_owned).into());
    assert_eq!(names(&["get", "svc", "web"])?, ["web".to_owned()].into());
    assert_eq!(names(&["get", "ep", "-n", "quiet"])?, ["idle".to_owned()].into());
    assert_eq!(names(&["get", "be", "-n", "quiet"])?, BTreeSet::new(), "it has no backends");
    assert_eq!(names(&["get", "be", "-A"])?, ["echo", "web"].map(str::to_owned).into());
    let output = node.sluice(&["get", "svc", "-n", "nowhere"])?;
    assert!(output.status.success() && stdout(&output).is_empty());
    assert_eq!(stderr(&output), "No resources found in nowhere namespace.\n");
    for unknown in [&["get", "svc", "wob"][..], &["get", "be", "web", "-n", "quiet", "-o", "json"]] {
        let output = node.sluice(unknown)?;
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""), "{unknown:?}");
        assert_eq!(stderr(&output), format!("error: services \"{}\" not found\n", unknown[2]));
    }
    Ok(())
}

#[test]
fn endpoints_and_backends_say_which_are_local() -> Result<()> {
    let (cluster, _server) = cluster(SocketLb::On)?;
    for (node, local) in [("node1", 1), ("node2", 2)] {
        let node = cluster.lab().node(node)?;
        for (kind, address, is_local) in [("endpoints", "address", "local"), ("backends", "address", "local")] {
            let list: Value = serde_json::from_str(&printed(node, &["get", kind, "web", "-o", "json"])?)?;
            let entries: Vec<&Value> = match kind {
                "endpoints" => items(&list).iter().filter_map(|item| item["endpoints"].as_array()).flatten().collect(),
                _ => items(&list).iter().collect(),
            };
            for (number, family) in [1, 2].into_iter().flat_map(|number| Family::BOTH.map(|family| (number, family))) {
                let at = SocketAddr::new(topology::pod(number, 10).of(family), HTTP).to_string();
                let found = entries.iter().filter(|entry| entry[address] == at.as_str());
                let flags: BTreeSet<_> = found.map(|entry| entry[is_local].as_bool()).collect();
                assert_eq!(flags, [Some(number == local)].into(), "{kind} {at}");
            }
        }
    }
    Ok(())
}

#[test]
fn flows_name_the_service_and_where_they_were_translated() -> Result<()> {
    for (socket_lb, at) in [(SocketLb::Off, "packet"), (SocketLb::On, "socket")] {
        let (cluster, _server) = cluster(socket_lb)?;
        let node = cluster.lab().node("node1")?;
        for family in Family::BOTH {
            let (asker, service) = (cluster.pod("asker")?, cluster.cluster_ip("echo", family)?);
            let ping = asker.ping(&Ping::new(service))?;
            let list: Value = serde_json::from_str(&printed(node, &["get", "flows", "echo", "-o", "json"])?)?;
            let flow = items(&list).iter().find(|flow| flow["frontend"] == service.to_string());
            let flow = flow.with_context(|| format!("{socket_lb} {family}: no such flow: {list}"))?;
            assert_eq!((&flow["translatedAt"], &flow["protocol"]), (&at.into(), &"TCP".into()), "{flow}");
            assert_eq!((&flow["serviceNamespace"], &flow["serviceName"]), (&"default".into(), &"echo".into()));
            let backend = SocketAddr::new(cluster.pod("echo")?.addresses().of(family), ECHO);
            assert_eq!(flow["backend"], backend.to_string(), "{flow}");
            if socket_lb == SocketLb::Off {
                let client = flow["client"].as_str().context("no client")?.parse::<SocketAddr>()?;
                assert_eq!(client.ip(), asker.addresses().of(family));
                assert_eq!((&flow["state"], &flow["snat"]), (&"Established".into(), &Value::Null), "{flow}");
            }
            ping.stop()?;
        }
    }
    Ok(())
}

#[test]
fn status_answers_whether_an_agent_runs_and_tells_what_it_left() -> Result<()> {
    let (mut cluster, _server) = cluster(SocketLb::On)?;
    let node = cluster.lab().node("node1")?;
    let output = node.sluice(&["status"])?;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for line in ["Agent:       running", "Node:        node1", "Socket LB:   on", "Ready:       yes", "TABLE", "LINK"] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    let living = status(node)?;
    assert!(living.alive);
    let (agent, kernel) = (living.agent()?, status(node)?.kernel()?);
    assert!(agent.ready && agent.errors.is_empty());
    assert_eq!(agent.role("eth0"), Some("Uplink"));
    assert_eq!(agent.role("lo"), Some("Loopback"));
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", agent.pid))?;
    assert!(command.contains("sluice\0agent"), "{command:?}");
    assert_eq!(kernel.links.len(), attached(node)?.len(), "one link for each hook the kernel knows of");
    let services = kernel.tables.iter().find(|table| table.name == "SERVICES").context("no SERVICES")?;
    // Three cluster addresses, one of them with two ports, and two node ports; of each family.
    assert_eq!(services.entries, 2 * (4 + 2));

    cluster.agents()[0].kill()?;
    let node = cluster.lab().node("node1")?;
    let output = node.sluice(&["status"])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("Agent:       not running"), "{}", stdout(&output));
    let dead = status(node)?;
    assert!(!dead.alive && dead.agent.as_ref().is_some_and(|left| left.pid == agent.pid));
    let left = dead.kernel()?;
    assert_eq!((left.links, left.tables.len()), (kernel.links, kernel.tables.len()));
    Ok(())
}

#[test]
fn doctor_finds_nothing_that_fails_whether_the_agent_lives_or_not() -> Result<()> {
    let (mut cluster, _server) = cluster(SocketLb::On)?;
    for alive in [true, false] {
        let node = cluster.lab().node("node1")?;
        let checks: Vec<Value> = serde_json::from_str(&printed(node, &["doctor", "-o", "json"])?)?;
        let outcome = |name: &str| checks.iter().find(|check| check["name"] == name).map(|check| &check["outcome"]);
        for name in ["CAP_BPF", "CAP_NET_ADMIN", "tcx", "net.ipv4.ip_forward", "net.ipv6 forwarding", "rp_filter"] {
            assert_eq!(outcome(name), Some(&"OK".into()), "{name} in {checks:?}");
        }
        assert!(checks.iter().all(|check| check["outcome"] != "FAIL"), "{checks:?}");
        assert!(checks.iter().all(|check| check["outcome"] == "OK" || check["mend"].is_string()), "{checks:?}");
        if alive {
            cluster.agents()[0].kill()?;
        }
    }
    let node = cluster.lab().node("node1")?;
    node.run(&["sysctl", "-qw", "net.ipv4.ip_forward=0"])?;
    let output = node.sluice(&["doctor"])?;
    let said = stdout(&output);
    let warning = said.lines().find(|line| line.contains("net.ipv4.ip_forward")).unwrap_or_default();
    assert!(warning.starts_with("WARN") && said.contains("-> sysctl -w net.ipv4.ip_forward=1"), "{said}");
    let output = node.sluice(&["doctor", "--cgroup", "/proc"])?;
    assert!(output.status.code() == Some(1) && stdout(&output).contains("FAIL"), "{}", stdout(&output));
    Ok(())
}

#[test]
fn commands_without_tables_or_sense_fail_with_the_codes_they_promise() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let node = lab.node("node1")?;
    let code = |output: &Output| output.status.code();
    let output = node.sluice(&["get", "services"])?;
    assert_eq!((code(&output), stdout(&output).as_str()), (Some(1), ""));
    assert!(stderr(&output).contains(&node.bpffs().unwrap().display().to_string()), "{}", stderr(&output));
    let output = node.sluice(&["status"])?;
    assert_eq!(code(&output), Some(1));
    assert!(stdout(&output).contains("not running"), "{}", stdout(&output));
    for nonsense in [&["get"][..], &["get", "pods"], &["get", "svc", "-o", "xml"], &["explode"], &[]] {
        let output = node.sluice(nonsense)?;
        assert_eq!((code(&output), stdout(&output).as_str()), (Some(2), ""), "{nonsense:?}");
        assert!(stderr(&output).contains("--help"), "{nonsense:?}: {}", stderr(&output));
    }
    assert!(printed(node, &["version"])?.starts_with("sluice "));
    assert!(printed(node, &["completion", "bash"])?.contains("_sluice"));
    Ok(())
}
