//! What an agent asks for: as little as it needs, and in a way that is cheap for the server.

use anyhow::Result;
use lab::api_server::{Request, Verb};

use crate::scene::Scene;

#[test]
fn no_more_is_asked_for_than_is_needed() -> Result<()> {
    let scene = Scene::new()?;
    let requests = scene.server.requests();
    let of = |verb, kind: &str| -> Vec<&Request> {
        requests.iter().filter(|it| it.verb == Some(verb) && it.resource == kind).collect()
    };
    for (kind, labels, fields) in [
        ("services", Some("!service.kubernetes.io/service-proxy-name"), None),
        ("endpointslices", Some("!service.kubernetes.io/headless"), None),
        ("networkpolicies", None, None),
        ("namespaces", None, None),
        ("pods", None, Some("status.phase!=Succeeded,status.phase!=Failed")),
        ("nodes", None, Some("metadata.name=node1")),
    ] {
        for verb in [Verb::List, Verb::Watch] {
            let asked = of(verb, kind);
            assert!(!asked.is_empty(), "{verb:?} {kind}");
            for request in asked {
                assert_eq!(request.parameter("labelSelector"), labels, "{request:?}");
                assert_eq!(request.parameter("fieldSelector"), fields, "{request:?}");
                assert_eq!(request.is_metadata_only(), kind == "namespaces", "{request:?}");
                if verb == Verb::Watch {
                    assert!(request.asks("allowWatchBookmarks"), "{request:?}");
                } else {
                    assert!(request.parameter("limit").is_some(), "{request:?}");
                }
            }
        }
    }
    assert!(
        requests.iter().all(|it| it.verb.is_none_or(|verb| matches!(verb, Verb::List | Verb::Watch | Verb::Create)))
    );
    Ok(())
}
