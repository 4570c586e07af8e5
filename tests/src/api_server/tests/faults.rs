//! Everything that can be made to go wrong does, and ends.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::ask::{ask, get};
use super::{name, names, server};
use crate::api_server::{Api as _, Fault, Verb};
use crate::manifests::build::pod;

#[test]
fn a_status_hits_the_verb_and_the_kind_it_is_for() {
    let server = server();
    server.fail(Verb::List, Some("pods"), Fault::Status(403));
    let refused = get(&server, "/api/v1/pods");
    assert_eq!(refused.code, 403);
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("cannot list resource \"pods\""), "{message}");
    assert_eq!(get(&server, "/api/v1/services").code, 200);
    assert_eq!(get(&server, "/api/v1/namespaces/default/pods/web-1").code, 200);
    server.heal();
    assert_eq!(get(&server, "/api/v1/pods").code, 200);
    server.fail(Verb::List, None, Fault::TooManyRequests(7));
    let refused = get(&server, "/api/v1/nodes");
    assert!(refused.code == 429 && refused.head.contains("retry-after: 7\r\n"), "{}", refused.head);
}

#[test]
fn answers_are_cut_and_garbled_once() {
    let server = server();
    let mut watch = get(&server, "/api/v1/nodes?watch=1&resourceVersion=2");
    server.fail(Verb::Watch, Some("nodes"), Fault::Garbled);
    let node = |name| serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    server.apply_all(&[node("a"), node("b")]).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&watch.line()).is_err());
    assert_eq!(name(&watch.event().1), "b");
    server.fail(Verb::Watch, Some("nodes"), Fault::Cut);
    server.delete(&node("a")).unwrap();
    let last = watch.line();
    assert!(!last.is_empty() && !last.ends_with('\n'), "half an event: {last}");
    assert_eq!(watch.line(), "");
    server.fail(Verb::List, Some("pods"), Fault::Cut);
    let line = get(&server, "/api/v1/pods").line();
    assert!(line.contains("web-3") && !line.ends_with("]}"), "{line}");
    assert_eq!(names(&get(&server, "/api/v1/pods").json()).len(), 3);
}

#[test]
fn answers_are_late_or_never_come() {
    let server = server();
    server.fail(Verb::List, None, Fault::Slow(Duration::from_millis(300)));
    let asked = Instant::now();
    assert_eq!(get(&server, "/api/v1/pods").code, 200);
    assert!(asked.elapsed() >= Duration::from_millis(300));
    server.heal();
    server.fail(Verb::List, None, Fault::Hang);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /api/v1/pods HTTP/1.0\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let read = std::io::Read::read(&mut stream, &mut [0]);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "it neither answers nor closes");
    server.cut_connections();
    stream.set_read_timeout(None).unwrap();
    assert_eq!(std::io::Read::read(&mut stream, &mut [0]).unwrap_or(0), 0);
}

#[test]
fn it_goes_down_and_comes_up_with_its_objects() {
    let server = server();
    let mut watch = get(&server, "/api/v1/pods?watch=1&resourceVersion=5");
    server.go_down().unwrap();
    assert_eq!(watch.line(), "");
    assert!(TcpStream::connect(server.address()).is_err());
    server.apply(&pod("web-4", "web", 1, 40)).unwrap();
    server.come_up().unwrap();
    assert_eq!(names(&get(&server, "/api/v1/pods").json()).len(), 4);
}

#[test]
fn requests_are_remembered() {
    let server = server();
    let headers = "User-Agent: sluice/1\r\nAccept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1\r\n";
    ask(&server, "GET /api/v1/namespaces?watch=true&labelSelector=a%3Db", headers, "");
    let requests = server.requests();
    let request = requests.last().unwrap();
    assert_eq!((request.verb, &*request.resource, &*request.user_agent), (Some(Verb::Watch), "namespaces", "sluice/1"));
    assert_eq!((request.parameter("labelSelector"), request.is_metadata_only()), (Some("a=b"), true));
    server.forget_requests();
    assert_eq!(server.requests(), []);
}
