//! Writes over HTTP.

use serde_json::{Value, json};

use super::ask::{Answer, ask, get};
use super::{server, version};
use crate::ApiServer;
use crate::api_server::Kind;
use crate::manifests::build::{http, service};

fn post(server: &ApiServer, path: &str, object: &Value) -> Answer {
    ask(server, &format!("POST {path}"), "Content-Type: application/json\r\n", &object.to_string())
}

#[test]
fn an_object_is_created_replaced_patched_and_deleted() {
    let server = server();
    let (all, one) = ("/api/v1/namespaces/default/services", "/api/v1/namespaces/default/services/new");
    assert_eq!(post(&server, all, &service("new", 11, &http())).code, 201);
    assert_eq!(post(&server, all, &service("new", 11, &http())).code, 409);
    let mut object = get(&server, one).json();
    object["spec"]["type"] = "NodePort".into();
    let replaced = ask(&server, &format!("PUT {one}"), "", &object.to_string()).json();
    assert!(version(&replaced) > version(&object));
    assert_eq!(replaced["metadata"]["uid"], object["metadata"]["uid"]);
    assert_eq!(ask(&server, &format!("PUT {one}"), "", &object.to_string()).code, 409, "of an old version");
    let patched = ask(&server, &format!("PATCH {one}"), "", "spec: {type: ClusterIP, selector: null}").json();
    assert_eq!((patched["spec"]["type"].as_str(), &patched["spec"]["selector"]), (Some("ClusterIP"), &Value::Null));
    assert_eq!(ask(&server, &format!("DELETE {one}"), "", "").code, 200);
    assert_eq!(get(&server, one).code, 404);
}

#[test]
fn events_are_kept_for_tests_to_read() {
    let server = server();
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"generateName": "web."}, "reason": "Refused",
    });
    assert_eq!(post(&server, "/apis/events.k8s.io/v1/namespaces/default/events", &event).code, 201);
    let kept = server.objects(Kind::of("events.k8s.io/v1", "Event").unwrap());
    assert_eq!(kept[0]["reason"], "Refused");
}
