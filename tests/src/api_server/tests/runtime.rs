//! A client of Kubernetes takes the server for one.

use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, ResourceExt as _};
use tokio::time::timeout;

use super::server;
use crate::ApiServer;
use crate::api_server::{Api as _, GoneAs, Settings};
use crate::manifests::build::pod;

/// Runs `work` with a client that has read the server's kubeconfig.
fn with_client<F: Future<Output = ()>>(server: &ApiServer, work: impl FnOnce(Client) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(server.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        timeout(Duration::from_secs(20), work(client)).await.expect("the client waits for what doesn't come");
    });
}

#[test]
fn objects_come_by_list_and_by_stream_and_again_after_gone() {
    for config in [watcher::Config::default().page_size(2), watcher::Config::default().streaming_lists()] {
        let server = server();
        with_client(&server, async |client| {
            let mut events = Box::pin(watcher(Api::<Pod>::all(client), config));
            for name in ["web-4", "web-5"] {
                let mut listed = Vec::new();
                loop {
                    match events.try_next().await {
                        Ok(Some(Event::InitApply(pod))) => listed.push(pod.name_any()),
                        Ok(Some(Event::InitDone)) => break,
                        Ok(Some(Event::Init)) => listed.clear(),
                        Ok(other) => panic!("{other:?}"),
                        Err(watcher::Error::WatchError(_) | watcher::Error::WatchStartFailed(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                assert!(listed.contains(&"web-1".into()), "{listed:?}");
                server.apply(&pod(name, "web", 1, 40)).unwrap();
                let event = events.try_next().await.unwrap();
                assert!(matches!(&event, Some(Event::Apply(pod)) if pod.name_any() == name), "{event:?}");
                server.compact(GoneAs::Event);
            }
        });
    }
}

#[test]
fn tls_and_a_token_are_asked_for() {
    let server = ApiServer::on_loopback(Settings { tls: true, token: true, ..Settings::default() }).unwrap();
    with_client(&server, async |client| {
        client.apiserver_version().await.unwrap();
        server.rotate_token().unwrap();
        let refused = client.apiserver_version().await.unwrap_err();
        assert!(matches!(&refused, kube::Error::Api(status) if status.code == 401), "{refused:?}");
    });
    with_client(&server, async |client| {
        client.apiserver_version().await.expect("the new token is where the old one was");
    });
}
