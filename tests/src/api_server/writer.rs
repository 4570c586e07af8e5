//! Changes objects as an administrator does: by kubectl where there is one, else by what kubectl would send.

use std::io;
use std::path::{Path, PathBuf};

use axum::http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::kind::Kind;
use super::real::asset;
use super::stored::Stored;
use crate::error::{Doing as _, Result};
use crate::host::Host;

/// Writes through a kubeconfig, from a host's network namespace.
#[derive(Debug)]
pub struct Writer {
    host: Host,
    kubeconfig: PathBuf,
    kubectl: Option<PathBuf>,
}

impl Writer {
    /// By the kubectl of [`super::RealApiServer`]'s directory, if there is one.
    #[must_use]
    pub fn new(host: Host, kubeconfig: PathBuf) -> Self {
        Self { host, kubeconfig, kubectl: asset("kubectl").ok() }
    }

    /// Creates an object or replaces it, then its status, which has a resource of its own.
    pub fn apply(&self, object: &Value) -> Result<()> {
        let (kind, status) = (Kind::of_object(object)?, &object["status"]);
        let key = Stored::key_of(kind, object);
        let mut named = json!({"apiVersion": object["apiVersion"], "kind": object["kind"]});
        named["metadata"] = json!({"name": key.1});
        if kind.namespaced {
            named["metadata"]["namespace"] = key.0.clone().into();
        }
        let mut rest = object.clone();
        rest["metadata"]["namespace"] = named["metadata"]["namespace"].clone();
        rest.as_object_mut().expect("an object is a JSON object").remove("status");
        if let Some(kubectl) = &self.kubectl {
            // The server refuses unknown fields of what is applied by itself; ours has no schema to be validated by.
            self.kubectl(kubectl, &["apply", "--server-side", "--force-conflicts", "--validate=false"], &rest)?;
            if !status.is_null() {
                named["status"] = status.clone();
                let patch = json!({"status": status}).to_string();
                let arguments = ["patch", "--subresource=status", "--type=merge", "--patch", &patch];
                self.kubectl(kubectl, &arguments, &named)?;
            }
            return Ok(());
        }
        let path = kind.path(&key);
        self.patch(&path, &rest)?;
        if !status.is_null() {
            named["status"] = status.clone();
            self.patch(&format!("{path}/status"), &named)?;
        }
        Ok(())
    }

    /// Deletes an object without waiting for a kubelet.
    pub fn delete(&self, object: &Value) -> Result<()> {
        let kind = Kind::of_object(object)?;
        let path = kind.path(&Stored::key_of(kind, object));
        match &self.kubectl {
            Some(kubectl) => self.kubectl(kubectl, &["delete", "--grace-period=0", "--force"], object),
            None => self.ask(Method::DELETE, &format!("{path}?gracePeriodSeconds=0"), String::new()).map(drop),
        }
    }

    /// Asks for a path, for what it says.
    pub fn get(&self, path: &str) -> Result<String> {
        self.ask(Method::GET, path, String::new())
    }

    fn kubectl(&self, kubectl: &Path, arguments: &[&str], object: &Value) -> Result<()> {
        let kubeconfig = self.kubeconfig.display().to_string();
        let kubectl = kubectl.display().to_string();
        let mut command = vec![&*kubectl, "--kubeconfig", &kubeconfig];
        command.extend(arguments);
        let file = self.kubeconfig.with_file_name("object.json");
        let path = file.display().to_string();
        std::fs::write(&file, object.to_string()).doing(|| format!("write {path}"))?;
        command.extend(["-f", &path]);
        self.host.run(&command).map(drop)
    }

    fn patch(&self, path: &str, object: &Value) -> Result<()> {
        let path = format!("{path}?fieldManager=lab&force=true");
        self.ask(Method::PATCH, &path, object.to_string()).map(drop)
    }

    /// On a thread in the host's network namespace, which is where its sockets are then.
    fn ask(&self, method: Method, path: &str, body: String) -> Result<String> {
        let what = format!("{method} {path}");
        let answer = self.host.inside(|| -> io::Result<String> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).map_err(io::Error::other)?;
                let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
                let client = Client::try_from(config.map_err(io::Error::other)?).map_err(io::Error::other)?;
                let request = Request::builder().method(method).uri(path);
                let request = request.header("Content-Type", "application/apply-patch+yaml").body(body.into_bytes());
                client.request_text(request.map_err(io::Error::other)?).await.map_err(io::Error::other)
            })
        })?;
        answer.doing(|| what)
    }
}
