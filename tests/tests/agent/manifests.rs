//! Objects come from files: what changes there changes what is served, and what is bad there is told and harms nothing.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::Result;
use lab::traffic::Ask;
use lab::{Cluster, Family, Host, Lab, Node, Pod, SocketLb, topology};
use serde_json::{Value, json};

use crate::support::objects::{HTTP, UDP, client, file, http, pod, service};
use crate::support::status::status;
use crate::support::{endpoints, eventually, stderr};

/// How many requests find every one of two endpoints, but for one case in 500 000.
const ENOUGH: u32 = 20;
/// How soon a change has to take effect.
const EFFECT: Duration = Duration::from_millis(200);

/// Two web servers and a client, and no Service.
fn cluster() -> Result<Cluster> {
    let lab = Lab::builder().build()?;
    let pods = [pod("web-1", "web", 1, 10), pod("web-2", "web", 2, 10), client("asker", 1, 20)];
    lab.manifests().write("pods.yaml", &file(&pods))?;
    Ok(Cluster::start(lab, SocketLb::On)?)
}

fn node(cluster: &Cluster) -> &Node {
    &cluster.lab().nodes()[0]
}

/// `IP:port` of pods, sorted as [`endpoints`] are.
fn at(pods: &[(u8, u8)], port: u16) -> Vec<String> {
    let of = |(node, index): &(u8, u8)| topology::pod(*node, *index).iter().collect::<Vec<_>>();
    let mut all: Vec<_> = pods.iter().flat_map(of).map(|ip| SocketAddr::new(ip, port).to_string()).collect();
    all.sort();
    all
}

/// Who answers at a Service, of both families together.
fn who_answers(asker: &Host, cluster: &Cluster, service: &str) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for family in Family::BOTH {
        let outcomes = asker.http_each(&Ask::new(cluster.cluster_ip(service, family)?).times(ENOUGH))?;
        for outcome in outcomes {
            names.insert(outcome.map_err(|failure| anyhow::anyhow!("{service} {family}: {failure}"))?.pod);
        }
    }
    Ok(names)
}

/// The tables have these endpoints for a Service soon, and these pods answer for it.
fn served_by(cluster: &Cluster, service: &str, pods: &[(u8, u8)]) -> Result<()> {
    eventually(service, &at(pods, HTTP), || endpoints(node(cluster), service))?;
    let names = pods.iter().map(|(node, index)| name_of(cluster, *node, *index)).collect::<Result<BTreeSet<_>>>()?;
    assert_eq!(who_answers(cluster.pod("asker")?, cluster, service)?, names);
    Ok(())
}

fn name_of(cluster: &Cluster, node: u8, index: u8) -> Result<String> {
    let pods = cluster.lab().manifests().pods()?;
    let found = pods.iter().find(|pod| pod.addresses() == Some(topology::pod(node, index)));
    Ok(found.expect("a Pod of the manifests").name().to_owned())
}

const WEB_1: (u8, u8) = (1, 10);
const WEB_2: (u8, u8) = (2, 10);

#[test]
fn service_is_served_from_when_its_file_is_there_until_it_goes() -> Result<()> {
    let cluster = cluster()?;
    let manifests = cluster.lab().manifests();
    manifests.write("web.yaml", &file(&[service("web", 10, &http())]))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    let to = Family::BOTH.map(|family| cluster.cluster_ip("web", family));
    manifests.remove("web.yaml")?;
    eventually("endpoints of web", &Vec::new(), || endpoints(node(&cluster), "web"))?;
    for to in to {
        let ask = Ask::new(to?).timeout(Duration::from_millis(300));
        assert!(cluster.pod("asker")?.http(&ask).is_err(), "it is still served");
    }
    Ok(())
}

#[test]
fn readiness_decides_who_is_served_within_200_ms() -> Result<()> {
    let cluster = cluster()?;
    cluster.lab().manifests().write("web.yaml", &file(&[service("web", 10, &http())]))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    let mut fastest = Duration::MAX;
    for (ready, pods) in [(false, &[WEB_1][..]), (true, &[WEB_1, WEB_2]), (false, &[WEB_1]), (true, &[WEB_1, WEB_2])] {
        cluster.lab().manifests().set_ready("web-2", ready)?;
        let took = eventually("endpoints of web", &at(pods, HTTP), || endpoints(node(&cluster), "web"))?;
        fastest = fastest.min(took);
        served_by(&cluster, "web", pods)?;
    }
    // A busy machine delays some, but not all.
    assert!(fastest < EFFECT, "at best a change took {fastest:?}");
    Ok(())
}

