//! Metrics: kube-proxy's names where the meaning is kube-proxy's, `sluice_` otherwise.

mod api_server;
mod buckets;
mod labels;
mod process;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use proxy_common::addr;
use proxy_common::drop::Reason;

use self::api_server::ApiServerMetrics;
pub use self::labels::PolicyLabels;
use self::labels::{AgentLabels, BuildLabels, Code, IpFamilyLabel, ReasonLabel, TableLabel, TrafficPolicyLabel};
use self::process::ProcessMetrics;
use crate::config::Config;
use crate::dataplane::Fill;
use crate::objects::kubernetes::Connection;
use crate::status::PolicyStatus;

type SecondsGauge = Gauge<f64, AtomicU64>;
type Histograms = Family<IpFamilyLabel, Histogram, fn() -> Histogram>;

/// The metrics of the agent. Each handle may be updated from any task; a scrape reads what was last set.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    drops: Family<ReasonLabel, Counter>,
    audits: Family<ReasonLabel, Counter>,
    table_entries: Family<TableLabel, Gauge>,
    table_limit: Family<TableLabel, Gauge>,
    table_nearly_full: Family<TableLabel, Gauge>,
    programming: Histogram,
    network_programming: Histograms,
    no_local_endpoints: Family<TrafficPolicyLabel, Gauge>,
    sync_duration: Histograms,
    last_synced: Family<IpFamilyLabel, SecondsGauge>,
    last_queued: Family<IpFamilyLabel, SecondsGauge>,
    healthz: Family<Code, Counter>,
    livez: Family<Code, Counter>,
    /// Flows translated packet by packet (`sluice_flows`).
    pub flows: Gauge,
    /// Manifests that can't be used and objects that can't be served as asked for, now (`sluice_manifest_errors`).
    pub manifest_errors: Gauge,
    /// Services whose latest change a table has no room for (`sluice_refused_services`).
    pub refused_services: Gauge,
    policies: Gauge,
    policed_pods: Gauge,
    held_addresses: Gauge,
    policy_allowed: Family<PolicyLabels, Counter>,
    /// Entries of tables written or deleted (`sluice_map_writes_total`).
    pub map_writes: Counter,
    service_changes: Counter,
    service_changes_pending: Gauge,
    endpoint_changes: Counter,
    endpoint_changes_pending: Gauge,
    /// Where objects come from one.
    api_server: Option<ApiServerMetrics>,
    process: ProcessMetrics,
}

