//! kube-proxy's flags under their names, so that the arguments of its DaemonSet work as they are.
//!
//! Those that `sluice agent` has under the same name anyway are not here.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde_json::Value;

use super::given::{Given, Values};
use super::settings::settings;
use crate::config::{ConfigError, Settings};

/// A flag of kube-proxy, and the field it sets.
struct Flag {
    name: &'static str,
    field: &'static str,
    /// It may stand without a value, which then is `true`.
    is_switch: bool,
}

const fn value(name: &'static str, field: &'static str) -> Flag {
    Flag { name, field, is_switch: false }
}

const fn switch(name: &'static str, field: &'static str) -> Flag {
    Flag { name, field, is_switch: true }
}

const FLAGS: &[Flag] = &[
    switch("add-dir-header", "klog.add-dir-header"),
    switch("add_dir_header", "klog.add_dir_header"),
    switch("alsologtostderr", "klog.alsologtostderr"),
    value("bind-address", "bindAddress"),
    value("cluster-cidr", "clusterCIDR"),
    value("config-sync-period", "configSyncPeriod"),
    value("conntrack-max", "conntrack.max"),
    value("conntrack-max-per-core", "conntrack.maxPerCore"),
    value("conntrack-min", "conntrack.min"),
    switch("conntrack-tcp-be-liberal", "conntrack.tcpBeLiberal"),
    value("conntrack-tcp-timeout-close-wait", "conntrack.tcpCloseWaitTimeout"),
    value("conntrack-tcp-timeout-established", "conntrack.tcpEstablishedTimeout"),
    value("conntrack-udp-timeout", "conntrack.udpTimeout"),
    value("conntrack-udp-timeout-stream", "conntrack.udpStreamTimeout"),
    value("detect-local-mode", "detectLocalMode"),
    switch("enable-dsr", "winkernel.enableDSR"),
    value("feature-gates", "featureGates"),
    switch("forward-healthcheck-vip", "winkernel.forwardHealthCheckVip"),
    value("healthz-port", "healthzPort"),
    value("hostname-override", "hostnameOverride"),
    switch("iptables-localhost-nodeports", "iptables.localhostNodePorts"),
    value("iptables-masquerade-bit", "iptables.masqueradeBit"),
    value("iptables-min-sync-period", "iptables.minSyncPeriod"),
    value("iptables-sync-period", "iptables.syncPeriod"),
    value("ipvs-exclude-cidrs", "ipvs.excludeCIDRs"),
    value("ipvs-min-sync-period", "ipvs.minSyncPeriod"),
    value("ipvs-scheduler", "ipvs.scheduler"),
    switch("ipvs-strict-arp", "ipvs.strictARP"),
    value("ipvs-sync-period", "ipvs.syncPeriod"),
    value("ipvs-tcp-timeout", "ipvs.tcpTimeout"),
    value("ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout"),
    value("ipvs-udp-timeout", "ipvs.udpTimeout"),
    value("kube-api-burst", "clientConnection.burst"),
    value("kube-api-content-type", "clientConnection.contentType"),
    value("kube-api-qps", "clientConnection.qps"),
    value("log-dir", "klog.log-dir"),
    value("log-file", "klog.log-file"),
    value("log-file-max-size", "klog.log-file-max-size"),
    value("log-flush-frequency", "logging.flushFrequency"),
    value("log-json-info-buffer-size", "logging.options.json.infoBufferSize"),
    switch("log-json-split-stream", "logging.options.json.splitStream"),
    value("log-text-info-buffer-size", "logging.options.text.infoBufferSize"),
    switch("log-text-split-stream", "logging.options.text.splitStream"),
    value("log_backtrace_at", "klog.log_backtrace_at"),
    value("log_dir", "klog.log_dir"),
    value("log_file", "klog.log_file"),
    value("log_file_max_size", "klog.log_file_max_size"),
    value("logging-format", "logging.format"),
    switch("logtostderr", "klog.logtostderr"),
    switch("masquerade-all", "iptables.masqueradeAll"),
    value("master", "master"),
    value("metrics-port", "metricsPort"),
    value("network-name", "winkernel.networkName"),
    switch("one_output", "klog.one_output"),
    value("oom-score-adj", "oomScoreAdj"),
    value("pod-bridge-interface", "detectLocal.bridgeInterface"),
    value("pod-interface-name-prefix", "detectLocal.interfaceNamePrefix"),
    switch("profiling", "enableProfiling"),
    value("proxy-mode", "mode"),
    value("proxy-port-range", "portRange"),
    value("root-hnsendpoint-name", "winkernel.rootHnsEndpointName"),
    value("show-hidden-metrics-for-version", "showHiddenMetricsForVersion"),
    switch("skip_headers", "klog.skip_headers"),
    switch("skip_log_headers", "klog.skip_log_headers"),
    value("source-vip", "winkernel.sourceVip"),
    value("stderrthreshold", "klog.stderrthreshold"),
    value("v", "logging.verbosity"),
    value("vmodule", "logging.vmodule"),
    switch("windows-service", "windowsRunAsService"),
    value("windows-priorityclass", "windowsPriorityClass"),
];

/// kube-proxy's flags, as given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KubeProxyFlags(Vec<(&'static str, &'static str, String)>);

impl KubeProxyFlags {
    /// The settings that they make.
    pub fn settings(self) -> Result<Settings, ConfigError> {
        let given = |(name, field, value): (&str, &str, String)| {
            (field.to_owned(), Given { name: format!("--{name}"), value: Value::String(value) })
        };
        settings(&Values(self.0.into_iter().map(given).collect()))
    }
}

impl FromArgMatches for KubeProxyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given =
            |flag: &Flag| matches.get_one::<String>(flag.name).map(|value| (flag.name, flag.field, value.clone()));
        self.0.extend(FLAGS.iter().filter_map(given));
        Ok(())
    }
}

impl Args for KubeProxyFlags {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn arg(flag: &Flag) -> Arg {
    let arg = Arg::new(flag.name).long(flag.name).value_name("VALUE").hide(true).action(ArgAction::Set);
    // What is given twice is what was given last.
    let arg = arg.overrides_with(flag.name);
    let arg = if flag.name == "v" { arg.short('v') } else { arg };
    if flag.is_switch {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg.allow_hyphen_values(true)
    }
}

/// Name and field of each.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    FLAGS.iter().map(|flag| (flag.name, flag.field))
}