#[test]
fn slices_come_before_endpoints_and_both_before_pods() -> Result<()> {
    let cluster = cluster()?;
    let manifests = cluster.lab().manifests();
    let slice = |family: Family| {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": format!("web-{family}").to_lowercase(), "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": family.to_string(),
            "endpoints": [{"addresses": [topology::pod(WEB_2.0, WEB_2.1).of(family)], "nodeName": "node2"}],
            "ports": [{"name": "http", "port": HTTP}],
        })
    };
    let object = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "web"},
        "subsets": [{
            "addresses": topology::pod(WEB_1.0, WEB_1.1).iter().map(|ip| json!({"ip": ip, "nodeName": "node1"})).collect::<Vec<_>>(),
            "ports": [{"name": "http", "port": HTTP}],
        }],
    });
    manifests.write("web.yaml", &file(&[service("web", 10, &http())]))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    manifests.write("endpoints.yaml", &file(&[object]))?;
    served_by(&cluster, "web", &[WEB_1])?;
    manifests.write("slices.yaml", &file(&Family::BOTH.map(slice)))?;
    served_by(&cluster, "web", &[WEB_2])?;
    manifests.remove("slices.yaml")?;
    served_by(&cluster, "web", &[WEB_1])?;
    manifests.remove("endpoints.yaml")?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])
}

#[test]
fn named_target_port_is_each_pods_own() -> Result<()> {
    let cluster = cluster()?;
    let other = pod("other", "web", 1, 11);
    let mut other_port = other.clone();
    other_port["spec"]["containers"][0]["ports"][0]["containerPort"] = (HTTP + 1).into();
    let _pod = serve(&cluster, "other", 11, HTTP + 1)?;
    let ports = json!([{"name": "http", "port": 80, "targetPort": "http"}]);
    let manifests = cluster.lab().manifests();
    manifests.write("web.yaml", &file(&[service("web", 10, &ports), other_port]))?;
    let mut expected = at(&[WEB_1, WEB_2], HTTP);
    expected.extend(at(&[(1, 11)], HTTP + 1));
    expected.sort();
    eventually("endpoints of web", &expected, || endpoints(node(&cluster), "web"))?;
    let names = ["other", "web-1", "web-2"].map(str::to_owned).into();
    assert_eq!(who_answers(cluster.pod("asker")?, &cluster, "web")?, names);
    Ok(())
}

/// A pod beside those of the manifests, with a web server.
fn serve(cluster: &Cluster, name: &str, index: u8, port: u16) -> Result<(Pod, lab::Process)> {
    let pod = node(cluster).add_pod(name, index)?;
    let server = pod.serve(&lab::traffic::Serve { name: name.into(), http: vec![port], ..Default::default() })?;
    Ok((pod, server))
}

#[test]
fn unready_pods_are_served_where_the_service_publishes_them() -> Result<()> {
    let cluster = cluster()?;
    let manifests = cluster.lab().manifests();
    manifests.set_ready("web-1", false)?;
    manifests.set_ready("web-2", false)?;
    let mut web = service("web", 10, &http());
    manifests.write("web.yaml", &file(&[web.clone()]))?;
    eventually("Services", &1, || services(node(&cluster)))?;
    for family in Family::BOTH {
        let refused = cluster.pod("asker")?.http_get(cluster.cluster_ip("web", family)?).unwrap_err();
        assert_eq!(refused.errno(), Some("ECONNREFUSED"), "{family}");
    }
    web["spec"]["publishNotReadyAddresses"] = true.into();
    manifests.write("web.yaml", &file(&[web]))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])
}

/// Number of Services in a node's tables.
fn services(node: &Node) -> Result<usize> {
    let list = crate::support::json(node, &["get", "endpoints"])?;
    Ok(list["items"].as_array().map_or(0, Vec::len))
}

