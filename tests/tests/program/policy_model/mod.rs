//! The reference of NetworkPolicy ([`lab::policy`]) judges the plan's tables and the loaded programs, on clusters of
//! pods, namespaces and policies at random, and while they change.

mod cluster;
mod node;
mod numbers;
mod plain;
mod report;

use std::panic::{self, AssertUnwindSafe};

use k8s_openapi::api::core::v1::Pod;
use lab::policy::{Case, Connection, Object, Objects, Verdict, generate, verdict};

use self::cluster::Cluster;
use self::plain::Plain;

/// What judges by the tables that the plan makes.
trait Judge {
    /// Holds what becomes of a connection to what the reference says of it.
    fn judge(&mut self, cluster: &Cluster, asked: &Asked) -> Result<(), String>;
}

/// What is asked, and what the reference says.
struct Asked<'a> {
    objects: &'a Objects,
    connection: Connection,
    expected: Verdict,
}

/// A disagreement, and the objects that there were.
struct Failure {
    objects: Vec<Object>,
    kind: Kind,
    what: String,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An object isn't taken as it is.
    Object,
    /// The plan isn't what it says, or not what a new agent's would be.
    Plan,
    /// A connection is judged otherwise.
    Verdict,
    /// What is tested panicked.
    Panic,
}

/// Has every connection of a case judged, at the beginning and after each change.
fn run(case: &Case, judge: &mut impl Judge) -> Result<(), Failure> {
    let mut objects = Objects::new(&case.objects);
    let mut cluster = Cluster::new(&objects, case.settings).map_err(failure(&objects, Kind::Object))?;
    compare(&objects, case, &mut cluster, judge)?;
    for change in &case.changes {
        objects.apply(change);
        cluster.apply(change).map_err(failure(&objects, Kind::Object))?;
        compare(&objects, case, &mut cluster, judge)?;
    }
    Ok(())
}

fn compare(objects: &Objects, case: &Case, cluster: &mut Cluster, judge: &mut impl Judge) -> Result<(), Failure> {
    if let Some(pod) = objects.pods.iter().find(|pod| !has_node(objects, pod)) {
        return Err(failure(objects, Kind::Object)(format!("{:?} is on no node", pod.metadata.name)));
    }
    cluster.update().map_err(failure(objects, Kind::Plan))?;
    cluster.is_as_new(objects, case.settings).map_err(failure(objects, Kind::Plan))?;
    for &connection in &case.connections {
        let asked = Asked { objects, connection, expected: verdict(objects, case.settings, connection) };
        judge.judge(cluster, &asked).map_err(|what| {
            failure(objects, Kind::Verdict)(format!("{connection}: {what}\n  reference: {}", asked.expected))
        })?;
    }
    Ok(())
}

/// Whether an agent is there to police a pod.
fn has_node(objects: &Objects, pod: &Pod) -> bool {
    let name = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    name.is_some() && objects.nodes.iter().any(|node| node.metadata.name.as_ref() == name)
}

fn failure(objects: &Objects, kind: Kind) -> impl FnOnce(String) -> Failure {
    let objects = objects.all();
    move |what| Failure { objects, kind, what }
}

/// What goes wrong in a case. A panic of what is tested does.
fn fails(case: &Case, judge: &mut impl Judge) -> Option<Failure> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(case, judge)));
    let panicked = |_| Err(failure(&Objects::new(&case.objects), Kind::Panic)("a panic, see above".to_owned()));
    outcome.unwrap_or_else(panicked).err()
}

/// Runs the cases of these seeds.
fn all(seeds: impl IntoIterator<Item = u64>, changes: usize, judge: &mut impl Judge) {
    for seed in seeds {
        let case = generate::case(seed, changes);
        if let Some(failure) = fails(&case, judge) {
            panic!("{}", report::report(seed, case, failure, |case| fails(case, judge)));
        }
    }
}

#[test]
fn the_tables_of_each_node_say_what_the_api_reference_says() {
    all(0..1_500, 0, &mut Plain);
}

#[test]
fn changes_lead_to_the_tables_that_a_new_agent_would_make() {
    all(1_000_000..1_000_150, 12, &mut Plain);
}
