//! Tokens are rotated while the agent runs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::api_server::Settings;
use lab::eventually;

use crate::scene::{Scene, assert_none_failed};

const SAFE: Settings = Settings { tls: true, token: true, bookmarks: Duration::from_secs(1), watch_list: true };

#[test]
fn a_token_that_is_refused_is_told_and_the_next_agent_has_the_new_one() -> Result<()> {
    let mut scene = Scene::with_settings(SAFE)?;
    let load = scene.load()?;
    scene.server.rotate_token()?;
    // Connections that were admitted stay; new ones need the new token.
    scene.server.cut_connections();
    let look = || -> Result<_> { Ok(scene.connection()?["error"].as_str().map(|it| it.contains("(401)"))) };
    eventually("the refusal is told", &Some(true), look)?;
    let error = scene.connection()?["error"].as_str().context("no error")?.to_owned();
    assert!(error.contains("the token or certificate is not accepted"), "{error}");
    assert_eq!(scene.services()?, ["old", "web"]);
    scene.cluster.agents()[0].terminate()?;
    scene.cluster.agents()[0].restart()?;
    scene.prove_it_follows()?;
    assert_none_failed(load)
}

#[test]
#[ignore = "takes a minute, for so long a token counts as good: cargo test --test api_server -- --ignored"]
fn a_rotated_token_is_read_again() -> Result<()> {
    let scene = Scene::with_settings(SAFE)?;
    let load = scene.load()?;
    scene.server.rotate_token()?;
    scene.server.cut_connections();
    scene.wait_connected(false)?;
    scene.wait_reconnected()?;
    scene.prove_it_follows()?;
    assert_none_failed(load)
}
