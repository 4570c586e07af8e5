//! An API server that is away for long: the tables stay in force, and status says since when.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use lab::api_server::Api;
use lab::eventually;

use crate::scene::{Scene, assert_none_failed};

#[test]
fn while_the_server_is_away_traffic_goes_on_and_status_says_since_when() -> Result<()> {
    traffic_goes_on_and_status_says_since_when(&Scene::new()?)
}

/// The story for any API server.
pub(crate) fn traffic_goes_on_and_status_says_since_when<S: Api>(scene: &Scene<S>) -> Result<()> {
    assert!(scene.connection()?["lostSince"].is_null());
    let load = scene.load()?;
    let before = Timestamp::now();
    scene.server.go_down()?;
    scene.wait_connected(false)?;
    let connection = scene.connection()?;
    let since: Timestamp = connection["lostSince"].as_str().context("no time")?.parse()?;
    assert!((before..=Timestamp::now()).contains(&since), "{connection}");
    let text = scene.node().sluice(&["status"])?;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let server = connection["server"].as_str().context("no server")?;
    assert!(text.contains(&format!("{server}, lost since {since}")), "{text}");
    assert_eq!(scene.services()?, ["old", "web"]);
    // The time doesn't move as attempts go on to fail.
    let tried =
        || -> Result<bool> { Ok(scene.connection()?["watchErrors"].as_u64() > connection["watchErrors"].as_u64()) };
    eventually("it tries again", &true, tried)?;
    // The first to be lost was cut off; what it is told since is that nobody is there.
    let refused =
        || -> Result<bool> { Ok(scene.connection()?["error"].as_str().is_some_and(|error| error.contains("refused"))) };
    eventually("it is refused", &true, refused)?;
    assert_eq!(scene.connection()?["lostSince"], connection["lostSince"]);
    scene.server.come_up()?;
    scene.wait_reconnected()?;
    assert_none_failed(load)?;
    scene.prove_it_follows()
}

#[test]
fn connections_that_are_cut_again_and_again_lose_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let load = scene.load()?;
    for _ in 0..3 {
        scene.server.cut_connections();
        scene.prove_it_follows()?;
    }
    assert_eq!(scene.services()?, ["old", "web"]);
    assert_none_failed(load)
}
