//! `sluice install`.

mod apply;
mod image;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use deploy::{Manifest, Release, Values};
use serde_json::{Value, json};

use self::image::Image;
use super::output;

/// Name of the objects, and who looks after them.
const NAME: &str = "sluice";
const MANAGED_BY: &str = "sluice-install";

/// Print the manifests that run Sluice on every node of a cluster, or apply them
///
/// They are those of the Helm chart, which is in this program, and take the chart's values. Printed, unless --apply says
/// otherwise: `sluice install | kubectl apply -f -` is the same in two steps.
#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// Print the manifests (the default)
    #[arg(long, conflicts_with = "apply")]
    print: bool,
    /// Apply the manifests to a cluster, server-side; a second time it changes what differs
    #[arg(long)]
    apply: bool,
    /// kubeconfig file that says which cluster, and as whom [default: KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE", requires = "apply")]
    kubeconfig: Option<PathBuf>,
    /// Namespace to install into; made, with the labels that admit the agent, unless it is kube-system
    #[arg(long, short, value_name = "NAME", default_value = NAME)]
    namespace: String,
    /// Image of Sluice: `REPOSITORY[:TAG][@DIGEST]`
    #[arg(long, value_name = "IMAGE")]
    image: Option<Image>,
    /// Address of an API server for nodes without kube-proxy: `HOST[:PORT]`, reached without any Service
    #[arg(long, value_name = "ADDRESS")]
    api_server: Option<String>,
    /// Run the agent with the capabilities it needs instead of privileged
    #[arg(long)]
    capabilities: bool,
    /// File of values of the chart; may be given more than once
    #[arg(long, short = 'f', value_name = "FILE")]
    values: Vec<PathBuf>,
    /// One value of the chart, by its dotted key; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: &InstallArgs) -> anyhow::Result<ExitCode> {
    let release = Release { name: NAME.to_owned(), namespace: args.namespace.clone(), service: MANAGED_BY.to_owned() };
    let manifests = release.render(&args.values()?)?;
    if args.apply {
        return apply::run(args.kubeconfig.as_deref(), &manifests);
    }
    output::write(&stream(&manifests))
}

/// The manifests as one stream of YAML documents.
fn stream(manifests: &[Manifest]) -> String {
    manifests.iter().fold(String::new(), |text, manifest| text + "---\n" + &manifest.text)
}

impl InstallArgs {
    /// The chart's values with what these flags say. A later one wins: files, flags, single values.
    fn values(&self) -> anyhow::Result<Values> {
        let mut values = Values::defaults()?;
        // The system's own namespace is there, and has labels of its own.
        values.set("namespace.create", json!(self.namespace != "kube-system"))?;
        for path in &self.values {
            let file = path.display().to_string();
            let yaml = fs::read_to_string(path).with_context(|| format!("cannot read the values in {file}"))?;
            values.merge(&file, &yaml)?;
        }
        for (key, value) in self.flags()? {
            values.set(key, value)?;
        }
        for assignment in &self.set {
            values.assign(assignment)?;
        }
        Ok(values)
    }

    /// What the flags beside `--set` set.
    fn flags(&self) -> anyhow::Result<Vec<(&'static str, Value)>> {
        let mut set = Vec::new();
        if let Some(Image { repository, tag, digest }) = &self.image {
            set.extend([
                ("image.repository", json!(repository)),
                ("image.tag", json!(tag)),
                ("image.digest", json!(digest)),
            ]);
        }
        if let Some(address) = &self.api_server {
            let (host, port) = host_and_port(address).with_context(|| {
                format!("--api-server {address}: expected HOST[:PORT] without scheme, an IPv6 address with a port in brackets")
            })?;
            set.push(("k8sServiceHost", json!(host)));
            set.extend(port.map(|port| ("k8sServicePort", json!(port))));
        }
        if self.capabilities {
            set.push(("securityContext.privileged", json!(false)));
        }
        Ok(set)
    }
}

/// Splits `host`, `host:port`, `[IPv6]:port` and a bare IPv6 address.
fn host_and_port(address: &str) -> Option<(&str, Option<u16>)> {
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '[', ']', ' ']);
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None if address.matches(':').count() > 1 => (address, None),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(str::parse::<u16>).transpose().ok()?;
    is_host(host).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: InstallArgs,
    }

    fn values(line: &[&str]) -> Values {
        Line::parse_from(["install"].iter().chain(line)).args.values().unwrap()
    }

    #[test]
    fn an_api_server_is_a_host_and_perhaps_a_port() {
        for (address, expected) in [
            ("api.example", Some(("api.example", None))),
            ("192.0.2.1:443", Some(("192.0.2.1", Some(443)))),
            ("2001:db8::1", Some(("2001:db8::1", None))),
            ("[2001:db8::1]:443", Some(("2001:db8::1", Some(443)))),
            ("https://api.example", None),
            ("api.example:https", None),
            (":443", None),
            ("[2001:db8::1]443", None),
        ] {
            assert_eq!(host_and_port(address), expected, "{address}");
        }
    }

    #[test]
    fn flags_are_values_of_the_chart_and_a_single_value_wins() {
        let line =
            ["--image", "r.example/s:v2", "--api-server", "192.0.2.1:443", "--capabilities", "--set", "image.tag=v3"];
        let values = values(&line);
        assert_eq!(values.get("image.repository"), Some(&json!("r.example/s")));
        assert_eq!(values.get("image.tag"), Some(&json!("v3")));
        assert_eq!(values.get("k8sServiceHost"), Some(&json!("192.0.2.1")));
        assert_eq!(values.get("k8sServicePort"), Some(&json!(443)));
        assert_eq!(values.get("securityContext.privileged"), Some(&json!(false)));
    }

    #[test]
    fn the_namespace_is_made_unless_it_is_the_systems() {
        assert_eq!(values(&[]).get("namespace.create"), Some(&json!(true)));
        assert_eq!(values(&["--namespace", "kube-system"]).get("namespace.create"), Some(&json!(false)));
    }
}
