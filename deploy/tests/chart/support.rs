//! Rendered manifests as objects.

use anyhow::{Context as _, Result, bail, ensure};
use deploy::{Release, Values};
use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Values that reach every branch of the templates, each with a name for who reads a failure.
pub(crate) const VARIANTS: [(&str, &[&str]); 7] = [
    ("defaults", &[]),
    ("namespace", &["namespace.create=true"]),
    ("capabilities", &["securityContext.privileged=false", "securityContext.seLinuxOptions={type: spc_t}"]),
    ("API server", &["k8sServiceHost=api.example", "k8sServicePort=443", "probes.host=127.0.0.1"]),
    ("cleanup", &["cleanup.enabled=true", "appArmor=annotation"]),
    (
        "monitoring",
        &[
            "podMonitor.enabled=true",
            "serviceMonitor.enabled=true",
            "prometheusRule.enabled=true",
            "grafanaDashboard.enabled=true",
        ],
    ),
    (
        "everything free",
        &[
            "imagePullSecrets=[{name: registry}]",
            "affinity={nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
            "extraArgs=[--policy-mode=audit]",
            "extraEnv=[{name: RUST_LOG, value: debug}]",
            "podAnnotations={a.example/b: c}",
            "podLabels={team: network}",
            "config={socketLb: host, devices: [eth0]}",
        ],
    ),
];

/// Everything that the chart makes.
pub(crate) struct Objects(pub(crate) Vec<Value>);

impl Objects {
    pub(crate) fn rendered(assignments: &[&str]) -> Result<Self> {
        let mut values = Values::defaults()?;
        for assignment in assignments {
            values.assign(assignment)?;
        }
        let release = Release { name: "sluice".into(), namespace: "sluice".into(), service: "Helm".into() };
        let manifests = release.render(&values)?;
        let parse = |manifest: &deploy::Manifest| serde_yaml_ng::from_str(&manifest.text).context(manifest.template);
        Ok(Self(manifests.iter().map(parse).collect::<Result<_>>()?))
    }

    /// The first object of a kind.
    pub(crate) fn of_kind(&self, kind: &str) -> &Value {
        self.0.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("the chart makes no {kind}"))
    }

    pub(crate) fn get<T: Resource + DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_value(self.of_kind(T::KIND).clone())?)
    }
}

/// Reads an object as its type, and refuses fields that the type doesn't have.
pub(crate) fn strictly(object: &Value) -> Result<()> {
    match object["kind"].as_str().context("no kind")? {
        DaemonSet::KIND => known::<DaemonSet>(object),
        ConfigMap::KIND => known::<ConfigMap>(object),
        Namespace::KIND => known::<Namespace>(object),
        Service::KIND => known::<Service>(object),
        ServiceAccount::KIND => known::<ServiceAccount>(object),
        ClusterRole::KIND => known::<ClusterRole>(object),
        ClusterRoleBinding::KIND => known::<ClusterRoleBinding>(object),
        // The Prometheus operator's own.
        "PodMonitor" | "PrometheusRule" | "ServiceMonitor" => Ok(()),
        other => bail!("this test doesn't know the kind {other}"),
    }
}

fn known<T: Resource + DeserializeOwned>(object: &Value) -> Result<()> {
    ensure!(object["apiVersion"] == T::API_VERSION, "{} is of {}", T::KIND, T::API_VERSION);
    let mut unknown = Vec::new();
    let _: T = serde_ignored::deserialize(object, |path| unknown.push(path.to_string()))?;
    ensure!(unknown.is_empty(), "{} has no field {}", T::KIND, unknown.join(", "));
    Ok(())
}
