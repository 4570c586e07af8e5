//! `cargo xtask manifests`: the chart as plain manifests, for kustomize.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use deploy::{Release, Values};

use crate::workspace;

/// What kustomize reads, beside the manifests that it lists.
const KUSTOMIZATION: &str = "kustomization.yaml";
const HEAD: &str = "# Made by `cargo xtask manifests` from deploy/helm/sluice; change that.\n";

/// What to do with the manifests.
#[derive(Args)]
pub(crate) struct Manifests {
    /// Change nothing; fail where a file isn't what the chart makes
    #[arg(long)]
    check: bool,
}

impl Manifests {
    pub(crate) fn run(self) -> Result<()> {
        if self.check { check() } else { write() }
    }
}

/// Whether the files are what the chart makes.
pub(crate) fn check() -> Result<()> {
    let (made, found) = (made()?, found()?);
    let names = made.keys().chain(found.keys().filter(|name| !made.contains_key(*name)));
    let differing: Vec<_> = names.filter(|name| made.get(*name) != found.get(*name)).map(String::as_str).collect();
    if differing.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: not what the chart makes: {}; `cargo xtask manifests` makes them",
        folder().display(),
        differing.join(", ")
    )
}

fn write() -> Result<()> {
    let made = made()?;
    for name in found()?.keys().filter(|name| !made.contains_key(*name)) {
        fs::remove_file(folder().join(name)).with_context(|| format!("cannot remove {name}"))?;
    }
    fs::create_dir_all(folder()).with_context(|| format!("cannot make {}", folder().display()))?;
    for (name, text) in made {
        let path = folder().join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn folder() -> PathBuf {
    workspace::root().join("deploy/kustomize/base")
}

/// File names and texts, as they should be.
fn made() -> Result<BTreeMap<String, String>> {
    let mut values = Values::defaults()?;
    // kubectl makes the namespace of nobody.
    values.assign("namespace.create=true")?;
    let release = Release { name: "sluice".into(), namespace: "sluice".into(), service: "kustomize".into() };
    let manifests = release.render(&values)?;
    let listed = manifests.iter().fold(String::new(), |text, manifest| text + "  - " + manifest.template + "\n");
    let kustomization =
        format!("{HEAD}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{listed}");
    let files =
        manifests.into_iter().map(|manifest| (manifest.template.to_owned(), format!("{HEAD}{}", manifest.text)));
    Ok(files.chain([(KUSTOMIZATION.to_owned(), kustomization)]).collect())
}

/// File names and texts, as they are.
fn found() -> Result<BTreeMap<String, String>> {
    let Ok(entries) = fs::read_dir(folder()) else { return Ok(BTreeMap::new()) };
    let read = |entry: fs::DirEntry| -> Result<(String, String)> {
        let text =
            fs::read_to_string(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
        Ok((entry.file_name().to_string_lossy().into_owned(), text))
    };
    entries.map(|entry| read(entry?)).collect()
}
