//! Answers that are refused, late, cut short or no JSON.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::api_server::{Api as _, Fault, GoneAs, Verb};
use lab::eventually;

use crate::scene::{Scene, assert_none_failed, slices};

#[test]
fn a_kind_that_may_not_be_listed_is_named_with_what_helps() -> Result<()> {
    let scene = Scene::new()?;
    scene.server.fail(Verb::List, Some("networkpolicies"), Fault::Status(403));
    scene.server.compact(GoneAs::Event);
    let look = || -> Result<_> { Ok(scene.connection()?["error"].as_str().map(|it| it.contains("(403)"))) };
    eventually("the refusal is told", &Some(true), look)?;
    let error = scene.connection()?["error"].as_str().context("no error")?.to_owned();
    assert!(error.contains("may not list networkpolicies"), "{error}");
    assert!(error.contains("a ClusterRole bound to this user must allow list and watch of networkpolicies"), "{error}");
    scene.prove_it_follows().context("the other kinds are followed")?;
    scene.server.heal();
    scene.wait_reconnected()
}

#[test]
fn whatever_an_answer_is_the_next_good_one_counts_and_nothing_is_lost_meanwhile() -> Result<()> {
    let scene = Scene::new()?;
    let load = scene.load()?;
    let before = scene.services()?;
    for (verb, fault) in [
        (Verb::Watch, Fault::Garbled),
        (Verb::Watch, Fault::Cut),
        (Verb::List, Fault::Cut),
        (Verb::List, Fault::Slow(Duration::from_millis(500))),
        (Verb::List, Fault::Status(500)),
        (Verb::Watch, Fault::Status(500)),
        (Verb::List, Fault::TooManyRequests(1)),
    ] {
        let story = || -> Result<()> {
            scene.server.fail(verb, Some("endpointslices"), fault);
            if !matches!((verb, fault), (Verb::Watch, Fault::Cut | Fault::Garbled)) {
                scene.server.compact(GoneAs::Event);
                scene.server.cut_connections();
            }
            scene.server.apply_all(&slices("web", &[21]))?;
            if matches!(fault, Fault::Status(_) | Fault::TooManyRequests(_)) {
                scene.wait_connected(false)?;
                scene.server.heal();
            }
            scene.wait_reconnected()?;
            scene.wait_endpoints("web", &[21])?;
            scene.server.heal();
            scene.prove_it_follows()
        };
        story().with_context(|| format!("{verb:?} {fault:?}"))?;
        assert_eq!(scene.services()?, before, "{verb:?} {fault:?}");
    }
    assert_none_failed(load)
}
