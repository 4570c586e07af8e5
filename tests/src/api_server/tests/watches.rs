//! Watches.

use super::ask::{ask, get};
use super::{labelled, name, server, version};
use crate::ApiServer;
use crate::api_server::{Api as _, GoneAs, Settings};
use crate::manifests::build::pod;

const METADATA: &str = "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1\r\n";

fn now(server: &ApiServer) -> u64 {
    version(&get(server, "/api/v1/pods").json())
}

#[test]
fn changes_after_a_version_are_told_in_their_order() {
    let server = server();
    let before = now(&server);
    server.apply(&labelled(pod("web-1", "web", 1, 20), "x", "1")).unwrap();
    server.apply(&labelled(pod("web-1", "web", 1, 20), "x", "1")).unwrap(); // as it is: no event
    let mut watch = get(&server, &format!("/api/v1/pods?watch=1&resourceVersion={before}"));
    let (modified, object) = watch.event();
    assert_eq!((&*modified, name(&object), version(&object)), ("MODIFIED", "web-1", before + 1));
    assert_eq!(object["kind"], "Pod");
    server.delete(&pod("web-1", "web", 1, 20)).unwrap();
    let (deleted, object) = watch.event();
    assert_eq!((&*deleted, name(&object), version(&object)), ("DELETED", "web-1", before + 2));
    server.apply(&pod("web-9", "web", 1, 90)).unwrap();
    assert_eq!(watch.event().0, "ADDED");
}

#[test]
fn what_leaves_the_selection_is_deleted_and_what_enters_it_is_added() {
    let server = server();
    let path = format!("/api/v1/pods?watch=1&labelSelector=x%3D1&resourceVersion={}", now(&server));
    let mut watch = get(&server, &path);
    for (value, expected) in [("1", "ADDED"), ("2", "DELETED"), ("1", "ADDED")] {
        server.apply(&labelled(pod("web-1", "web", 1, 20), "x", value)).unwrap();
        let (event, object) = watch.event();
        assert_eq!((&*event, object["metadata"]["labels"]["x"].as_str()), (expected, Some("1")));
        assert_eq!(version(&object), now(&server));
    }
}

#[test]
fn a_watch_can_begin_with_all_objects_and_say_where_they_end() {
    let server = server();
    let path = "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = ask(&server, &format!("GET {path}"), METADATA, "");
    for expected in ["web-1", "web-2", "web-3"] {
        let (event, object) = watch.event();
        assert_eq!((&*event, name(&object), object["spec"].is_null()), ("ADDED", expected, true));
    }
    let (event, object) = watch.event();
    assert_eq!((&*event, object["kind"].as_str()), ("BOOKMARK", Some("PartialObjectMetadata")));
    assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let old = ApiServer::on_loopback(Settings { watch_list: false, ..Settings::default() }).unwrap();
    assert_eq!(get(&old, path).code, 422);
}

#[test]
fn bookmarks_carry_the_version_of_other_kinds_changes() {
    let server = server();
    let mut watch =
        get(&server, &format!("/api/v1/nodes?watch=1&allowWatchBookmarks=1&resourceVersion={}", now(&server)));
    server.apply(&pod("web-9", "web", 1, 90)).unwrap();
    let (event, object) = watch.event();
    assert_eq!((&*event, version(&object)), ("BOOKMARK", now(&server)));
}

#[test]
fn a_watch_ends_when_it_asked_to() {
    let mut watch = get(&server(), "/api/v1/nodes?watch=1&timeoutSeconds=1");
    assert_eq!(watch.line(), "");
}

#[test]
fn a_version_before_the_history_is_gone() {
    let server = server();
    let before = now(&server);
    let path = format!("/api/v1/pods?watch=1&resourceVersion={before}");
    let mut running = get(&server, &path);
    server.compact(GoneAs::Event);
    for watch in [&mut running, &mut get(&server, &path)] {
        let (event, status) = watch.event();
        assert_eq!((&*event, &status["code"], &status["reason"]), ("ERROR", &410.into(), &"Expired".into()));
        assert_eq!(watch.line(), "", "the stream ends");
    }
    server.compact(GoneAs::Status);
    let refused = get(&server, &path);
    assert_eq!(refused.code, 410);
    assert_eq!(refused.json()["reason"], "Expired");
    let mut fresh = get(&server, &format!("/api/v1/pods?watch=1&resourceVersion={}", now(&server)));
    server.delete(&pod("web-1", "web", 1, 20)).unwrap();
    assert_eq!(fresh.event().0, "DELETED");
}