#[test]
fn terminating_pods_are_the_last_resort() -> Result<()> {
    let cluster = cluster()?;
    let manifests = cluster.lab().manifests();
    manifests.write("web.yaml", &file(&[service("web", 10, &http())]))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    manifests.set_terminating("web-2")?;
    served_by(&cluster, "web", &[WEB_1])?;
    manifests.set_ready("web-1", false)?;
    served_by(&cluster, "web", &[WEB_2])?;
    manifests.set_ready("web-2", false)?;
    eventually("endpoints of web", &Vec::new(), || endpoints(node(&cluster), "web"))?;
    manifests.set_ready("web-1", true)?;
    served_by(&cluster, "web", &[WEB_1])
}

/// Manifests with something wrong, and what has to be said of it besides the file's name.
const BAD: [(&str, &[&str]); 3] = [
    // The second document has a port that is none.
    (
        r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
---
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
 "spec": {"clusterIP": "10.96.0.10", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 70000}]}}
"#,
        &["document 2", "Service default/web", "spec.ports[1].port", "70000"],
    ),
    // A field of another type.
    (
        r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": "web"}}"#,
        &["document 1", "Service default/web", "spec.selector"],
    ),
    // No YAML.
    ("kind: Service\n  metadata: [", &["document 1", "line 2"]),
];

#[test]
fn bad_file_is_one_error_and_its_last_good_content_stays() -> Result<()> {
    let mut cluster = cluster()?;
    let good = file(&[service("web", 10, &http())]);
    cluster.lab().manifests().write("web.yaml", &good)?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    for (number, (text, says)) in BAD.into_iter().enumerate() {
        cluster.lab().manifests().write("web.yaml", text)?;
        eventually("number of errors", &1, || Ok(errors(node(&cluster))?.len()))?;
        let error = errors(node(&cluster))?.remove(0);
        assert!(error.contains("web.yaml") && says.iter().all(|part| error.contains(part)), "{error}");
        let log = cluster.agents()[0].log();
        assert_eq!(log.matches(error.as_str()).count(), 1, "{error} in {log}");

        let name = format!("other-{number}");
        let other = service(&name, 20 + number as u8, &http());
        cluster.lab().manifests().write("other.yaml", &file(&[with_pods_of("web", other)]))?;
        eventually(&name, &at(&[WEB_1, WEB_2], HTTP), || endpoints(node(&cluster), &name))?;
        assert_eq!(endpoints(node(&cluster), "web")?, at(&[WEB_1, WEB_2], HTTP), "the last good content");
        assert_eq!(errors(node(&cluster))?.len(), 1, "it stays until the file is good");

        cluster.lab().manifests().write("web.yaml", &good)?;
        eventually("number of errors", &0, || Ok(errors(node(&cluster))?.len()))?;
        served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    }
    Ok(())
}

fn with_pods_of(app: &str, mut service: Value) -> Value {
    service["spec"]["selector"]["app"] = app.into();
    service
}

fn errors(node: &Node) -> Result<Vec<String>> {
    Ok(status(node)?.agent()?.errors)
}

#[test]
fn file_that_is_bad_from_the_start_keeps_no_other_from_being_served() -> Result<()> {
    let mut cluster = cluster()?;
    for agent in cluster.agents() {
        agent.kill()?;
    }
    let manifests = cluster.lab().manifests();
    manifests.write("bad.yaml", BAD[1].0)?;
    manifests.write("web.yaml", &file(&[service("web", 10, &http())]))?;
    for agent in cluster.agents() {
        agent.restart()?;
    }
    assert_eq!(errors(node(&cluster))?.len(), 1);
    // The lab's own reader wants good files only.
    cluster.lab().manifests().remove("bad.yaml")?;
    eventually("number of errors", &0, || Ok(errors(node(&cluster))?.len()))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])
}

#[test]
fn what_an_earlier_agent_served_stays_and_is_named_as_long_as_a_bad_file_may_ask_for_it() -> Result<()> {
    let mut cluster = cluster()?;
    cluster.lab().manifests().write("gone.yaml", &file(&[with_pods_of("web", service("gone", 11, &http()))]))?;
    eventually("endpoints of gone", &at(&[WEB_1, WEB_2], HTTP), || endpoints(node(&cluster), "gone"))?;
    cluster.agents()[0].kill()?;
    let manifests = cluster.lab().manifests();
    manifests.remove("gone.yaml")?;
    manifests.write("bad.yaml", BAD[1].0)?;
    cluster.agents()[0].restart()?;
    assert_eq!(endpoints(node(&cluster), "gone")?, at(&[WEB_1, WEB_2], HTTP));
    let about = |errors: Vec<String>| errors.into_iter().filter(|it| it.contains("Service default/gone")).count();
    assert_eq!(about(errors(node(&cluster))?), 1);
    cluster.lab().manifests().remove("bad.yaml")?;
    eventually("number of errors", &0, || Ok(errors(node(&cluster))?.len()))?;
    assert_eq!(services(node(&cluster))?, 0);
    Ok(())
}

