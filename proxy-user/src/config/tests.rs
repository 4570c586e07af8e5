use std::io::Write as _;

use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

fn flags(line: &[&str]) -> Settings {
    Flags::try_parse_from([&["agent"], line].concat()).unwrap().settings
}

fn file(text: &str) -> Result<Settings, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Settings::read(file.path()).map_err(|error| error.to_string())
}

fn error(settings: Settings) -> String {
    settings.resolve().unwrap_err().to_string()
}

const EVERY_KEY: &str = "\
apiVersion: sluice.dev/v1alpha1
kind: SluiceConfiguration
nodeName: node1
manifests: /etc/sluice/manifests
mode: iptables
bpffs: /sys/fs/bpf/one
cgroup: /proc
devices: [eth0, 'wg*']
socketLb: host
nodePortAddresses: [192.0.2.0/24, 'fd00::/64']
localhostNodePorts: false
allowServiceExternalIPs: false
unknownPods: allow
policyMode: audit
policyDeny: reject
localRedirect: on
healthzBindAddress: 10.0.0.1:1
metricsBindAddress: ''
bindAddressHardFail: true
logFormat: json
bpfLogLevel: debug
";

#[test]
fn every_key_of_a_file_is_in_force() {
    let config = file(EVERY_KEY).unwrap().resolve().unwrap();
    let expected = Config {
        node_name: "node1".into(),
        objects: ObjectsFrom::Manifests("/etc/sluice/manifests".into()),
        mode: Mode::Iptables,
        picked: None,
        bpffs: "/sys/fs/bpf/one".into(),
        cgroup: Some("/proc".into()),
        devices: vec!["eth0".into(), "wg*".into()],
        socket_lb: SocketLb::Host,
        node_port_addresses: NodePortAddresses::Ranges(vec![
            "192.0.2.0/24".parse().unwrap(),
            "fd00::/64".parse().unwrap(),
        ]),
        localhost_node_ports: false,
        allow_service_external_ips: false,
        unknown_pods: UnknownPods::Allow,
        policy_mode: PolicyMode::Audit,
        policy_deny: PolicyDeny::Reject,
        local_redirect: LocalRedirect::On,
        healthz_bind_address: BindAddress::At("10.0.0.1:1".parse().unwrap()),
        metrics_bind_address: BindAddress::Disabled,
        bind_address_hard_fail: true,
        log_format: LogFormat::Json,
        bpf_log_level: BpfLogLevel::Debug,
        ignored: Vec::new(),
    };
    assert_eq!(config, expected);
}

#[test]
fn every_flag_wins_over_the_file() {
    let line = "--node-name n2 --manifests /m2 --mode auto --bpffs /b2 --cgroup /sys --device eth2 --device eth3 --socket-lb off \
                --nodeport-addresses primary --localhost-nodeports true --allow-service-external-ips true \
                --unknown-pods hold --policy-mode enforce --policy-deny drop --local-redirect off \
                --healthz-bind-address 127.0.0.1 --metrics-bind-address [::1]:9 --bind-address-hard-fail false \
                --log-format text --bpf-log-level off";
    let from_flags = flags(&line.split_whitespace().collect::<Vec<_>>());
    let merged = from_flags.clone().or(file(EVERY_KEY).unwrap());
    assert_eq!(merged.resolve().unwrap(), from_flags.resolve().unwrap());
}

#[test]
fn the_file_stands_where_no_flag_is_given() {
    let config = flags(&["--node-name", "other"]).or(file(EVERY_KEY).unwrap()).resolve().unwrap();
    assert_eq!((config.node_name.as_str(), config.socket_lb), ("other", SocketLb::Host));
}

#[test]
fn defaults_are_kube_proxys_and_this_machines() {
    let config = flags(&["--manifests", "/m"]).resolve().unwrap();
    assert_eq!(config.healthz_bind_address.to_string(), "0.0.0.0:10256");
    assert_eq!(config.metrics_bind_address.to_string(), "127.0.0.1:10249");
    assert_eq!(config.bpffs, PathBuf::from("/sys/fs/bpf/sluice"));
    assert_eq!(config.socket_lb, SocketLb::On);
    assert_eq!(config.node_port_addresses, NodePortAddresses::All);
    assert!(config.localhost_node_ports && config.allow_service_external_ips);
    let policy = (config.unknown_pods, config.policy_mode, config.policy_deny);
    assert_eq!(policy, (UnknownPods::Hold, PolicyMode::Enforce, PolicyDeny::Drop), "nothing is open by default");
    assert_eq!(config.node_name, std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_lowercase());
    let cgroup = config.cgroup.unwrap();
    assert!(cgroup.join("cgroup.controllers").exists(), "{} is a cgroup v2 directory", cgroup.display());
}