impl Metrics {
    /// What [`Metrics::encode`] gives.
    pub(super) const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All metrics at zero.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut names = Names(Registry::default());
        let build = BuildLabels { version: env!("CARGO_PKG_VERSION") };
        names.0.register("sluice_build", "The build of the agent", Info::new(build));
        names.0.register("sluice_agent", "What the agent was started as", Info::new(AgentLabels::from(config)));
        let sync: Histograms = Family::new_with_constructor(buckets::sync);
        let network_programming: Histograms = Family::new_with_constructor(buckets::network_programming);
        Self {
            drops: names.family("sluice_drops", "Packets dropped or refused, by reason"),
            audits: names.family(
                "sluice_audits",
                "Packets that passed as what denies them is audited only, by the reason they would be dropped for",
            ),
            table_entries: names.family("sluice_table_entries", "Entries of a table in the kernel"),
            table_limit: names.family("sluice_table_limit", "Most entries a table takes"),
            table_nearly_full: names
                .family("sluice_table_nearly_full", "Whether a table holds four fifths of what it takes, or more"),
            programming: names.add(
                "sluice_programming_duration_seconds",
                "Time from when a change of objects was seen until the kernel had it",
                buckets::programming(),
            ),
            network_programming: names.add(
                "kubeproxy_network_programming_duration_seconds",
                "Time from when endpoints changed, as their EndpointSlice says, until the kernel had it",
                network_programming,
            ),
            no_local_endpoints: names.family(
                "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                "Service ports with a Local traffic policy and endpoints on other nodes only",
            ),
            sync_duration: names.add(
                "kubeproxy_sync_proxy_rules_duration_seconds",
                "Time to bring the tables to what was asked for, failures included",
                sync,
            ),
            last_synced: names
                .family("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When the tables last were as asked for"),
            last_queued: names.family(
                "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
                "When a change of the tables was last asked for",
            ),
            healthz: names.family("kubeproxy_proxy_healthz", "Answers of /healthz, by code"),
            livez: names.family("kubeproxy_proxy_livez", "Answers of /livez, by code"),
            flows: names.add("sluice_flows", "Flows translated packet by packet", Gauge::default()),
            manifest_errors: names.add("sluice_manifest_errors", "Errors in manifests now", Gauge::default()),
            refused_services: names.add(
                "sluice_refused_services",
                "Services whose latest change a table has no room for",
                Gauge::default(),
            ),
            policies: names.add("sluice_policies", "NetworkPolicies there are", Gauge::default()),
            policed_pods: names.add(
                "sluice_policy_pods",
                "Pods of this node that some NetworkPolicy isolates",
                Gauge::default(),
            ),
            held_addresses: names.add(
                "sluice_policy_held_addresses",
                "Addresses behind interfaces that are held because no Pod is known to have them",
                Gauge::default(),
            ),
            policy_allowed: names.family(
                "sluice_policy_allowed",
                "Verdicts that the rules of a NetworkPolicy allowed, by direction: one of each flow, and one more when the \
                 flow is judged anew",
            ),
            map_writes: names.add("sluice_map_writes", "Table entries written or deleted", Counter::default()),
            service_changes: names.add(
                "kubeproxy_sync_proxy_rules_service_changes",
                "Changes of Services seen",
                Counter::default(),
            ),
            service_changes_pending: names.add(
                "kubeproxy_sync_proxy_rules_service_changes_pending",
                "Changes of Services that are not in the tables",
                Gauge::default(),
            ),
            endpoint_changes: names.add(
                "kubeproxy_sync_proxy_rules_endpoint_changes",
                "Changes of endpoints seen",
                Counter::default(),
            ),
            endpoint_changes_pending: names.add(
                "kubeproxy_sync_proxy_rules_endpoint_changes_pending",
                "Changes of endpoints that are not in the tables",
                Gauge::default(),
            ),
            api_server: config.objects.is_api_server().then(|| ApiServerMetrics::new(&mut names)),
            process: ProcessMetrics::new(&mut names),
            registry: names.0,
        }
    }

    /// Packets dropped for a reason since the tables were made, as the kernel counts them.
    pub fn set_drops(&self, reason: Reason, packets: u64) {
        let label = ReasonLabel { reason: reason.name() };
        self.drops.get_or_create(&label).inner().store(packets, Ordering::Relaxed);
    }

    /// Packets that passed because a policy is audited only, since the tables were made, as the kernel counts them.
    pub fn set_audits(&self, reason: Reason, packets: u64) {
        let label = ReasonLabel { reason: reason.name() };
        self.audits.get_or_create(&label).inner().store(packets, Ordering::Relaxed);
    }

    /// How full a table is.
    pub fn set_table(&self, fill: &Fill) {
        let label = TableLabel { table: fill.table.name };
        self.table_entries.get_or_create(&label).set(fill.entries.cast_signed());
        self.table_limit.get_or_create(&label).set(fill.table.max_entries.into());
        self.table_nearly_full.get_or_create(&label).set(fill.is_nearly_full().into());
    }

    /// How the API server is doing.
    pub fn set_api_server(&self, connection: &Connection) {
        if let Some(metrics) = &self.api_server {
            metrics.set(connection);
        }
    }

    /// What NetworkPolicies make of this node.
    pub fn set_policies(&self, status: &PolicyStatus) {
        self.policies.set(status.policies.cast_signed() as i64);
        self.policed_pods.set(status.policed_pods.cast_signed() as i64);
        self.held_addresses.set(status.held.len().cast_signed() as i64);
    }

    /// What each policy allowed, as the kernel counts it; `told` is what was told last, of which those go that are no more.
    pub fn set_policy_allowed(&self, allowed: &BTreeMap<PolicyLabels, u64>, told: &BTreeMap<PolicyLabels, u64>) {
        for labels in told.keys().filter(|labels| !allowed.contains_key(labels)) {
            self.policy_allowed.remove(labels);
        }
        for (labels, verdicts) in allowed {
            self.policy_allowed.get_or_create(labels).inner().store(*verdicts, Ordering::Relaxed);
        }
    }

    /// The kernel has a change of objects, this long after it was seen.
    pub fn programmed(&self, took: Duration) {
        self.programming.observe(took.as_secs_f64());
    }

    /// The kernel has a change of endpoints, this long after it came about.
    pub fn network_programmed(&self, family: addr::Family, took: SignedDuration) {
        self.network_programming.get_or_create(&family.into()).observe(took.as_secs_f64());
    }

    /// How many Service ports of a family have, by their internal and their external policy, endpoints on other nodes only.
    pub fn set_no_local_endpoints(&self, family: addr::Family, internal: usize, external: usize) {
        for (traffic_policy, ports) in [("internal", internal), ("external", external)] {
            let label = TrafficPolicyLabel { traffic_policy, ip_family: IpFamilyLabel::from(family).ip_family };
            self.no_local_endpoints.get_or_create(&label).set(ports.cast_signed() as i64);
        }
    }

    /// A change of the tables is asked for.
    pub fn queued(&self) {
        set_now(&self.last_queued);
    }

    /// An attempt to bring the tables to what was asked for took this long. One attempt serves both families.
    pub fn synced(&self, took: Duration, succeeded: bool) {
        for label in IpFamilyLabel::ALL {
            self.sync_duration.get_or_create(&label).observe(took.as_secs_f64());
        }
        if succeeded {
            set_now(&self.last_synced);
        }
    }

    /// A Service came, changed or went; it isn't in the tables yet.
    pub fn service_changed(&self) {
        self.service_changes.inc();
        self.service_changes_pending.inc();
    }

    /// An `EndpointSlice` or Endpoints came, changed or went; it isn't in the tables yet.
    pub fn endpoints_changed(&self) {
        self.endpoint_changes.inc();
        self.endpoint_changes_pending.inc();
    }

    /// The tables have every change that came.
    pub fn nothing_pending(&self) {
        self.service_changes_pending.set(0);
        self.endpoint_changes_pending.set(0);
    }

    pub(super) fn count_healthz(&self, code: u16) {
        self.healthz.get_or_create(&Code { code }).inc();
    }

    pub(super) fn count_livez(&self, code: u16) {
        self.livez.get_or_create(&Code { code }).inc();
    }

    /// Every metric as text in the format of `OpenMetrics`.
    #[must_use]
    pub fn encode(&self) -> String {
        self.process.refresh();
        let mut text = String::new();
        #[expect(clippy::expect_used, reason = "a String takes all that is written to it")]
        encode(&mut text, &self.registry).expect("metrics have a text form");
        text
    }
}

/// A registry that gives back what it takes.
struct Names(Registry);

impl Names {
    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn family<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.add(name, help, M::default())
    }
}

fn set_now(gauge: &Family<IpFamilyLabel, SecondsGauge>) {
    let now = Timestamp::now().as_duration().as_secs_f64();
    for label in IpFamilyLabel::ALL {
        gauge.get_or_create(&label).set(now);
    }
}
