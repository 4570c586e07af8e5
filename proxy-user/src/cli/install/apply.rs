//! Manifests to a cluster, by server-side apply.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use deploy::Manifest;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config, ResourceExt as _};

use super::MANAGED_BY;
use crate::cli::output;

pub(super) fn run(kubeconfig: Option<&Path>, manifests: &[Manifest]) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let applied = runtime.block_on(async {
        let client = client(kubeconfig).await?;
        let mut applied = String::new();
        for manifest in manifests {
            applied += &apply(&client, manifest).await?;
        }
        anyhow::Ok(applied)
    })?;
    output::write(&applied)
}

async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    let read = || match kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let read = read().context("cannot tell which cluster; --kubeconfig names a file that says so")?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    Client::try_from(config.context("cannot use the kubeconfig")?).context("cannot make a client of the API server")
}

/// Applies one object, and says which. Fields that somebody else's tool holds are taken over: the manifests are whole.
async fn apply(client: &Client, manifest: &Manifest) -> anyhow::Result<String> {
    let object: DynamicObject = serde_yaml_ng::from_str(&manifest.text).context(manifest.template)?;
    let types = object.types.clone().with_context(|| format!("{}: no kind", manifest.template))?;
    let kind = GroupVersionKind::try_from(&types).with_context(|| format!("{}: no kind", manifest.template))?;
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.name_any();
    let params = PatchParams::apply(MANAGED_BY).force();
    api.patch(&name, &params, &Patch::Apply(&object))
        .await
        .with_context(|| format!("cannot apply {} {name}; what came before it is applied", types.kind))?;
    Ok(format!("{} {name} applied\n", types.kind))
}
