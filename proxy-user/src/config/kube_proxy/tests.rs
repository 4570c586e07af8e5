use std::io::Write as _;

use clap::Parser as _;

use super::fields::{FIELDS, Meaning};
use crate::config::{Config, LogFormat, ObjectsFrom, Settings};
use crate::model::NodePortAddresses;

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    kube_proxy: super::KubeProxyFlags,
}

fn flags(line: &[&str]) -> Result<Settings, String> {
    let flags = Flags::try_parse_from([&["agent"], line].concat()).map_err(|error| error.to_string())?;
    Ok(flags.settings.or(flags.kube_proxy.settings().map_err(|error| error.to_string())?))
}

fn file(text: &str) -> Result<Settings, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Settings::read(file.path()).map_err(|error| error.to_string())
}

/// A file with these fields beside the version and the kind.
fn fields(fields: &str) -> Result<Settings, String> {
    file(&format!("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{fields}"))
}

fn config(settings: Settings) -> Config {
    settings.resolve().unwrap()
}

fn ignored(settings: &Settings) -> Vec<&str> {
    settings.ignored.iter().map(|ignored| ignored.name.as_str()).collect()
}

/// What kubeadm 1.36 writes into the `ConfigMap` `kube-proxy`, under `config.conf`.
const KUBEADM: &str = include_str!("kubeadm.yaml");

#[test]
fn kubeadms_file_works_as_it_is_and_nothing_of_it_but_the_cluster_cidr_needs_a_word() {
    let settings = file(KUBEADM).unwrap();
    assert_eq!(ignored(&settings), ["clusterCIDR"]);
    let config = config(settings);
    let kubeconfig = Some("/var/lib/kube-proxy/kubeconfig.conf".into());
    assert_eq!(config.objects, ObjectsFrom::Kubernetes { kubeconfig });
    let defaults = Settings::default().resolve().unwrap();
    assert_eq!(Config { objects: defaults.objects.clone(), ignored: Vec::new(), ..config }, defaults);
}

#[test]
fn its_daemonsets_command_line_names_the_node() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(KUBEADM.as_bytes()).unwrap();
    let settings = flags(&["--hostname-override=Node-7"]).unwrap().or(Settings::read(file.path()).unwrap());
    assert_eq!(config(settings).node_name, "node-7");
}

