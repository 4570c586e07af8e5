//! A real API server: `etcd` and `kube-apiserver` of the directory that `KUBEBUILDER_ASSETS` names, as controller tests
//! have it, on the router of a lab. Its objects are changed by `kubectl`, if that is there too.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use super::PORT;
use super::access::Access;
use super::api::Api;
use super::certificates::Certificates;
use super::shared::lock;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::lab::Lab;
use crate::process::Process;
use crate::topology;

/// Names the directory of the programs.
const ASSETS: &str = "KUBEBUILDER_ASSETS";
/// Where etcd listens, inside the router's network namespace.
const ETCD: &str = "http://127.0.0.1:2379";
/// How long it may take to start.
const START: Duration = Duration::from_mins(2);
const TOKEN: &str = "lab-token";

/// A running one. Fields are in the order in which they end.
#[derive(Debug)]
pub struct RealApiServer {
    /// None while it is down.
    server: Mutex<Option<Process>>,
    _etcd: Process,
    program: PathBuf,
    arguments: Vec<String>,
    host: Host,
    writer: Writer,
    access: Access,
}

impl RealApiServer {
    /// Starts one where a lab's nodes reach it; returns when it answers.
    pub fn in_lab(lab: &Lab) -> Result<Self> {
        let address = SocketAddr::new(topology::NODE_GATEWAY.v4.into(), PORT);
        let certificates = Certificates::new(address.ip())?;
        let access = Access::new(&format!("https://{address}"), Some(&certificates.authority), TOKEN)?;
        let arguments = arguments(&access, &certificates, address)?;
        let data = format!("--data-dir={}", access.path("etcd").display());
        let urls = ["--listen-client-urls", "--advertise-client-urls"].map(|option| format!("{option}={ETCD}"));
        let etcd = lab.wire().spawn("etcd", asset("etcd")?, &[&[data][..], &urls].concat())?;
        let writer = Writer::new(lab.wire().clone(), access.kubeconfig());
        let program = asset("kube-apiserver")?;
        let server = Self {
            server: Mutex::new(None),
            _etcd: etcd,
            program,
            arguments,
            host: lab.wire().clone(),
            writer,
            access,
        };
        server.come_up()?;
        Ok(server)
    }
}

impl Api for RealApiServer {
    fn kubeconfig(&self) -> PathBuf {
        self.access.kubeconfig()
    }

    fn apply(&self, object: &Value) -> Result<()> {
        self.writer.apply(object)
    }

    fn delete(&self, object: &Value) -> Result<()> {
        self.writer.delete(object)
    }

    fn go_down(&self) -> Result<()> {
        *lock(&self.server) = None;
        Ok(())
    }

    fn come_up(&self) -> Result<()> {
        let mut server = self.host.spawn("kube-apiserver", &self.program, &self.arguments)?;
        // Before it has made the namespaces of the system, nothing can be put into them.
        server.wait_until(START, |_| {
            ["/readyz", "/api/v1/namespaces/default"].iter().all(|path| self.writer.get(path).is_ok())
        })?;
        *lock(&self.server) = Some(server);
        Ok(())
    }
}

/// Flags that every version from 1.30 on has.
fn arguments(access: &Access, certificates: &Certificates, address: SocketAddr) -> Result<Vec<String>> {
    let put = |name: &str, text: &str| Ok::<_, Error>(access.put(name, text)?.display().to_string());
    let service_account = put("service-account.key", &Certificates::private_key()?)?;
    let named = [
        ("etcd-servers", ETCD.to_owned()),
        ("advertise-address", address.ip().to_string()),
        ("secure-port", address.port().to_string()),
        ("tls-cert-file", put("server.crt", &certificates.server)?),
        ("tls-private-key-file", put("server.key", &certificates.key)?),
        ("cert-dir", access.path("certificates").display().to_string()),
        ("token-auth-file", put("tokens.csv", &format!("{TOKEN},lab,lab,system:masters\n"))?),
        ("authorization-mode", "RBAC".into()),
        ("service-account-issuer", "https://kubernetes.default.svc".into()),
        ("service-account-key-file", service_account.clone()),
        ("service-account-signing-key-file", service_account),
        ("service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/112".into()),
        // It would ask for accounts that no controller makes here.
        ("disable-admission-plugins", "ServiceAccount".into()),
        ("allow-privileged", "true".into()),
    ];
    Ok(named.map(|(name, value)| format!("--{name}={value}")).into())
}

/// A program of the directory that `KUBEBUILDER_ASSETS` names.
pub fn asset(name: &'static str) -> Result<PathBuf> {
    let dir = env::var_os(ASSETS).map(PathBuf::from).unwrap_or_default();
    let path = dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let build = "setup-envtest use, which downloads them";
    Err(Error::MissingProgram { name, variable: ASSETS, beside: dir, build })
}
