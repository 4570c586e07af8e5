//! From what kube-proxy was given to settings of ours.

use std::net::IpAddr;

use super::fields::{Field, Meaning, field};
use super::given::{Given, Ignored, Values, is_empty, text};
use crate::config::{ConfigError, LogFormat, Settings};

/// The settings that mean the same, and what has no meaning here.
pub(in crate::config) fn settings(values: &Values) -> Result<Settings, ConfigError> {
    let mode = Mode::of(values)?;
    let hosts = Hosts::of(values)?;
    let port = |field: &str, host: &str| -> Result<Option<String>, ConfigError> {
        Ok(values.text(field)?.map(|port| if port == "0" { String::new() } else { format!("{host}:{port}") }))
    };
    Ok(Settings {
        node_name: values.text("hostnameOverride")?,
        kubeconfig: values.text("clientConnection.kubeconfig")?.map(Into::into),
        node_port_addresses: values.list("nodePortAddresses")?.or(mode.node_port_addresses),
        localhost_node_ports: values
            .bool("iptables.localhostNodePorts")?
            .filter(|_| mode.has_loopback)
            .or(mode.localhost_node_ports),
        healthz_bind_address: values
            .text("healthzBindAddress")?
            .or(port("healthzPort", hosts.healthz.unwrap_or("0.0.0.0"))?)
            .or(hosts.healthz.map(Into::into)),
        metrics_bind_address: values
            .text("metricsBindAddress")?
            .or(port("metricsPort", hosts.metrics.unwrap_or("127.0.0.1"))?)
            .or(hosts.metrics.map(Into::into)),
        bind_address_hard_fail: values.bool("bindAddressHardFail")?,
        log_format: log_format(values)?,
        ignored: values.0.iter().filter_map(|(path, given)| ignored(path, given)).collect(),
        ..Settings::default()
    })
}

fn log_format(values: &Values) -> Result<Option<LogFormat>, ConfigError> {
    let invalid = |value| ConfigError::KubeProxy { name: "logging.format".into(), value, expected: "text or json" };
    match values.text("logging.format")? {
        None => Ok(None),
        Some(format) if format == "json" => Ok(Some(LogFormat::Json)),
        Some(format) if format == "text" => Ok(Some(LogFormat::Text)),
        Some(format) => Err(invalid(format)),
    }
}

/// What kube-proxy's mode changes of what is served; how it is served is our own.
struct Mode {
    node_port_addresses: Option<Vec<String>>,
    localhost_node_ports: Option<bool>,
    has_loopback: bool,
}

impl Mode {
    fn of(values: &Values) -> Result<Self, ConfigError> {
        match values.text("mode")?.as_deref() {
            None | Some("iptables" | "ipvs") => {
                Ok(Self { node_port_addresses: None, localhost_node_ports: None, has_loopback: true })
            }
            // Rules 2.17 and 2.18: node ports are at the primary addresses unless told otherwise, and never at loopback.
            Some("nftables") => Ok(Self {
                node_port_addresses: Some(vec!["primary".into()]),
                localhost_node_ports: Some(false),
                has_loopback: false,
            }),
            Some(mode) => Err(ConfigError::KubeProxy {
                name: "mode".into(),
                value: mode.into(),
                expected: "iptables, ipvs, nftables or empty, none of which says how Sluice serves: that is --mode",
            }),
        }
    }
}

/// Where servers listen by default: in the family of `bindAddress` (rule 8.11), to which nothing else is bound.
struct Hosts {
    healthz: Option<&'static str>,
    metrics: Option<&'static str>,
}

impl Hosts {
    fn of(values: &Values) -> Result<Self, ConfigError> {
        let Some(address) = values.text("bindAddress")? else { return Ok(Self { healthz: None, metrics: None }) };
        match address.parse() {
            Ok(IpAddr::V4(_)) => Ok(Self { healthz: None, metrics: None }),
            Ok(IpAddr::V6(_)) => Ok(Self { healthz: Some("[::]"), metrics: Some("[::1]") }),
            Err(_) => {
                Err(ConfigError::KubeProxy { name: "bindAddress".into(), value: address, expected: "an IP address" })
            }
        }
    }
}

/// What is to be told of a field.
fn ignored(path: &str, given: &Given) -> Option<Ignored> {
    let (defaults, reason) = match field(path) {
        Some(Field { meaning: Meaning::Mapped, .. }) => return None,
        Some(Field { meaning: Meaning::Ignored { defaults, reason }, .. }) => (*defaults, *reason),
        None => (&[][..], "kube-proxy has no such field"),
    };
    let value = text(&given.value);
    let is_default = is_empty(&given.value) || defaults.contains(&value.as_str());
    (!is_default).then(|| Ignored { name: given.name.clone(), value, reason: reason.into() })
}
