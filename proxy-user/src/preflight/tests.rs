use super::*;

fn needs() -> Needs {
    Needs { bpffs: "/sys/fs/bpf/sluice".into(), cgroup: None, socket_lb: SocketLb::On }
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