#[test]
fn json_lists_and_documents_are_read_and_other_kinds_are_no_errors() -> Result<()> {
    let mut cluster = cluster()?;
    let manifests = cluster.lab().manifests();
    let listed = ["one", "two"]
        .map(|name| with_pods_of("web", service(name, 30 + name.len() as u8 + u8::from(name == "two"), &http())));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": listed});
    fs::write(manifests.dir().join("list.json"), list.to_string())?;
    let others = [
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": "many"}}),
        json!({"apiVersion": "example.org/v1", "kind": "Service", "metadata": {"name": "knative"}}),
        with_pods_of("web", service("three", 40, &http())),
    ];
    manifests.write("several.yml", &format!("# A comment alone is no document.\n---\n{}\n---\n", file(&others)))?;
    fs::create_dir(manifests.dir().join("below"))?;
    let below = with_pods_of("web", service("four", 41, &http()));
    fs::write(manifests.dir().join("below/four.yaml"), file(&[below]))?;
    fs::write(manifests.dir().join("notes.txt"), "no manifest: [")?;
    for name in ["one", "two", "three", "four"] {
        eventually(name, &at(&[WEB_1, WEB_2], HTTP), || endpoints(node(&cluster), name))?;
    }
    assert_eq!(services(node(&cluster))?, 4);
    assert_eq!(errors(node(&cluster))?, Vec::<String>::new());
    let log = cluster.agents()[0].log();
    assert!(!log.contains("Deployment") && !log.contains("knative") && !log.contains("notes.txt"), "{log}");
    Ok(())
}

#[test]
fn files_edited_in_place_and_swapped_by_a_link_take_effect() -> Result<()> {
    let cluster = cluster()?;
    let dir = cluster.lab().manifests().dir();
    let in_place = dir.join("web.yaml");
    fs::write(&in_place, file(&[service("web", 10, &http())]))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    let mut nobody = service("web", 10, &http());
    nobody["spec"]["selector"]["app"] = "nobody".into();
    fs::write(&in_place, file(&[nobody]))?;
    eventually("endpoints of web", &Vec::new(), || endpoints(node(&cluster), "web"))?;

    // As the kubelet swaps what a ConfigMap holds.
    for (version, app, expected) in [("..1", "web", at(&[WEB_1, WEB_2], HTTP)), ("..2", "nobody", Vec::new())] {
        fs::create_dir(dir.join(version))?;
        let volume = with_pods_of(app, service("volume", 50, &http()));
        fs::write(dir.join(version).join("volume.yaml"), file(&[volume]))?;
        symlink(version, dir.join("..next"))?;
        fs::rename(dir.join("..next"), dir.join("..data"))?;
        if !dir.join("volume.yaml").exists() {
            symlink("..data/volume.yaml", dir.join("volume.yaml"))?;
        }
        eventually("endpoints of volume", &expected, || endpoints(node(&cluster), "volume"))?;
    }
    assert_eq!(errors(node(&cluster))?, Vec::<String>::new());
    Ok(())
}

#[test]
fn two_services_that_want_one_address_are_told_of() -> Result<()> {
    let cluster = cluster()?;
    let manifests = cluster.lab().manifests();
    manifests.write("web.yaml", &file(&[service("web", 10, &http())]))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    let udp = json!([{"name": "dns", "port": 53, "targetPort": UDP, "protocol": "UDP"}, {"name": "http", "port": 80, "targetPort": HTTP}]);
    manifests.write("zzz.yaml", &file(&[with_pods_of("nobody", service("zzz", 10, &udp))]))?;
    eventually("an error about zzz", &true, || Ok(errors(node(&cluster))?.iter().any(|error| error.contains("zzz"))))?;
    served_by(&cluster, "web", &[WEB_1, WEB_2])?;
    assert_eq!(stderr(&node(&cluster).sluice(&["get", "services"])?), "");
    Ok(())
}
