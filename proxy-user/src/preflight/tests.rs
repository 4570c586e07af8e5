use super::*;

fn needs() -> Needs {
    Needs { mode: Mode::Ebpf, bpffs: "/sys/fs/bpf/sluice".into(), cgroup: None, socket_lb: SocketLb::On }
}

fn find<'a>(checks: &'a [Check], name: &str) -> Option<&'a Check> {
    checks.iter().find(|check| check.name == name)
}

/// The tests that run as root on a supported kernel: what they need must be found there.
#[test]
fn a_supported_kernel_passes_as_root() {
    let checks = preflight(&needs());
    let failures: Vec<_> = checks.iter().filter(|check| check.outcome == Outcome::Fail).collect();
    assert!(failures.is_empty(), "{failures:?}");
    let hooks = &find(&checks, "socket hooks").unwrap().found;
    assert!(hooks.contains("connect4") && hooks.contains("getpeername6"), "{hooks}");
}

#[test]
fn a_directory_that_is_not_cgroup_v2_fails_unless_sockets_are_left_alone() {
    let with = |socket_lb| Needs { cgroup: Some("/proc".into()), socket_lb, ..needs() };
    let outcome = |socket_lb| find(&preflight(&with(socket_lb)), "cgroup v2").unwrap().outcome;
    assert_eq!(outcome(SocketLb::On), Outcome::Fail);
    assert_eq!(outcome(SocketLb::Off), Outcome::Ok);
}

#[test]
fn socket_hooks_are_not_tried_where_sockets_are_left_alone() {
    assert!(find(&preflight(&Needs { socket_lb: SocketLb::Off, ..needs() }), "socket hooks").is_none());
}

#[test]
fn an_agent_is_told_what_is_missing_and_how_to_mend_it() {
    let error = require(&Needs { cgroup: Some("/proc".into()), ..needs() }).unwrap_err().to_string();
    assert!(error.contains("cgroup v2: /proc is not cgroup v2; mount one"), "{error}");
}

#[test]
fn rules_are_picked_only_where_programs_can_not_serve_and_it_is_said_why() {
    let auto = |cgroup: Option<&str>| Needs { mode: Mode::Auto, cgroup: cgroup.map(Into::into), ..needs() };
    assert_eq!(pick(&needs()), None, "there is nothing to pick");
    assert_eq!(pick(&auto(None)).unwrap().mode, DataplaneMode::Ebpf);
    let picked = pick(&auto(Some("/proc"))).unwrap();
    assert_eq!(picked.mode, DataplaneMode::Iptables);
    assert_eq!(picked.reason, "programs can't serve here: cgroup v2: /proc is not cgroup v2");
}

#[test]
fn what_only_programs_need_is_not_looked_for_where_rules_serve() {
    let checks = preflight(&Needs { mode: Mode::Iptables, ..needs() });
    assert!(find(&checks, "cgroup v2").is_none() && find(&checks, "tc helpers").is_none());
    assert!(find(&checks, "map types").is_some() && find(&checks, "iptables tools").is_some());
}
