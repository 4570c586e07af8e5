//! What the suites on a real API server change objects with, on ours: by kubectl too, where `KUBEBUILDER_ASSETS` has one.

use anyhow::Result;
use lab::api_server::{Api as _, Kind, Settings, Writer};
use lab::manifests::build::{http, pod, service};
use lab::{ApiServer, Lab};
use serde_json::json;

#[test]
fn objects_are_written_with_their_status_and_deleted() -> Result<()> {
    let lab = Lab::builder().nodes(1).build()?;
    let server = ApiServer::in_lab(&lab, Settings { tls: true, token: true, ..Settings::default() })?;
    let writer = Writer::new(lab.wire().clone(), server.kubeconfig());
    let (pod, mut web) = (pod("web-1", "web", 1, 21), service("web", 10, &http()));
    writer.apply(&pod)?;
    writer.apply(&web)?;
    web["spec"]["ports"][0]["port"] = 8000.into();
    writer.apply(&web)?;
    let only = |kind| server.objects(Kind::of("v1", kind).expect("it is served")).remove(0);
    assert_eq!(only("Pod")["status"], pod["status"]);
    assert_eq!(only("Pod")["spec"]["nodeName"], "node1");
    assert_eq!(only("Service")["spec"]["ports"], json!([{"name": "http", "port": 8000, "targetPort": 8080}]));
    writer.delete(&pod)?;
    assert!(server.objects(Kind::of("v1", "Pod").expect("it is served")).is_empty());
    assert!(writer.delete(&pod).is_err(), "it is gone");
    Ok(())
}
