//! The `sluice` binary as people and scripts meet it: output, streams and exit codes. Takes root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use aya::maps::{HashMap, MapData};
use proxy_user::status::Publisher;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::Value;

fn sluice(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice")).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// A bpffs of the test's own; gone when dropped.
struct Bpffs(tempfile::TempDir);

impl Bpffs {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        mount("bpf", directory.path(), "bpf", MountFlags::empty(), None).expect("these tests run as root");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn sluice(&self, arguments: &[&str]) -> Output {
        sluice(&[arguments, &["--bpffs", self.path().to_str().unwrap()]].concat())
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        unmount(self.path(), UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_command_line_that_is_not_understood_exits_with_2() {
    for arguments in
        [&["frobnicate"][..], &["get", "pods"], &["agent", "--socket-lb", "maybe"], &["get", "svc", "-A", "-n", "x"]]
    {
        let output = sluice(arguments);
        assert_eq!((code(&output), stdout(&output)), (2, ""), "{arguments:?}");
        assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
    }
}

#[test]
fn a_configuration_that_is_not_understood_exits_with_2_and_names_the_key() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"manifests: /m\nnodName: a\n").unwrap();
    let output = sluice(&["agent", "--config", file.path().to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("unknown field `nodName`"), "{}", stderr(&output));
}

#[test]
fn a_printed_configuration_is_one_that_prints_the_same() {
    let printed =
        sluice(&["agent", "--print-config", "--manifests", "/m", "--device", "eth*", "--metrics-bind-address", ""]);
    assert_eq!(code(&printed), 0);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&printed.stdout).unwrap();
    let again = sluice(&["agent", "--print-config", "--config", file.path().to_str().unwrap()]);
    assert_eq!(stdout(&again), stdout(&printed));
    assert!(stdout(&printed).contains("kind: SluiceConfiguration"));
}

#[test]
fn listing_where_no_agent_ever_started_exits_with_1_and_says_so() {
    let bpffs = Bpffs::new();
    let output = bpffs.sluice(&["get", "svc"]);
    assert_eq!((code(&output), stdout(&output)), (1, ""));
    assert!(
        stderr(&output).contains("no agent has started") && stderr(&output).contains("--bpffs"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, ""));
}

#[test]
fn status_exits_with_0_while_an_agent_runs_and_with_1_after() {
    let bpffs = Bpffs::new();
    let agent = Publisher::open(bpffs.path()).unwrap();
    let running = bpffs.sluice(&["status"]);
    assert_eq!(code(&running), 0);
    assert!(stdout(&running).starts_with("Agent:       running\n"), "{}", stdout(&running));
    agent.remove().unwrap();
    let ended = bpffs.sluice(&["status", "-o", "json"]);
    let status: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((code(&ended), &status["alive"]), (1, &Value::Bool(false)));
}

#[test]
fn cleanup_removes_what_is_pinned_and_a_second_one_finds_nothing() {
    let bpffs = Bpffs::new();
    let maps = bpffs.path().join("v1/maps");
    fs::create_dir_all(&maps).unwrap();
    HashMap::<MapData, u32, u32>::create(1, 0).unwrap().pin(maps.join("DEVICES")).unwrap();
    let others = bpffs.path().join("another-program");
    HashMap::<MapData, u32, u32>::create(1, 0).unwrap().pin(&others).unwrap();
    let first = bpffs.sluice(&["cleanup"]);
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    assert!(stdout(&first).contains("v1/maps/DEVICES removed\n"), "{}", stdout(&first));
    assert!(!bpffs.path().join("v1").exists() && others.exists());
    let second = bpffs.sluice(&["cleanup"]);
    assert_eq!((code(&second), stdout(&second)), (0, ""));
    assert!(stderr(&second).starts_with("Nothing to remove"), "{}", stderr(&second));
}

#[test]
fn an_error_names_its_cause_and_once() {
    let bpffs = Bpffs::new();
    let servers = ["--healthz-bind-address", "", "--metrics-bind-address", "", "--socket-lb", "off"];
    let output = bpffs.sluice(&[&["agent", "--manifests", "/nonexistent"], &servers[..]].concat());
    assert_eq!(code(&output), 1);
    let message = stderr(&output).lines().last().unwrap();
    assert!(message.starts_with("error: manifests: /nonexistent: "), "{message}");
    assert_eq!(message.matches("No such file or directory").count(), 1, "{message}");
    bpffs.sluice(&["cleanup"]);
}

#[test]
fn cleanup_is_refused_while_an_agent_runs() {
    let bpffs = Bpffs::new();
    fs::create_dir_all(bpffs.path().join("v1/maps")).unwrap();
    let agent = Publisher::open(bpffs.path()).unwrap();
    let output = bpffs.sluice(&["cleanup"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("nothing was removed"), "{}", stderr(&output));
    assert!(bpffs.path().join("v1/maps").exists());
    agent.remove().unwrap();
}

#[test]
fn doctor_exits_with_1_when_something_fails_and_says_how_to_mend_it() {
    let good = sluice(&["doctor", "-o", "json"]);
    let checks: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(code(&good), 0, "{checks}");
    assert_eq!(checks[0]["name"], "kernel");
    let bad = sluice(&["doctor", "--cgroup", "/proc"]);
    assert_eq!(code(&bad), 1);
    assert!(stdout(&bad).contains("FAIL") && stdout(&bad).contains("-> mount one"), "{}", stdout(&bad));
}

#[test]
fn an_unprivileged_user_is_told_what_is_missing() {
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all"])
        .args([env!("CARGO_BIN_EXE_sluice"), "doctor"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stdout(&output).contains("run as root, or add the capability BPF"), "{}", stdout(&output));
}

#[test]
fn check_needs_no_agent_and_exits_with_1_when_an_object_is_wrong() {
    let policy = |port: &str| {
        let directory = tempfile::tempdir().unwrap();
        let spec = format!("{{podSelector: {{}}, ingress: [{{ports: [{{port: {port}}}]}}]}}");
        let text =
            format!("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: a}}\nspec: {spec}\n");
        fs::write(directory.path().join("a.yaml"), text).unwrap();
        directory
    };
    let (good, bad) = (policy("80"), policy("0"));
    let [good, bad] = [&good, &bad].map(|directory| directory.path().to_str().unwrap());
    let checked = sluice(&["check", good]);
    assert_eq!(code(&checked), 0, "{}{}", stdout(&checked), stderr(&checked));
    let checked = sluice(&["check", good, bad, "-o", "json"]);
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(code(&checked), 1);
    let problem = "NetworkPolicy default/a: spec.ingress[0].ports[0].port: 0 is not a port number (1 to 65535)";
    assert_eq!(report["problems"], serde_json::json!([problem]));
    let missing = sluice(&["check", "/nonexistent"]);
    assert_eq!((code(&missing), stdout(&missing)), (1, ""));
    assert!(stderr(&missing).starts_with("error: /nonexistent: cannot be read"), "{}", stderr(&missing));
}

/// The lines of standard error as the JSON objects that they have to be.
fn log(output: &Output) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stderr(output).lines().map(line).collect()
}

#[test]
fn with_json_logs_even_the_error_before_the_start_is_json() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"logFormat: json\nmetricsBindAddress: nowhere\n").unwrap();
    let missing = ["agent", "--log-format", "json", "--config", "/nowhere"];
    let invalid = ["agent", "--config", file.path().to_str().unwrap()];
    for (arguments, said) in [(&missing[..], "/nowhere"), (&invalid[..], "metricsBindAddress")] {
        let output = sluice(arguments);
        let lines = log(&output);
        assert_eq!((code(&output), lines.len()), (2, 1), "{lines:?}");
        assert_eq!(lines[0]["level"], "ERROR");
        assert!(lines[0]["message"].as_str().unwrap().contains(said), "{lines:?}");
    }
}

#[test]
fn with_json_logs_a_bad_rust_log_and_what_ends_the_agent_are_json() {
    let bpffs = Bpffs::new();
    let _other = Publisher::open(bpffs.path()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["agent", "--log-format", "json", "--manifests", "/nowhere", "--socket-lb", "off", "--bpffs"]);
    let output = command.arg(bpffs.path()).env("RUST_LOG", "info,kube=loud").output().unwrap();
    let lines = log(&output);
    assert_eq!((code(&output), &lines[0]["directive"]), (1, &"kube=loud".into()));
    let last = lines.last().unwrap();
    assert!(last["level"] == "ERROR" && last["message"].as_str().unwrap().contains("another agent"), "{last}");
}

/// Run by the next test in a process of its own, because whoever panics and how it is told are the process's.
#[test]
#[ignore = "panics"]
fn panics_with_json_logs() {
    proxy_user::logging::init(proxy_user::config::LogFormat::Json);
    let ended = std::thread::Builder::new().name("worker".into()).spawn(|| panic!("two\nlines")).unwrap().join();
    assert!(ended.is_err());
}

#[test]
fn with_json_logs_a_panic_is_one_json_line_that_says_where() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "panics_with_json_logs", "--ignored"]).env_remove("RUST_BACKTRACE");
    let output = command.output().unwrap();
    let lines = log(&output);
    assert_eq!((code(&output), lines.len()), (0, 1), "{lines:?}");
    assert_eq!((&lines[0]["level"], &lines[0]["message"]), (&"ERROR".into(), &"panicked: two\nlines".into()));
    assert_eq!(lines[0]["thread"], "worker");
    assert!(lines[0]["location"].as_str().unwrap().starts_with("proxy-user/tests/cli.rs:"), "{lines:?}");
}
