//! What an agent does before it has heard of everything.

use anyhow::Result;
use lab::api_server::{Api, Fault, Verb};
use lab::eventually;
use lab::manifests::build::{http, service};

use crate::scene::{Scene, assert_none_failed, slices};

#[test]
fn nothing_is_deleted_before_the_first_list_of_every_kind() -> Result<()> {
    let mut scene = Scene::new()?;
    let load = scene.load()?;
    scene.cluster.agents()[0].kill()?;
    scene.server.delete(&service("old", 11, &http()))?;
    for kind in ["endpointslices", "pods", "networkpolicies"] {
        scene.server.fail(Verb::List, Some(kind), Fault::Status(503));
    }
    scene.server.forget_requests();
    let before = (scene.get("services")?, scene.get("backends")?);
    scene.cluster.agents()[0].relaunch()?;
    let waits_for = || -> Result<_> {
        let kinds = scene.connection()?["waitingFor"].clone();
        let mut kinds: Vec<String> = serde_json::from_value(kinds).unwrap_or_default();
        kinds.sort();
        Ok(kinds)
    };
    eventually(
        "kinds it waits for",
        &["endpointslices", "networkpolicies", "pods"].map(Into::into).to_vec(),
        waits_for,
    )?;
    let tries = || {
        let requests = scene.server.requests();
        let tries = requests.iter().filter(|it| it.verb == Some(Verb::List) && it.resource == "endpointslices").count();
        Ok::<_, anyhow::Error>(tries > 1)
    };
    eventually("it tries again", &true, tries)?;
    assert_eq!((scene.get("services")?, scene.get("backends")?), before);
    scene.server.heal();
    scene.wait_reconnected()?;
    scene.wait_services(&["web"])?;
    scene.cluster.agents()[0].wait_ready()?;
    assert_none_failed(load)
}

#[test]
fn an_agent_that_starts_while_the_server_is_down_leaves_the_tables_and_goes_on_when_it_is_up() -> Result<()> {
    an_agent_starts_while_the_server_is_down(&mut Scene::new()?)
}

/// The story for any API server.
pub(crate) fn an_agent_starts_while_the_server_is_down<S: Api>(scene: &mut Scene<S>) -> Result<()> {
    let load = scene.load()?;
    let before = scene.get("backends")?;
    scene.cluster.agents()[0].kill()?;
    scene.server.apply_all(&slices("web", &[22]))?;
    scene.server.go_down()?;
    scene.cluster.agents()[0].relaunch()?;
    let look = || -> Result<_> { Ok(scene.connection()?["waitingFor"].as_array().map(Vec::len)) };
    eventually("it waits for every kind", &Some(6), look)?;
    scene.wait_connected(false)?;
    let agent = &scene.cluster.agents()[0];
    assert_eq!((agent.is_alive()?, agent.is_ready()?), (true, false));
    assert_eq!(scene.get("backends")?, before);
    scene.server.come_up()?;
    scene.wait_reconnected()?;
    scene.wait_endpoints("web", &[22])?;
    scene.cluster.agents()[0].wait_ready()?;
    assert_none_failed(load)
}
