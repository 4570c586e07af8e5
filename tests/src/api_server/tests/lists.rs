//! Lists and single objects.

use super::ask::{ask, get};
use super::{names, server, version};
use crate::api_server::Api as _;
use crate::manifests::build::pod;

const METADATA_LIST: &str = "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1\r\n";

#[test]
fn pages_of_a_list_are_of_one_moment() {
    let server = server();
    let first = get(&server, "/api/v1/pods?limit=2").json();
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["web-1", "web-2"], &1.into()));
    server.delete(&pod("web-3", "web", 1, 20)).unwrap();
    server.apply(&pod("web-4", "web", 1, 40)).unwrap();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = get(&server, &format!("/api/v1/pods?limit=2&continue={token}")).json();
    assert_eq!((names(&second), &second["metadata"]["continue"]), (vec!["web-3"], &serde_json::Value::Null));
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(names(&get(&server, "/api/v1/pods").json()), ["web-1", "web-2", "web-4"]);
    server.compact(crate::api_server::GoneAs::Event);
    assert_eq!(get(&server, &format!("/api/v1/pods?limit=2&continue={token}")).code, 410);
}

#[test]
fn a_list_at_version_0_comes_at_once() {
    let list = get(&server(), "/api/v1/pods?limit=1&resourceVersion=0").json();
    assert_eq!(names(&list).len(), 3);
    assert_eq!(list["kind"], "PodList");
    assert!(list["items"][0]["kind"].is_null(), "items of a list don't say their kind");
    assert!(version(&list["items"][0]) < version(&list));
}

#[test]
fn selectors_choose() {
    let server = server();
    for (query, expected) in [
        ("fieldSelector=spec.nodeName%3Dnode2", vec!["web-2"]),
        ("fieldSelector=metadata.name!=web-1,spec.hostNetwork=false", vec!["web-2", "web-3"]),
        ("labelSelector=app%20in%20(web,other)", vec!["web-1", "web-2", "web-3"]),
        ("labelSelector=app+notin+(web)", vec![]),
        ("labelSelector=!app", vec![]),
        ("labelSelector=app,app!=other", vec!["web-1", "web-2", "web-3"]),
    ] {
        assert_eq!(names(&get(&server, &format!("/api/v1/pods?{query}")).json()), expected, "{query}");
    }
    let refused = get(&server, "/api/v1/pods?fieldSelector=spec.colour%3Dred");
    assert_eq!(refused.code, 400);
    assert_eq!(refused.json()["message"], "field label not supported: spec.colour");
    assert_eq!(names(&get(&server, "/api/v1/namespaces/other/pods").json()), [""; 0]);
}

#[test]
fn metadata_may_be_all_that_is_asked_for() {
    let server = server();
    let list = ask(&server, "GET /api/v1/pods?limit=1", METADATA_LIST, "").json();
    assert_eq!(
        (list["kind"].as_str(), list["apiVersion"].as_str()),
        (Some("PartialObjectMetadataList"), Some("meta.k8s.io/v1"))
    );
    assert_eq!(list["items"][0]["metadata"]["labels"]["app"], "web");
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert!(list["items"][0]["spec"].is_null());
}

#[test]
fn one_object_says_its_kind() {
    let server = server();
    let object = get(&server, "/api/v1/namespaces/default/services/web").json();
    assert_eq!((object["kind"].as_str(), object["apiVersion"].as_str()), (Some("Service"), Some("v1")));
    assert_eq!(get(&server, "/api/v1/namespaces/default/services/none").code, 404);
}

#[test]
fn kinds_can_be_discovered() {
    let server = server();
    assert_eq!(get(&server, "/version").json()["major"], "1");
    let groups = get(&server, "/apis").json();
    let found: Vec<_> =
        groups["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["discovery.k8s.io", "events.k8s.io", "networking.k8s.io"]);
    assert_eq!(get(&server, "/apis/discovery.k8s.io/v1").json()["resources"][0]["name"], "endpointslices");
    assert_eq!(get(&server, "/apis/apps/v1").code, 404);
}
