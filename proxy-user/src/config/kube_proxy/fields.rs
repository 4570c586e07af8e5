//! Every field of `KubeProxyConfiguration` from Kubernetes 1.28 to 1.36, and flags that have no field.

/// What a field means here.
pub(super) enum Meaning {
    /// It is a setting of ours: [`super::settings`].
    Mapped,
    /// Nothing.
    Ignored {
        /// Values beside the empty one that say no more than the default does.
        defaults: &'static [&'static str],
        /// Why it changes nothing, for people.
        reason: &'static str,
    },
}

/// A field.
pub(super) struct Field {
    /// Path in the file; a flag without field under its own name.
    pub(super) path: &'static str,
    pub(super) meaning: Meaning,
}

const fn mapped(path: &'static str) -> Field {
    Field { path, meaning: Meaning::Mapped }
}

const fn ignored(path: &'static str, defaults: &'static [&'static str], reason: &'static str) -> Field {
    Field { path, meaning: Meaning::Ignored { defaults, reason } }
}

const MASQUERADE_BIT: &str = "packets that get another source are not marked: programs translate them at once";
const MASQUERADE_ALL: &str =
    "a client keeps its address wherever its answers come back through this node by themselves";
const SYNC: &str = "each change goes to the kernel as it is seen, alone: there are no rules to write anew";
const LOCAL: &str = "whether a client is in the cluster is told by where its packets come in, not by its address";
const IPVS: &str = "IPVS is not used";
const WINDOWS: &str = "for Windows";
const CONNTRACK: &str = "Services don't go through conntrack, and its limits and timeouts are left as they are";
const CONNTRACK_TIMEOUT: &str = "flows are kept in a table of our own, with timeouts of their own";
const API: &str = "the client of the API server has limits and an encoding of its own";
const LOGGING: &str = "RUST_LOG says what is logged, --log-format how";
const KLOG: &str = "lines go to standard error, and RUST_LOG says which";

/// All of them.
pub(super) const FIELDS: &[Field] = &[
    mapped("bindAddress"),
    mapped("bindAddressHardFail"),
    mapped("clientConnection.kubeconfig"),
    mapped("healthzBindAddress"),
    mapped("healthzPort"),
    mapped("hostnameOverride"),
    mapped("iptables.localhostNodePorts"),
    mapped("logging.format"),
    mapped("metricsBindAddress"),
    mapped("metricsPort"),
    mapped("mode"),
    mapped("nodePortAddresses"),
    ignored("clientConnection.acceptContentTypes", &[], API),
    ignored("clientConnection.burst", &["0", "10"], API),
    ignored("clientConnection.contentType", &["application/vnd.kubernetes.protobuf"], API),
    ignored("clientConnection.qps", &["0", "5"], API),
    ignored("clusterCIDR", &[], LOCAL),
    ignored("configSyncPeriod", &["0s", "15m", "15m0s"], "the watch on objects is not repeated by the clock"),
    ignored("conntrack.max", &["0"], CONNTRACK),
    ignored("conntrack.maxPerCore", &["32768"], CONNTRACK),
    ignored("conntrack.min", &["131072"], CONNTRACK),
    ignored("conntrack.tcpBeLiberal", &["false"], "packets are translated whatever their sequence numbers are"),
    ignored("conntrack.tcpCloseWaitTimeout", &["0s", "1h", "1h0m0s"], CONNTRACK_TIMEOUT),
    ignored("conntrack.tcpEstablishedTimeout", &["0s", "24h", "24h0m0s"], CONNTRACK_TIMEOUT),
    ignored("conntrack.udpStreamTimeout", &["0s"], CONNTRACK_TIMEOUT),
    ignored("conntrack.udpTimeout", &["0s"], CONNTRACK_TIMEOUT),
    ignored("detectLocal.bridgeInterface", &[], LOCAL),
    ignored("detectLocal.interfaceNamePrefix", &[], LOCAL),
    ignored("detectLocalMode", &["ClusterCIDR"], LOCAL),
    ignored("enableProfiling", &["false"], "there is no profiling server"),
    ignored("featureGates", &[], "they are switches of kube-proxy's code"),
    ignored("iptables.masqueradeAll", &["false"], MASQUERADE_ALL),
    ignored("iptables.masqueradeBit", &["14"], MASQUERADE_BIT),
    ignored("iptables.minSyncPeriod", &["0s", "1s"], SYNC),
    ignored("iptables.syncPeriod", &["0s", "30s"], SYNC),
    ignored("ipvs.excludeCIDRs", &[], IPVS),
    ignored("ipvs.minSyncPeriod", &["0s"], IPVS),
    ignored("ipvs.scheduler", &["rr"], IPVS),
    ignored("ipvs.strictARP", &["false"], IPVS),
    ignored("ipvs.syncPeriod", &["0s", "30s"], IPVS),
    ignored("ipvs.tcpFinTimeout", &["0s"], IPVS),
    ignored("ipvs.tcpTimeout", &["0s"], IPVS),
    ignored("ipvs.udpTimeout", &["0s"], IPVS),
    ignored("logging.flushFrequency", &["0", "5s", "5000000000"], LOGGING),
    ignored("logging.options.json.infoBufferSize", &["0"], LOGGING),
    ignored("logging.options.json.splitStream", &["false"], LOGGING),
    ignored("logging.options.text.infoBufferSize", &["0"], LOGGING),
    ignored("logging.options.text.splitStream", &["false"], LOGGING),
    ignored("logging.verbosity", &["0"], LOGGING),
    ignored("logging.vmodule", &[], LOGGING),
    ignored("nftables.masqueradeAll", &["false"], MASQUERADE_ALL),
    ignored("nftables.masqueradeBit", &["14"], MASQUERADE_BIT),
    ignored("nftables.minSyncPeriod", &["0s", "1s"], SYNC),
    ignored("nftables.syncPeriod", &["0s", "30s"], SYNC),
    ignored("oomScoreAdj", &["-999"], "whoever starts the agent sets its OOM score"),
    ignored("portRange", &["0-0"], "kube-proxy itself ignores it"),
    ignored("showHiddenMetricsForVersion", &[], "there are no hidden metrics"),
    ignored("winkernel.enableDSR", &["true", "false"], WINDOWS),
    ignored("winkernel.forwardHealthCheckVip", &["true", "false"], WINDOWS),
    ignored("winkernel.networkName", &[], WINDOWS),
    ignored("winkernel.rootHnsEndpointName", &["cbr0"], WINDOWS),
    ignored("winkernel.sourceVip", &[], WINDOWS),
    ignored("windowsRunAsService", &["false"], WINDOWS),
    ignored("windowsPriorityClass", &["NORMAL_PRIORITY_CLASS"], WINDOWS),
    // Flags alone.
    ignored("klog", &["true", "false"], KLOG),
    ignored("master", &[], "the kubeconfig says where the API server is"),
];

/// The field at a path, or that it is part of.
pub(super) fn field(path: &str) -> Option<&'static Field> {
    let is_at =
        |field: &&Field| path.strip_prefix(field.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    FIELDS.iter().find(is_at)
}

/// Whether a path is that of a field, or leads to some.
pub(super) fn leads_to_fields(path: &str) -> bool {
    FIELDS.iter().any(|field| field.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}