#[test]
fn printed_configuration_gives_the_same_configuration() {
    let config = file(EVERY_KEY).unwrap().resolve().unwrap();
    assert_eq!(file(&config.to_yaml()).unwrap().resolve().unwrap(), config);
}

#[test]
fn node_names_are_trimmed_and_in_lower_case() {
    assert_eq!(flags(&["--manifests", "/m", "--node-name", " Node-A\n"]).resolve().unwrap().node_name, "node-a");
    assert!(error(flags(&["--manifests", "/m", "--node-name", " "])).starts_with("nodeName (flag --node-name)"));
}

#[test]
fn an_empty_file_sets_nothing() {
    assert_eq!(file("").unwrap(), Settings::default());
    assert_eq!(file("# only a comment\n").unwrap(), Settings::default());
}

#[test]
fn an_unknown_key_is_an_error_that_names_it() {
    let error = file("nodeName: a\nsocketLB: on\n").unwrap_err();
    assert!(error.contains("unknown field `socketLB`") && error.contains("`socketLb`"), "{error}");
}

#[test]
fn a_bad_value_is_an_error_that_names_its_key() {
    let error = file("socketLb: sometimes\n").unwrap_err();
    assert!(error.contains("socketLb: ") && error.contains("`on`, `host`, `off`"), "{error}");
    assert_eq!(error.matches("socketLb").count(), 1, "{error}");
}

#[test]
fn another_kind_or_version_of_file_is_refused() {
    assert!(file("kind: Pod\n").unwrap_err().contains("kind: "));
    assert!(file("apiVersion: sluice.dev/v9\n").unwrap_err().contains("apiVersion: "));
}

#[test]
fn a_key_given_twice_is_an_error() {
    assert!(file("nodeName: a\nnodeName: b\n").unwrap_err().contains("duplicate"));
}

#[test]
fn node_port_addresses_are_given_one_by_one_or_joined_by_commas() {
    let parsed = |line: &[&str]| flags(line).or(flags(&["--manifests", "/m"])).resolve().unwrap().node_port_addresses;
    let expected = ["192.0.2.0/24", "fd00::/64"];
    let one_by_one = ["--nodeport-addresses", expected[0], "--nodeport-addresses", expected[1]];
    assert_eq!(parsed(&one_by_one).to_list(), expected);
    assert_eq!(parsed(&["--nodeport-addresses", "192.0.2.0/24,fd00::/64"]).to_list(), expected);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Settings::read("/nonexistent/sluice.yaml".as_ref()).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/sluice.yaml") && error.contains("--config"), "{error}");
}

#[test]
fn objects_come_from_the_cluster_unless_a_kubeconfig_or_manifests_are_named_and_never_from_both() {
    let objects = |line: &[&str]| flags(line).resolve().unwrap().objects;
    assert_eq!(objects(&[]), ObjectsFrom::Kubernetes { kubeconfig: None });
    assert_eq!(objects(&["--kubeconfig", "/k"]), ObjectsFrom::Kubernetes { kubeconfig: Some("/k".into()) });
    assert_eq!(objects(&["--manifests", "/m"]), ObjectsFrom::Manifests("/m".into()));
    assert!(error(flags(&["--manifests", "/m", "--kubeconfig", "/k"])).starts_with("manifests (flag --manifests)"));
}

#[test]
fn bad_addresses_devices_and_cgroups_name_their_flag() {
    let with = |flag: &str, value: &str| error(flags(&["--manifests", "/m", flag, value]));
    for (flag, value) in [
        ("--healthz-bind-address", "localhost:80"),
        ("--metrics-bind-address", "127.0.0.1:70000"),
        ("--device", "a-name-that-is-too-long"),
        ("--device", "eth["),
        ("--cgroup", "/proc/version"),
        ("--nodeport-addresses", "192.0.2.0/33"),
        ("--nodeport-addresses", "primary,192.0.2.0/24"),
    ] {
        let error = with(flag, value);
        assert!(error.contains(flag) && error.contains(value), "{error}");
    }
}

#[test]
fn of_several_ranges_the_bad_one_is_named() {
    let error = error(flags(&["--manifests", "/m", "--nodeport-addresses", "192.0.2.0/24,192.0.2.0/33"]));
    assert!(error.contains("\"192.0.2.0/33\" is not a range"), "{error}");
}

#[test]
fn a_bare_address_gets_the_default_port_and_an_empty_one_is_off() {
    let parse = |text| BindAddress::parse(text, 10256).unwrap().to_string();
    assert_eq!(parse("10.0.0.1"), "10.0.0.1:10256");
    assert_eq!(parse("::"), "[::]:10256");
    assert_eq!(parse("[::1]"), "[::1]:10256");
    assert_eq!(parse("[::1]:80"), "[::1]:80");
    assert_eq!(BindAddress::parse(" ", 1), Some(BindAddress::Disabled));
}