#[test]
fn fields_that_mean_something_here_are_in_force() {
    let config = config(
        fields(
            "hostnameOverride: n1\nclientConnection: {kubeconfig: /k}\nbindAddressHardFail: true\n\
             healthzBindAddress: 10.0.0.1:1\nmetricsBindAddress: 10.0.0.2\nnodePortAddresses: [10.0.0.0/8]\n\
             iptables: {localhostNodePorts: false}\nlogging: {format: json}\n",
        )
        .unwrap(),
    );
    assert_eq!(config.node_name, "n1");
    assert_eq!(config.objects, ObjectsFrom::Kubernetes { kubeconfig: Some("/k".into()) });
    assert!(config.bind_address_hard_fail && !config.localhost_node_ports && config.ignored.is_empty());
    assert_eq!(config.healthz_bind_address.to_string(), "10.0.0.1:1");
    assert_eq!(config.metrics_bind_address.to_string(), "10.0.0.2:10249");
    assert_eq!(config.node_port_addresses.to_list(), ["10.0.0.0/8"]);
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn an_ipv6_bind_address_moves_the_servers_to_its_family() {
    let config = config(fields("bindAddress: '::'\n").unwrap());
    assert_eq!(config.healthz_bind_address.to_string(), "[::]:10256");
    assert_eq!(config.metrics_bind_address.to_string(), "[::1]:10249");
}

#[test]
fn node_ports_are_where_nftables_mode_has_them() {
    let nftables = config(fields("mode: nftables\n").unwrap());
    assert_eq!(nftables.node_port_addresses, NodePortAddresses::Primary);
    assert!(!nftables.localhost_node_ports);
    let iptables = config(fields("mode: iptables\n").unwrap());
    assert_eq!(iptables.node_port_addresses, NodePortAddresses::All);
    assert!(iptables.localhost_node_ports);
    let given = config(fields("mode: nftables\nnodePortAddresses: [10.0.0.0/8]\n").unwrap());
    assert_eq!(given.node_port_addresses.to_list(), ["10.0.0.0/8"]);
}

#[test]
fn what_has_no_meaning_is_named_with_its_value_where_it_is_not_the_default() {
    let settings = fields(
        "iptables: {masqueradeBit: 15, syncPeriod: 30s, minSyncPeriod: 0s}\nipvs: {excludeCIDRs: [10.0.0.0/8]}\n\
         featureGates: {SomeGate: true}\noomScoreAdj: -999\nconntrack: {maxPerCore: 0}\n",
    )
    .unwrap();
    assert_eq!(
        ignored(&settings),
        ["conntrack.maxPerCore", "featureGates", "iptables.masqueradeBit", "ipvs.excludeCIDRs"]
    );
    assert_eq!(
        settings.ignored[2].to_string(),
        "iptables.masqueradeBit (15): packets that get another source are not marked: programs translate them at once"
    );
    let printed = config(settings).to_yaml();
    assert!(printed.starts_with("# ignored: conntrack.maxPerCore (0): "), "{printed}");
    assert!(file(&printed).unwrap().ignored.is_empty(), "ours has only what has a meaning");
}

#[test]
fn an_unknown_field_is_named_and_the_rest_is_in_force() {
    let settings = fields("hostnameOverride: n1\niptables: {newField: 1}\nnewer: {field: 2}\n").unwrap();
    assert_eq!(ignored(&settings), ["iptables.newField", "newer"]);
    assert_eq!(settings.ignored[1].reason, "kube-proxy has no such field");
    assert_eq!(settings.node_name.as_deref(), Some("n1"));
}

#[test]
fn a_value_of_the_wrong_kind_is_an_error_that_names_its_field() {
    let bad = |text| fields(text).unwrap_err();
    assert_eq!(bad("mode: ebpf9\n").split_once(" should be").unwrap().0, "mode: \"ebpf9\"");
    assert!(bad("bindAddressHardFail: maybe\n").starts_with("bindAddressHardFail: \"maybe\" should be true or false"));
    assert!(bad("nodePortAddresses: 10.0.0.0/8\n").starts_with("nodePortAddresses: "));
    assert!(bad("bindAddress: eth0\n").starts_with("bindAddress: \"eth0\" should be an IP address"));
    assert!(bad("logging: {format: xml}\n").contains("text or json"));
    assert!(flags(&["--bind-address=eth0"]).unwrap_err().contains("should be an IP address"));
}

#[test]
fn a_config_map_is_not_the_file_in_it() {
    let error = file("apiVersion: v1\nkind: ConfigMap\ndata:\n  config.conf: a\n  kubeconfig.conf: b\n").unwrap_err();
    assert!(error.contains("is a ConfigMap (keys: config.conf, kubeconfig.conf)"), "{error}");
}

#[test]
fn another_version_of_its_kind_is_refused() {
    let error = file("apiVersion: kubeproxy.config.k8s.io/v1\nkind: KubeProxyConfiguration\n").unwrap_err();
    assert!(error.contains("apiVersion: ") && error.contains("kubeproxy.config.k8s.io/v1alpha1"), "{error}");
    assert!(file("kind: KubeProxyConfiguration\n").unwrap_err().contains("apiVersion: "));
}

#[test]
fn its_flags_are_taken_under_their_names() {
    let line = "--hostname-override=n1 --kubeconfig /k --nodeport-addresses=10.0.0.0/8,fd00::/8 --bind-address-hard-fail \
                --iptables-localhost-nodeports=false --logging-format json -v=2 --cluster-cidr=10.244.0.0/16 \
                --masquerade-all --proxy-mode=iptables --feature-gates=A=true,B=false --conntrack-min 0 --logtostderr \
                --log_dir=/tmp --ipvs-scheduler=lc --oom-score-adj -998 --ipvs-scheduler=rr";
    let settings = flags(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
    let names = "--cluster-cidr --conntrack-min --feature-gates --log_dir --masquerade-all --oom-score-adj --v";
    let mut told = ignored(&settings);
    told.sort_unstable();
    assert_eq!(told.join(" "), names);
    let config = config(settings);
    assert_eq!((config.node_name.as_str(), config.log_format), ("n1", LogFormat::Json));
    assert!(config.bind_address_hard_fail && !config.localhost_node_ports);
    assert_eq!(config.node_port_addresses.to_list(), ["10.0.0.0/8", "fd00::/8"]);
}

#[test]
fn deprecated_ports_switch_servers_off_and_move_them() {
    let config = config(flags(&["--healthz-port=0", "--metrics-port=9"]).unwrap());
    assert_eq!(config.healthz_bind_address.to_string(), "");
    assert_eq!(config.metrics_bind_address.to_string(), "127.0.0.1:9");
}

#[test]
fn every_field_is_there_once_and_the_page_on_it_has_them_all() {
    let page = include_str!("../../../../docs/kube-proxy-config.md");
    for (index, field) in FIELDS.iter().enumerate() {
        assert!(FIELDS[index + 1..].iter().all(|other| other.path != field.path), "{} is there twice", field.path);
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", field.path)));
        let row = row.unwrap_or_else(|| panic!("docs/kube-proxy-config.md has no row for {}", field.path));
        if let Meaning::Ignored { reason, .. } = field.meaning {
            assert!(row.contains(reason), "{row}: the agent says \"{reason}\"");
        }
    }
}

#[test]
fn the_page_on_flags_has_them_all() {
    let page = include_str!("../../../../docs/kube-proxy-config.md");
    for (flag, field) in super::flags::names() {
        let row = format!("| `--{flag}` | `{field}` |");
        assert!(page.contains(&row), "docs/kube-proxy-config.md lacks {row}");
    }
}
