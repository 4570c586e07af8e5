//! What is wrong is told on the objects concerned, as Events.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result};
use lab::api_server::{Api as _, Fault, Kind, Settings, Verb};
use lab::eventually;
use lab::manifests::build::{http, service};
use serde_json::{Value, json};

use crate::scene::Scene;

/// Nobody else has it.
const HEALTH_CHECK: u16 = 30_502;

#[test]
fn what_is_wrong_is_told_once_on_the_object_that_it_is_about() -> Result<()> {
    let mut scene = Scene::with_settings(Settings::default())?;
    let taken = scene.node().inside(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, HEALTH_CHECK)))??;
    scene.server.apply_all(&[twin(), balanced()])?;
    let expected = [
        ["Normal", "Starting", "Node", "node1"],
        ["Warning", "FailedToStartServiceHealthcheck", "Service", "balanced"],
        // Of a frontend in each family.
        ["Warning", "FrontendConflict", "Service", "twin"],
        ["Warning", "FrontendConflict", "Service", "twin"],
    ];
    let expected: Vec<_> = expected.map(|it| it.map(str::to_owned)).into();
    let look = || {
        let mut seen = events(&scene)?.iter().map(summary).collect::<Result<Vec<_>>>()?;
        seen.sort();
        Ok(seen)
    };
    // What every node would say comes within 15 s.
    let wait = || eventually::<_, anyhow::Error>("Events", &expected, look);
    wait().or_else(|_| wait())?;
    for event in events(&scene)?.iter().filter(|event| event["regarding"]["kind"] == "Service") {
        assert_eq!(event["regarding"]["uid"], uid(&scene, &event["regarding"]["name"])?, "{event}");
        assert_eq!(event["metadata"]["namespace"], "default", "{event}");
        assert_eq!(event["reportingController"], "sluice.dev/agent", "{event}");
        assert_eq!(event["reportingInstance"], "node1", "{event}");
        assert!(status(&scene)?.contains(event["note"].as_str().context("no note")?), "{event}");
    }
    assert_eq!(events_of_node(&scene)?, ["node1"], "the uid that kubectl looks for");
    // An agent that starts again finds them told.
    scene.cluster.agents()[0].restart()?;
    eventually::<_, anyhow::Error>("another start", &2, || count(&scene, "Starting"))?;
    scene.prove_it_follows()?;
    assert_eq!(count(&scene, "FailedToStartServiceHealthcheck")?, 1);
    drop(taken);
    Ok(())
}

#[test]
fn nothing_waits_for_events_that_are_not_taken() -> Result<()> {
    let scene = Scene::new()?;
    scene.server.fail(Verb::Create, Some("events"), Fault::Hang);
    scene.server.apply(&twin())?;
    scene.prove_it_follows()?;
    assert!(status(&scene)?.contains("twin"));
    Ok(())
}

/// Asks for what `web` has.
fn twin() -> Value {
    let mut twin = service("twin", 10, &http());
    twin["metadata"]["creationTimestamp"] = json!("2999-01-01T00:00:00Z");
    twin
}

fn balanced() -> Value {
    let mut balanced = service("balanced", 13, &http());
    balanced["spec"]["type"] = "LoadBalancer".into();
    balanced["spec"]["externalTrafficPolicy"] = "Local".into();
    balanced["spec"]["healthCheckNodePort"] = HEALTH_CHECK.into();
    balanced
}

fn events(scene: &Scene) -> Result<Vec<Value>> {
    Ok(scene.server.objects(Kind::of("events.k8s.io/v1", "Event").context("Events are served")?))
}

fn summary(event: &Value) -> Result<[String; 4]> {
    let text = |pointer: &str| -> Result<String> {
        let text = event.pointer(pointer).and_then(Value::as_str);
        Ok(text.with_context(|| format!("no {pointer}: {event}"))?.to_owned())
    };
    Ok([text("/type")?, text("/reason")?, text("/regarding/kind")?, text("/regarding/name")?])
}

fn count(scene: &Scene, reason: &str) -> Result<usize> {
    Ok(events(scene)?.iter().filter(|event| event["reason"] == reason).count())
}

fn events_of_node(scene: &Scene) -> Result<Vec<String>> {
    let of_node = events(scene)?.into_iter().filter(|event| event["regarding"]["kind"] == "Node");
    of_node.map(|event| Ok(event["regarding"]["uid"].as_str().context("no uid")?.to_owned())).collect()
}

fn uid(scene: &Scene, name: &Value) -> Result<Value> {
    let services = scene.server.objects(Kind::of("v1", "Service").context("Services are served")?);
    let service = services.into_iter().find(|it| it["metadata"]["name"] == *name).context("the Service is there")?;
    Ok(service["metadata"]["uid"].clone())
}

fn status(scene: &Scene) -> Result<String> {
    let output = scene.node().sluice(&["status"])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
