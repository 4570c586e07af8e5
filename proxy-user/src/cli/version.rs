//! `sluice version`.

use std::process::ExitCode;

use clap::Args;
use proxy_common::tables;
use serde::Serialize;

use super::Bpffs;
use super::output::{self, Format};
use crate::dataplane::ebpf::read;
use crate::explain::explain;
use crate::status::Agent;

/// Print the version of this binary, of the running agent, and of the tables in the kernel
///
/// Every command but this one and `cleanup` reads tables of its own layout only: on a node take the sluice of its agent.
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    #[command(flatten)]
    bpffs: Bpffs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    version: &'static str,
    table_layout: u32,
    architecture: &'static str,
    /// Version of the agent that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// Layouts of the tables that are in the kernel: one, but for the moments of an upgrade.
    tables: Vec<u32>,
    /// What could not be found out, and why.
    unknown: Vec<String>,
}

pub(super) fn run(args: &VersionArgs) -> anyhow::Result<ExitCode> {
    let versions = Versions::find(&args.bpffs);
    output::write(&match args.output {
        Format::Text => versions.text(),
        Format::Json => output::json(&versions)?,
        Format::Yaml => output::yaml(&versions)?,
    })
}

impl Versions {
    /// What can be found out here.
    pub(super) fn find(Bpffs { bpffs }: &Bpffs) -> Self {
        let mut unknown = Vec::new();
        let agent = Agent::read(bpffs).unwrap_or_else(|error| {
            unknown.push(explain(&error));
            Agent::Unknown
        });
        let tables = read::layouts(bpffs).unwrap_or_else(|error| {
            unknown.push(explain(&error));
            Vec::new()
        });
        let agent = match agent {
            Agent::Alive(status) => status.map(|status| status.version),
            Agent::Dead(_) | Agent::Unknown => None,
        };
        let (version, table_layout) = (env!("CARGO_PKG_VERSION"), tables::VERSION);
        Self { version, table_layout, architecture: std::env::consts::ARCH, agent, tables, unknown }
    }

    fn text(&self) -> String {
        let Self { version, table_layout, architecture, agent, tables, unknown } = self;
        let mut lines = vec![format!("sluice {version} (table layout v{table_layout}, {architecture})")];
        lines.extend(agent.as_ref().map(|version| format!("agent {version} runs")));
        lines.extend(tables.iter().map(|layout| {
            let hint =
                if layout == table_layout { "" } else { ": to read them, take the sluice of the agent that made them" };
            format!("tables of layout v{layout} are in the kernel{hint}")
        }));
        lines.extend(unknown.iter().map(|what| format!("unknown: {what}")));
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(tables: Vec<u32>) -> Versions {
        let agent = Some("9.9.9".to_owned());
        Versions { version: "1.0.0", table_layout: 3, architecture: "x", agent, tables, unknown: Vec::new() }
    }

    #[test]
    fn tables_of_another_layout_come_with_the_binary_to_take() {
        assert_eq!(
            versions(vec![3]).text(),
            "sluice 1.0.0 (table layout v3, x)\nagent 9.9.9 runs\ntables of layout v3 are in the kernel\n"
        );
        assert!(versions(vec![4]).text().contains("v4 are in the kernel: to read them, take the sluice of the agent"));
    }
}
