//! The guestbook: a web frontend that writes to a Redis leader and reads from its followers.

use std::collections::BTreeSet;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Cluster, Family};

use crate::load::Load;
use crate::protocol::{Protocol, pods};
use crate::replace::end_when_drained;
use crate::story::everywhere;

const FRONTENDS: [&str; 3] = ["frontend-1", "frontend-2", "frontend-3"];
const FOLLOWERS: [&str; 2] = ["redis-follower-1", "redis-follower-2"];
/// Requests of which each goes to one of three endpoints: one of them gets none once in a million runs.
const MANY: u32 = 40;

#[test]
fn frontends_write_to_the_leader_and_read_from_every_follower() -> Result<()> {
    everywhere("guestbook", |cluster| {
        for family in Family::BOTH {
            let leader = cluster.cluster_ip("redis-leader", family)?;
            let followers = cluster.cluster_ip("redis-follower", family)?;
            for frontend in FRONTENDS {
                let frontend = cluster.pod(frontend)?;
                let written = Protocol::Tcp.answers(frontend, &Ask::new(leader).times(4).send(2_000))?;
                assert_eq!(pods(&written), BTreeSet::from(["redis-leader-1"]));
                let read = Protocol::Tcp.answers(frontend, &Ask::new(followers).times(MANY).receive(2_000))?;
                assert_eq!(pods(&read), BTreeSet::from(FOLLOWERS));
                for answer in written.iter().chain(&read) {
                    assert_eq!(answer.client.ip(), frontend.addresses().of(family), "Redis sees who asks: {answer:?}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn visitors_reach_every_frontend_through_any_node() -> Result<()> {
    everywhere("guestbook", |cluster| {
        for family in Family::BOTH {
            for node in ["node1", "node2"] {
                let to = cluster.node_port(node, "frontend", family)?;
                let answers = Protocol::Tcp.answers(cluster.lab().client(), &Ask::new(to).times(MANY))?;
                assert_eq!(pods(&answers), BTreeSet::from(FRONTENDS), "{to}");
            }
        }
        Ok(())
    })
}

#[test]
fn leader_is_replaced_while_writes_go_on() -> Result<()> {
    everywhere("guestbook", |cluster| {
        let mut load = Load::default();
        for (frontend, family) in FRONTENDS.into_iter().zip([Family::V4, Family::V6, Family::V4]) {
            let write = Ask::new(cluster.cluster_ip("redis-leader", family)?).send(2_000);
            load.http(cluster.pod(frontend)?, &write)?;
            load.http(cluster.pod(frontend)?, &write.one_socket())?;
        }
        replace_the_leader(cluster)?;
        for answers in load.all_answered()? {
            let first_and_last = [answers.first(), answers.last()].map(|answer| answer.map(|it| it.pod.as_str()));
            assert_eq!(first_and_last, [Some("redis-leader-1"), Some("redis-leader-2")], "{} writes", answers.len());
        }
        Ok(())
    })
}

/// With a pod on the other node.
fn replace_the_leader(cluster: &mut Cluster) -> Result<()> {
    let manifests = cluster.lab().manifests();
    manifests.write("redis-leader-2.yaml", include_str!("redis-leader-2.yaml"))?;
    cluster.start_pod("redis-leader-2")?;
    cluster.lab().manifests().set_ready("redis-leader-2", true)?;
    cluster.wait_endpoints("redis-leader", &["redis-leader-1", "redis-leader-2"])?;
    cluster.lab().manifests().set_terminating("redis-leader-1")?;
    cluster.drain_pod("redis-leader-1")?;
    cluster.wait_endpoints("redis-leader", &["redis-leader-2"])?;
    end_when_drained(cluster, "redis-leader-1")?;
    cluster.lab().manifests().delete("Pod", "redis-leader-1")?;
    Ok(cluster.wait_endpoints("redis-leader", &["redis-leader-2"])?)
}
