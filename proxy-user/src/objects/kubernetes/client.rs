//! Who to ask, as whom, and over what kind of connection.

use std::path::Path;
use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::ServiceBuilder;

use super::KubernetesError;

/// A connection on which nothing comes for so long is asked whether it still is one.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// And again after so long, so often, before it counts as dead.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
/// The same for what was sent and is not acknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Until a connection with TLS is there.
const CONNECT: Duration = Duration::from_secs(10);
/// For a server that acknowledges and says nothing: longer than a watch lasts.
const SILENCE: Duration = Duration::from_mins(5);

/// Who to ask and as whom: by a kubeconfig's current context, else by the service account of the Pod that this runs in,
/// whose token and authority are read again as they are rotated. The address is then that of `KUBERNETES_SERVICE_HOST`
/// and `KUBERNETES_SERVICE_PORT`.
pub(super) async fn config(kubeconfig: Option<&Path>) -> Result<Config, KubernetesError> {
    let Some(path) = kubeconfig else { return Ok(Config::incluster().map_err(Box::new)?) };
    let fail = |source| KubernetesError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(fail)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(fail)
}

/// A client that notices when its connection is dead. A load balancer before API servers that fails over may leave one
/// half open: nobody at the other end, and nothing to be told of it, so that only asking tells.
pub(super) fn connect(config: &Config) -> Result<Client, KubernetesError> {
    if let Some(proxy) = &config.proxy_url {
        return Err(KubernetesError::Proxy(proxy.to_string()));
    }
    let fail = |error| KubernetesError::Client(Box::new(error));
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp).map_err(fail)?);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_read_timeout(Some(SILENCE));
    connector.set_write_timeout(Some(SILENCE));
    // Else the time that a connection was idle counts.
    connector.set_reset_reader_on_write(true);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(fail)?)
        .layer(config.extra_headers_layer().map_err(fail)?)
        .map_err(tower::BoxError::from)
        .service(legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(connector));
    Ok(Client::new(service, config.default_namespace.clone()))
}
