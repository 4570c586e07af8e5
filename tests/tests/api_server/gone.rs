//! A watch that is too far behind begins again with a list, and takes away only what is gone.

use anyhow::Result;
use lab::api_server::{Api as _, GoneAs, Verb};
use lab::eventually;
use lab::manifests::build::{http, service};
use serde_json::json;

use crate::scene::{Scene, assert_none_failed, slices};

#[test]
fn after_gone_in_the_stream_only_what_is_gone_is_taken_away() -> Result<()> {
    only_what_is_gone_is_taken_away(GoneAs::Event)
}

#[test]
fn after_gone_as_a_status_only_what_is_gone_is_taken_away() -> Result<()> {
    only_what_is_gone_is_taken_away(GoneAs::Status)
}

fn only_what_is_gone_is_taken_away(gone_as: GoneAs) -> Result<()> {
    let scene = Scene::new()?;
    let load = scene.load()?;
    let before = scene.get("backends")?;
    scene.server.go_down()?;
    scene.wait_connected(false)?;
    scene.server.delete(&service("old", 11, &http()))?;
    scene.server.apply_all(&[service("new", 12, &http())])?;
    scene.server.apply_all(&slices("new", &[21]))?;
    scene.server.compact(gone_as);
    scene.server.forget_requests();
    scene.server.come_up()?;
    scene.wait_services(&["new", "web"])?;
    scene.wait_connected(true)?;
    let listed = || Ok::<_, anyhow::Error>(kinds_listed(&scene));
    eventually("every kind is listed anew", &KINDS.map(ToOwned::to_owned).to_vec(), listed)?;
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

fn of_web(backends: &serde_json::Value) -> Vec<serde_json::Value> {
    backends["items"].as_array().into_iter().flatten().filter(|item| item["name"] == json!("web")).cloned().collect()
}
