//! A watch that is too far behind begins again with a list, and takes away only what is gone.

use anyhow::Result;
use lab::api_server::{Api as _, GoneAs, Verb};
use lab::eventually;
use lab::manifests::build::{http, service};
use serde_json::{Value, json};

use crate::scene::{Scene, assert_none_failed, slices};

#[test]
fn after_gone_only_what_is_gone_is_taken_away() -> Result<()> {
    let scene = Scene::new()?;
    only_what_is_gone_is_taken_away(&scene, GoneAs::Event, ("old", 11), ("new", 12))?;
    only_what_is_gone_is_taken_away(&scene, GoneAs::Status, ("new", 12), ("old", 11))
}

/// While the server is away one Service goes and another comes, and nobody can be told what became of them since.
fn only_what_is_gone_is_taken_away(scene: &Scene, gone_as: GoneAs, goes: (&str, u8), comes: (&str, u8)) -> Result<()> {
    let load = scene.load()?;
    let before = scene.get("backends")?;
    scene.server.go_down()?;
    scene.wait_connected(false)?;
    scene.server.delete(&service(goes.0, goes.1, &http()))?;
    scene.server.apply(&service(comes.0, comes.1, &http()))?;
    scene.server.apply_all(&slices(comes.0, &[21]))?;
    scene.server.compact(gone_as);
    scene.server.forget_requests();
    scene.server.come_up()?;
    scene.wait_reconnected()?;
    let listed = || Ok::<_, anyhow::Error>(kinds_listed(scene));
    eventually("every kind is listed anew", &KINDS.map(ToOwned::to_owned).to_vec(), listed)?;
    scene.wait_services(&[comes.0, "web"])?;
    assert_eq!(of_web(&scene.get("backends")?), of_web(&before), "slots stay as they were");
    assert_none_failed(load)?;
    scene.prove_it_follows()
}

const KINDS: [&str; 6] = ["endpointslices", "namespaces", "networkpolicies", "nodes", "pods", "services"];

fn kinds_listed(scene: &Scene) -> Vec<String> {
    let lists = scene.server.requests().into_iter().filter(|request| request.verb == Some(Verb::List));
    let mut kinds: Vec<_> = lists.map(|request| request.resource).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn of_web(backends: &Value) -> Vec<Value> {
    backends["items"].as_array().into_iter().flatten().filter(|item| item["name"] == json!("web")).cloned().collect()
}
