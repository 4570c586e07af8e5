//! What becomes of objects becomes of the tables; what ours serves and what a real API server serves is the same.

use anyhow::Result;
use lab::Family;
use lab::api_server::Api;
use lab::manifests::build::{http, service};
use lab::traffic::{Probe, Reached, Target};
use serde_json::json;

use crate::scene::{Scene, cluster_ip, only_asker, slices};

#[test]
fn objects_of_the_api_server_reach_the_kernel_and_leave_it() -> Result<()> {
    objects_reach_the_kernel_and_leave_it(&Scene::new()?)
}

/// The story for any API server.
pub(crate) fn objects_reach_the_kernel_and_leave_it<S: Api>(scene: &Scene<S>) -> Result<()> {
    for family in Family::BOTH {
        let answer = scene.cluster.pod("asker")?.http_get(cluster_ip(10, family))?;
        assert!(answer.pod.starts_with("web-"), "{answer:?}");
    }
    a_service_comes_changes_and_goes(scene)?;
    scene.prove_it_follows()?;
    a_policy_denies_while_it_is_there(scene)?;
    assert_eq!(scene.connection()?["lostSince"], json!(null));
    Ok(())
}

fn a_service_comes_changes_and_goes<S: Api>(scene: &Scene<S>) -> Result<()> {
    let asker = scene.cluster.pod("asker")?;
    let mut new = service("new", 12, &http());
    scene.server.apply(&new)?;
    let slices = slices("new", &[22]);
    scene.server.apply_all(&slices)?;
    scene.wait_endpoints("new", &[22])?;
    let mut at = cluster_ip(12, Family::V4);
    assert_eq!(asker.http_get(at)?.pod, "web-2");
    new["spec"]["ports"][0]["port"] = 8000.into();
    scene.server.apply(&new)?;
    at.set_port(8000);
    lab::eventually::<_, anyhow::Error>("the Service answers at its new port", &true, || {
        Ok(asker.http_get(at).is_ok())
    })?;
    assert!(asker.http_get(cluster_ip(12, Family::V4)).is_err(), "and not at the old one");
    scene.server.delete(&new)?;
    scene.wait_services(&["old", "web"])?;
    slices.iter().try_for_each(|slice| scene.server.delete(slice))?;
    Ok(())
}

fn a_policy_denies_while_it_is_there<S: Api>(scene: &Scene<S>) -> Result<()> {
    let expect = |expected: [Reached; 2]| {
        let look = || -> Result<_> { Ok([reached(scene, "asker")?, reached(scene, "stranger")?]) };
        lab::eventually("asker and stranger reach web", &expected, look)
    };
    expect([Reached::Yes, Reached::Yes])?;
    scene.server.apply(&only_asker())?;
    expect([Reached::Yes, Reached::Silence])?;
    scene.server.delete(&only_asker())?;
    expect([Reached::Yes, Reached::Yes])?;
    Ok(())
}

fn reached<S: Api>(scene: &Scene<S>, from: &str) -> Result<Reached> {
    let target = Target { to: cluster_ip(10, Family::V4), udp: false };
    let timeout = std::time::Duration::from_millis(700);
    Ok(scene.cluster.pod(from)?.probe(&Probe { targets: vec![target], timeout })?[0])
}
