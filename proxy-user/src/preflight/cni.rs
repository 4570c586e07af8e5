//! The network plugin that attaches this node's pods: whether their packets pass interfaces of the node that programs can
//! be at, and whether somebody else's programs claim the same.
//!
//! It is known by what it leaves: its configuration, its interfaces, its pins. None of these needs to be there, so what is
//! not found is no proof; what is found is named.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{Check, Outcome};
use crate::dataplane::ebpf::interface_names;

const NAME: &str = "network plugin";
/// Where container runtimes look for the configuration of plugins.
const CONFIGURATION: &str = "/etc/cni/net.d";
const BPFFS: &str = "/sys/fs/bpf";

/// What is found of a plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// `type` of a plugin in the configuration that the runtime uses.
    Plugin(&'static str),
    /// An interface of this name.
    Interface(&'static str),
    /// A file or directory below the BPF file system whose name begins so.
    Pin(&'static str, &'static str),
}

/// A plugin that can't be served, or not alone.
struct Conflict {
    plugin: &'static str,
    outcome: Outcome,
    signs: &'static [Sign],
    mend: &'static str,
}

const NO_INTERFACE: &str = "its pods' packets pass no interface of the node that programs can be at: Services of pods need \
                            `--socket-lb on`, and policies don't hold; use a plugin that gives pods veth or netkit interfaces";
const SWITCH: &str = "its switch decides where pods' packets go, past the node's routes: use its own service proxy and \
                      policies instead of Sluice, or another plugin";

/// Most telling first: the first that is found is told.
const CONFLICTS: [Conflict; 9] = [
    Conflict {
        plugin: "Cilium",
        outcome: Outcome::Fail,
        signs: &[
            Sign::Interface("cilium_host"),
            Sign::Interface("cilium_net"),
            Sign::Plugin("cilium-cni"),
            Sign::Pin("tc/globals", "cilium_"),
        ],
        mend: "its programs serve Services and enforce policies at the same hooks: use one of the two. After it was removed, \
               `cilium-dbg post-uninstall-cleanup` on the node takes away what it left",
    },
    Conflict {
        plugin: "Calico's eBPF dataplane",
        outcome: Outcome::Fail,
        signs: &[Sign::Interface("bpfin.cali"), Sign::Interface("bpfout.cali"), Sign::Pin("tc/globals", "cali_")],
        mend: "its programs serve Services and enforce policies at the same hooks: set `linuxDataplane: Iptables` (or \
               Nftables) in Calico's Installation; `calico-node -bpf-cleanup` takes away what is left",
    },
    Conflict {
        plugin: "Antrea",
        outcome: Outcome::Fail,
        signs: &[Sign::Interface("antrea-gw0"), Sign::Plugin("antrea")],
        mend: SWITCH,
    },
    Conflict {
        plugin: "OVN-Kubernetes",
        outcome: Outcome::Fail,
        signs: &[Sign::Interface("ovn-k8s-mp0"), Sign::Plugin("ovn-k8s-cni-overlay")],
        mend: SWITCH,
    },
    Conflict {
        plugin: "Kube-OVN",
        outcome: Outcome::Fail,
        signs: &[Sign::Interface("ovn0"), Sign::Plugin("kube-ovn")],
        mend: SWITCH,
    },
    Conflict { plugin: "macvlan", outcome: Outcome::Fail, signs: &[Sign::Plugin("macvlan")], mend: NO_INTERFACE },
    Conflict { plugin: "ipvlan", outcome: Outcome::Fail, signs: &[Sign::Plugin("ipvlan")], mend: NO_INTERFACE },
    Conflict {
        plugin: "SR-IOV",
        outcome: Outcome::Fail,
        signs: &[Sign::Plugin("sriov"), Sign::Plugin("ib-sriov"), Sign::Plugin("host-device")],
        mend: NO_INTERFACE,
    },
    Conflict {
        plugin: "AWS's network policy agent",
        outcome: Outcome::Warn,
        signs: &[Sign::Pin("globals/aws", "")],
        mend: "it enforces NetworkPolicies too, and what either denies is dropped: set `enableNetworkPolicy: \"false\"` in the \
               configuration of the VPC CNI plugin",
    },
];

/// What a node shows of its plugin.
#[derive(Debug, Default)]
struct Evidence {
    /// The configuration that the runtime uses, and the types of its plugins.
    configuration: Option<(String, Vec<String>)>,
    interfaces: Vec<String>,
    /// Directory of each [`Sign::Pin`], and the names in it.
    pins: Vec<(&'static str, Vec<String>)>,
}

pub(super) fn check() -> Check {
    judge(&Evidence::of_this_node(Path::new(CONFIGURATION), Path::new(BPFFS)))
}

fn judge(evidence: &Evidence) -> Check {
    for Conflict { plugin, outcome, signs, mend } in CONFLICTS {
        if let Some(sign) = signs.iter().find_map(|sign| evidence.shows(*sign)) {
            return Check { name: NAME, outcome, found: format!("{plugin}, by {sign}"), mend: Some(mend) };
        }
    }
    Check::ok(
        NAME,
        match &evidence.configuration {
            Some((file, types)) => format!("{} ({file})", types.join(", ")),
            None => format!("no sign of one that can't be served; {CONFIGURATION} has nothing"),
        },
    )
}

impl Evidence {
    fn of_this_node(configuration: &Path, bpffs: &Path) -> Self {
        let directories = CONFLICTS.iter().flat_map(|conflict| conflict.signs).filter_map(|sign| match sign {
            Sign::Pin(directory, _) => Some(*directory),
            Sign::Plugin(_) | Sign::Interface(_) => None,
        });
        Self {
            configuration: first_configuration(configuration),
            interfaces: interface_names().unwrap_or_default(),
            pins: directories.map(|directory| (directory, names(&bpffs.join(directory)))).collect(),
        }
    }

    /// The sign in words, if it is there.
    fn shows(&self, sign: Sign) -> Option<String> {
        match sign {
            Sign::Plugin(kind) => {
                let (file, types) = self.configuration.as_ref()?;
                types.iter().any(|found| found == kind).then(|| format!("the plugin {kind} in {file}"))
            }
            Sign::Interface(name) => {
                self.interfaces.iter().any(|found| found == name).then(|| format!("the interface {name}"))
            }
            Sign::Pin(directory, prefix) => {
                let (_, names) = self.pins.iter().find(|(found, _)| *found == directory)?;
                let name = names.iter().find(|name| name.starts_with(prefix))?;
                Some(format!("{BPFFS}/{directory}/{name}"))
            }
        }
    }
}

/// A network configuration: a list of plugins, or one plugin by itself.
#[derive(Deserialize)]
struct Configuration {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    #[serde(rename = "type")]
    kind: String,
}

/// The first file by name, which is the one that container runtimes use, and the types of its plugins.
fn first_configuration(directory: &Path) -> Option<(String, Vec<String>)> {
    let mut files = names(directory);
    let is_configuration = |name: &String| {
        Path::new(name).extension().is_some_and(|end| end == "conf" || end == "conflist" || end == "json")
    };
    files.retain(is_configuration);
    files.sort_unstable();
    let path = directory.join(files.into_iter().next()?);
    let configuration: Configuration = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
    let types = configuration.kind.into_iter().chain(configuration.plugins.into_iter().map(|plugin| plugin.kind));
    Some((path.display().to_string(), types.collect()))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests;
