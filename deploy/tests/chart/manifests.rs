//! The chart's manifests are what Kubernetes' own types say, and agree with each other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Namespace, PodSpec, Probe, Service};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::support::{Objects, VARIANTS, strictly};

fn every_variant(check: impl Fn(&Objects) -> Result<()>) -> Result<()> {
    for (name, assignments) in VARIANTS {
        Objects::rendered(assignments).and_then(|objects| check(&objects)).with_context(|| name.to_owned())?;
    }
    Ok(())
}

fn agent(pod: &PodSpec) -> &Container {
    &pod.containers[0]
}

fn pod(daemon_set: &DaemonSet) -> &PodSpec {
    daemon_set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).expect("a DaemonSet has a template")
}

#[test]
fn every_manifest_has_only_fields_that_kubernetes_knows() -> Result<()> {
    every_variant(|objects| objects.0.iter().try_for_each(strictly))
}

#[test]
fn a_misspelt_field_is_found() -> Result<()> {
    let mut object = Objects::rendered(&[])?.of_kind("DaemonSet").clone();
    object["spec"]["template"]["spec"]["hostNetworks"] = true.into();
    let error = strictly(&object).unwrap_err().to_string();
    assert!(error.contains("hostNetworks"), "{error}");
    Ok(())
}

#[test]
fn the_selector_is_among_the_labels_and_holds_nothing_that_changes() -> Result<()> {
    every_variant(|objects| {
        let spec = objects.get::<DaemonSet>()?.spec.context("no spec")?;
        let selector = spec.selector.match_labels.context("no selector")?;
        let labels = spec.template.metadata.and_then(|meta| meta.labels).context("no labels")?;
        assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{selector:?} {labels:?}");
        let keys: Vec<_> = selector.keys().map(String::as_str).collect();
        assert_eq!(keys, ["app.kubernetes.io/instance", "app.kubernetes.io/name"]);
        Ok(())
    })
}

#[test]
fn every_mount_has_its_volume_and_every_volume_a_mount() -> Result<()> {
    every_variant(|objects| {
        let daemon_set = objects.get::<DaemonSet>()?;
        let pod = pod(&daemon_set);
        let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
        let mounted: BTreeSet<_> = containers
            .flat_map(|container| container.volume_mounts.iter().flatten())
            .map(|mount| &mount.name)
            .collect();
        let volumes: BTreeSet<_> = pod.volumes.iter().flatten().map(|volume| &volume.name).collect();
        assert_eq!(mounted, volumes);
        Ok(())
    })
}

#[test]
fn the_pod_runs_on_every_node_and_needs_no_service() -> Result<()> {
    let daemon_set = Objects::rendered(&[])?.get::<DaemonSet>()?;
    let pod = pod(&daemon_set);
    assert_eq!(pod.host_network, Some(true));
    assert_eq!(pod.dns_policy.as_deref(), Some("Default"));
    assert_eq!(pod.priority_class_name.as_deref(), Some("system-node-critical"));
    let [toleration] = pod.tolerations.as_deref().unwrap_or_default() else { anyhow::bail!("one toleration") };
    assert_eq!((toleration.operator.as_deref(), &toleration.key, &toleration.effect), (Some("Exists"), &None, &None));
    Ok(())
}

#[test]
fn two_agents_never_meet_on_a_node() -> Result<()> {
    let update = Objects::rendered(&[])?.get::<DaemonSet>()?.spec.and_then(|spec| spec.update_strategy);
    let surge = update.and_then(|update| update.rolling_update?.max_surge).context("no maxSurge")?;
    assert_eq!(serde_json::to_value(surge)?, 0);
    Ok(())
}

#[test]
fn an_agent_that_waits_for_the_api_server_is_not_killed() -> Result<()> {
    let daemon_set: DaemonSet = Objects::rendered(&[])?.get()?;
    let agent = agent(pod(&daemon_set));
    let path = |probe: &Option<Probe>| probe.as_ref()?.http_get.as_ref()?.path.clone();
    let probes = [&agent.startup_probe, &agent.liveness_probe, &agent.readiness_probe].map(path);
    assert_eq!(probes, ["/livez", "/livez", "/readyz"].map(|path| Some(path.into())));
    Ok(())
}

#[test]
fn the_image_is_the_charts_version_another_tag_or_a_digest() -> Result<()> {
    let digest = format!("sha256:{}", "0".repeat(64));
    let version = deploy::Chart::embedded()?.app_version;
    assert_eq!(version, env!("CARGO_PKG_VERSION"), "Chart.yaml: appVersion");
    for (assignments, expected) in [
        (vec![], format!("sluice:{version}")),
        (vec!["image.repository=r.example/s".to_owned(), "image.tag=v2".to_owned()], "r.example/s:v2".to_owned()),
        (vec!["image.tag=v2".to_owned(), format!("image.digest={digest}")], format!("sluice@{digest}")),
    ] {
        let assignments: Vec<_> = assignments.iter().map(String::as_str).collect();
        let daemon_set = Objects::rendered(&assignments)?.get::<DaemonSet>()?;
        assert_eq!(agent(pod(&daemon_set)).image.as_deref(), Some(expected.as_str()));
    }
    Ok(())
}

