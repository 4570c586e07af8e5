//! Each policy of `examples/network-policy`, by itself.

use anyhow::Result;
use lab::traffic::Reached::{Refused, Silence, Yes};
use lab::{Cluster, Family, eventually};

use crate::scene::Transport::{Tcp, Udp};
use crate::scene::{Row, at, everywhere, expect, put, tcp};

fn story(policy: &str, rows: &[Row]) -> Result<()> {
    everywhere(&["cluster.yaml", policy], |cluster| expect(cluster, rows))
}

#[test]
fn without_a_policy_everybody_reaches_everybody() -> Result<()> {
    everywhere(&["cluster.yaml"], |cluster| {
        expect(
            cluster,
            &[
                ("nginx-1", "nginx-2", 80, Tcp, Yes),
                ("nginx-3", "nginx-2", 8080, Tcp, Yes),
                ("monitor", "nginx-1", 9090, Udp, Yes),
                ("nginx-2", "svc/nginx-2", 80, Tcp, Yes),
            ],
        )
    })
}

#[test]
fn only_one_pod_reaches_only_one_port() -> Result<()> {
    story(
        "only-nginx-1.yaml",
        &[
            ("nginx-1", "nginx-2", 80, Tcp, Yes),
            ("nginx-1", "svc/nginx-2", 80, Tcp, Yes),
            // Another port, served or not: no answer.
            ("nginx-1", "nginx-2", 8080, Tcp, Silence),
            ("nginx-1", "nginx-2", 81, Tcp, Silence),
            ("nginx-1", "nginx-2", 9090, Udp, Silence),
            // Everybody else.
            ("nginx-3", "nginx-2", 80, Tcp, Silence),
            ("nginx-3", "svc/nginx-2", 80, Tcp, Silence),
            ("monitor", "nginx-2", 80, Tcp, Silence),
            // Itself.
            ("nginx-2", "nginx-2", 8080, Tcp, Yes),
            ("nginx-2", "svc/nginx-2", 80, Tcp, Yes),
            // Whom it isn't about, and whom it reaches.
            ("monitor", "nginx-1", 80, Tcp, Yes),
            ("nginx-2", "nginx-1", 8080, Tcp, Yes),
            ("nginx-2", "nginx-3", 9090, Udp, Yes),
        ],
    )
}

#[test]
fn what_is_allowed_and_not_served_is_refused_by_the_pod_itself() -> Result<()> {
    everywhere(&["cluster.yaml", "only-nginx-1.yaml"], |cluster| {
        expect(cluster, &[("nginx-1", "nginx-2", 80, Tcp, Yes)])?;
        cluster.lab().manifests().edit("NetworkPolicy", "only-nginx-1", |policy| {
            policy["spec"]["ingress"][0]["ports"][0]["port"] = 81.into();
            Some(())
        })?;
        expect(cluster, &[("nginx-1", "nginx-2", 81, Tcp, Refused), ("nginx-1", "nginx-2", 80, Tcp, Silence)])
    })
}

#[test]
fn namespaces_are_let_in_at_the_port_that_each_pod_names() -> Result<()> {
    story(
        "by-namespace.yaml",
        &[
            ("monitor", "nginx-1", 8080, Tcp, Yes),
            ("monitor", "nginx-3", 8080, Tcp, Yes),
            ("monitor", "nginx-2", 80, Tcp, Silence),
            ("coredns", "nginx-2", 8080, Tcp, Yes),
            ("nginx-1", "nginx-2", 8080, Tcp, Silence),
            ("nginx-3", "nginx-1", 8080, Tcp, Silence),
            ("nginx-1", "monitor", 80, Tcp, Yes),
        ],
    )
}

#[test]
fn networks_are_let_in_but_for_their_exceptions_pods_among_them() -> Result<()> {
    everywhere(&["cluster.yaml", "by-cidr.yaml"], |cluster| {
        expect(
            cluster,
            &[
                ("nginx-3", "nginx-2", 8080, Tcp, Yes),
                ("coredns", "nginx-2", 9090, Udp, Yes),
                ("monitor", "nginx-2", 80, Tcp, Silence),
                ("nginx-1", "nginx-2", 80, Tcp, Silence),
            ],
        )?;
        client_through_node_port(cluster, true)?;
        cluster.lab().manifests().edit("NetworkPolicy", "by-cidr", |policy| {
            let peers = policy["spec"]["ingress"][0]["from"].as_sequence_mut()?;
            peers.drain(..2);
            Some(())
        })?;
        client_through_node_port(cluster, false)
    })
}

/// Through a node port of the pod's own node, the policy sees the client.
fn client_through_node_port(cluster: &Cluster, let_in: bool) -> Result<()> {
    let expected = if let_in { Yes } else { Silence };
    for family in Family::BOTH {
        let to = cluster.node_port("node1", "nginx-2", family)?;
        eventually(&format!("client -> {to}"), &expected, || tcp(cluster.lab().client(), to))?;
    }
    Ok(())
}

#[test]
fn only_the_name_server_is_reached() -> Result<()> {
    story(
        "dns-only.yaml",
        &[
            ("nginx-1", "coredns", 53, Udp, Yes),
            ("nginx-1", "coredns", 53, Tcp, Yes),
            ("nginx-3", "coredns", 53, Udp, Yes),
            ("nginx-1", "nginx-2", 80, Tcp, Silence),
            ("nginx-1", "nginx-3", 80, Tcp, Silence),
            ("nginx-3", "monitor", 9090, Udp, Silence),
            ("nginx-1", "svc/nginx-2", 80, Tcp, Silence),
            // They are reached, and answer.
            ("monitor", "nginx-1", 80, Tcp, Yes),
            ("coredns", "nginx-3", 9090, Udp, Yes),
        ],
    )
}

#[test]
fn default_deny_lets_nothing_through_but_the_pods_own_node() -> Result<()> {
    everywhere(&["cluster.yaml", "default-deny.yaml"], |cluster| {
        expect(
            cluster,
            &[
                ("nginx-1", "nginx-2", 80, Tcp, Silence),
                ("monitor", "nginx-1", 8080, Tcp, Silence),
                ("nginx-3", "coredns", 53, Udp, Silence),
                ("node2", "nginx-1", 80, Tcp, Silence),
                ("monitor", "coredns", 53, Udp, Yes),
                // Probes.
                ("node1", "nginx-1", 80, Tcp, Yes),
                ("node1", "nginx-2", 9090, Udp, Yes),
                ("node2", "nginx-3", 8080, Tcp, Yes),
            ],
        )?;
        // A second policy is united with the first.
        put(cluster.lab(), "only-nginx-1.yaml")?;
        cluster.lab().manifests().write("let-nginx-1-out.yaml", LET_OUT)?;
        expect(cluster, &[("nginx-1", "nginx-2", 80, Tcp, Yes), ("nginx-1", "nginx-2", 8080, Tcp, Silence)])?;
        let nginx_2 = at(cluster, "nginx-2", Family::V4, 80)?;
        assert_eq!(tcp(cluster.pod("nginx-3")?, nginx_2)?, Silence);
        Ok(())
    })
}

const LET_OUT: &str = r"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: let-nginx-1-out, namespace: web}
spec:
  podSelector: {matchLabels: {app: nginx-1}}
  policyTypes: [Egress]
  egress:
    - to: [{podSelector: {matchLabels: {app: nginx-2}}}]
";
