//! From objects to the tables, where the kernel doesn't take what it is given.

use std::fs;

use proxy_user::agent::Services;
use proxy_user::config::{Settings, SocketLb};
use proxy_user::dataplane::ebpf::TcMode;
use proxy_user::model::{Change, Kind, ObjectRef};
use proxy_user::objects::ObjectEvent;
use proxy_user::objects::manifest::ManifestSource;
use proxy_user::serve::Metrics;

use crate::support::Place;

const WEB: &str = "{apiVersion: v1, kind: Service, metadata: {name: web}, \
                   spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}";

fn metrics() -> Metrics {
    let settings = Settings { manifests: Some("/m".into()), socket_lb: Some(SocketLb::Off), ..Settings::default() };
    Metrics::new(&settings.resolve().unwrap())
}

/// What a directory with this one manifest tells at first.
fn told_of(manifest: &str) -> Vec<ObjectEvent> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("manifest.yaml"), manifest).unwrap();
    ManifestSource::new(dir.path()).unwrap().1
}

/// A file that can't be read keeps what an earlier agent left, as nobody knows whether that file asks for it. It doesn't
/// keep what this agent has seen go.
#[test]
fn a_service_that_goes_while_the_kernel_refuses_goes_with_the_next_attempt_whatever_else_is_wrong() {
    let (place, metrics) = (Place::new(), metrics());
    let mut dataplane = place.open(TcMode::Tcx).unwrap();
    let mut services = Services::new("node1");
    services.take(told_of(WEB), &metrics);
    services.sync(&mut dataplane, &metrics).unwrap();
    assert_eq!(dataplane.read_image().unwrap().services.len(), 1);

    let web = ObjectRef { kind: Kind::Service, namespace: "default".into(), name: "web".into() };
    services.take(vec![ObjectEvent::Change(Change::Delete(web))], &metrics);
    services.take(told_of("kind: ["), &metrics);
    // The kernel takes none of these.
    assert_ne!(services.writes(&dataplane).unwrap(), []);
    services.sync(&mut dataplane, &metrics).unwrap();
    assert_eq!(dataplane.read_image().unwrap().services.len(), 0);
}