#[test]
fn the_api_servers_address_is_the_one_that_was_given() -> Result<()> {
    let daemon_set = Objects::rendered(&["k8sServiceHost=2001:db8::1", "k8sServicePort=443"])?.get::<DaemonSet>()?;
    let environment: BTreeMap<_, _> =
        agent(pod(&daemon_set)).env.iter().flatten().map(|env| (env.name.as_str(), env.value.as_deref())).collect();
    assert_eq!(environment["KUBERNETES_SERVICE_HOST"], Some("2001:db8::1"));
    assert_eq!(environment["KUBERNETES_SERVICE_PORT"], Some("443"));
    Ok(())
}

/// The API server refuses mount propagation to the node from a container that isn't privileged.
#[test]
fn without_privilege_the_container_has_the_listed_capabilities_and_shows_the_node_no_mount() -> Result<()> {
    let daemon_set = Objects::rendered(&["securityContext.privileged=false"])?.get::<DaemonSet>()?;
    let agent = agent(pod(&daemon_set));
    let context = agent.security_context.as_ref().context("no securityContext")?;
    assert_eq!(context.privileged, Some(false));
    let capabilities = context.capabilities.as_ref().context("no capabilities")?;
    assert_eq!(capabilities.drop.as_deref(), Some(&["ALL".to_owned()][..]));
    assert_eq!(capabilities.add.as_deref().unwrap_or_default(), ["NET_ADMIN", "NET_BROADCAST", "SYS_ADMIN"]);
    let propagation: BTreeSet<_> =
        agent.volume_mounts.iter().flatten().filter_map(|mount| mount.mount_propagation.as_deref()).collect();
    assert_eq!(propagation, BTreeSet::from(["HostToContainer"]));
    Ok(())
}

#[test]
fn the_namespace_admits_privileged_pods() -> Result<()> {
    let namespace = Objects::rendered(&["namespace.create=true"])?.get::<Namespace>()?;
    let labels = namespace.metadata.labels.context("no labels")?;
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "privileged");
    Ok(())
}

/// What the agent lists and watches, and what it writes. A right that nothing here needs is one too many.
#[test]
fn the_service_account_may_do_what_the_agent_does_and_nothing_else() -> Result<()> {
    let objects = Objects::rendered(&[])?;
    let mut rights = BTreeSet::new();
    for rule in objects.get::<ClusterRole>()?.rules.context("no rules")? {
        assert_eq!((&rule.resource_names, &rule.non_resource_urls), (&None, &None));
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                rights.extend(rule.verbs.iter().map(|verb| format!("{verb} {resource}.{group}")));
            }
        }
    }
    let followed = [
        "services.",
        "pods.",
        "namespaces.",
        "nodes.",
        "endpointslices.discovery.k8s.io",
        "networkpolicies.networking.k8s.io",
    ];
    let mut expected: BTreeSet<_> =
        followed.iter().flat_map(|kind| [format!("list {kind}"), format!("watch {kind}")]).collect();
    expected.insert("create events.events.k8s.io".into());
    assert_eq!(rights, expected);

    let binding = objects.get::<ClusterRoleBinding>()?;
    assert_eq!(Some(binding.role_ref.name), objects.get::<ClusterRole>()?.metadata.name);
    let subject = &binding.subjects.context("no subjects")?[0];
    let daemon_set = objects.get::<DaemonSet>()?;
    assert_eq!(Some(&subject.name), pod(&daemon_set).service_account_name.as_ref());
    assert_eq!(subject.namespace, daemon_set.metadata.namespace);
    Ok(())
}

#[test]
fn a_service_monitor_finds_the_agents_through_a_service_of_their_labels() -> Result<()> {
    let objects = Objects::rendered(&["serviceMonitor.enabled=true"])?;
    let service = objects.get::<Service>()?;
    let spec = service.spec.context("no spec")?;
    let daemon_set = objects.get::<DaemonSet>()?;
    assert_eq!(spec.selector, daemon_set.spec.as_ref().context("no spec")?.selector.match_labels);
    let port = spec.ports.context("no ports")?.swap_remove(0).target_port;
    let named =
        pod(&daemon_set).containers[0].ports.as_ref().is_some_and(|ports| ports[0].name == Some("metrics".into()));
    assert!(named && port == Some(IntOrString::String("metrics".into())));
    Ok(())
}

#[test]
fn metrics_are_on_the_nodes_addresses_only_where_somebody_is_to_read_them() -> Result<()> {
    let file = |assignments: &[&str]| -> Result<serde_json::Value> {
        let data = Objects::rendered(assignments)?.get::<ConfigMap>()?.data.context("no data")?;
        Ok(serde_yaml_ng::from_str(&data["config.yaml"])?)
    };
    assert!(file(&[])?.get("metricsBindAddress").is_none());
    for monitor in ["podMonitor.enabled=true", "serviceMonitor.enabled=true"] {
        assert_eq!(file(&[monitor])?["metricsBindAddress"], "0.0.0.0:10249");
    }
    assert_eq!(
        file(&["podMonitor.enabled=true", "config={metricsBindAddress: \"[::]:10249\"}"])?["metricsBindAddress"],
        "[::]:10249"
    );
    Ok(())
}
