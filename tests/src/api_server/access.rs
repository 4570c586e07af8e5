//! What a client needs to reach a server: a kubeconfig, and beside it the authority's certificate and the token.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::error::{Doing as _, Result};

/// Files for clients; they go with it.
#[derive(Debug)]
pub(super) struct Access {
    dir: TempDir,
}

impl Access {
    pub(super) fn new(server: &str, authority: Option<&str>, token: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-api-server").tempdir();
        let access = Self { dir: dir.doing(|| "make a directory for a kubeconfig".into())? };
        access.set_token(token)?;
        let mut cluster = json!({"server": server});
        if let Some(authority) = authority {
            let path = access.path("ca.crt");
            write(&path, authority)?;
            cluster["certificate-authority"] = path.display().to_string().into();
        }
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "agent", "user": {"tokenFile": access.path("token")}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "agent"}}],
            "current-context": "lab",
        });
        write(&access.kubeconfig(), &kubeconfig.to_string())?;
        Ok(access)
    }

    /// Puts another file beside them.
    pub(super) fn put(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        write(&path, text)?;
        Ok(path)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// Writes another token into the file that clients read, as a kubelet does before the old one expires.
    pub(super) fn set_token(&self, token: &str) -> Result<()> {
        write(&self.path("token"), token)
    }

    /// Where a file of it is, or may be put.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing(|| format!("write {}", path.display()))
}
