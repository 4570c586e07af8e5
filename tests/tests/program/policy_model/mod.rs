//! The reference of NetworkPolicy ([`lab::policy`]) judges the plan's tables, the loaded programs and the rules of
//! iptables, on clusters of pods, namespaces and policies at random, and while they change.

mod cluster;
mod defects;
mod fuzz;
mod loaded;
mod node;
mod numbers;
mod plain;
mod report;
mod rules;

use std::panic::{self, AssertUnwindSafe};

use k8s_openapi::api::core::v1::Pod;
use lab::policy::{Case, Connection, Object, Objects, Verdict, generate, verdict};

use self::cluster::Cluster;
use self::loaded::Loaded;
use self::plain::Plain;
use self::rules::Rules;

/// What judges by the tables that the plan makes.
trait Judge: Default {
    /// A cluster begins.
    fn begin(&mut self) {}
    /// A cluster's tables are as they are from now on.
    ///
    /// # Errors
    /// What changed doesn't lead there.
    fn update(&mut self, _: &Cluster) -> Result<(), String> {
        Ok(())
    }
    /// Holds what becomes of a connection to what the reference says of it.
    fn judge(&mut self, cluster: &Cluster, asked: &Asked) -> Result<(), String>;
}

/// What is asked, and what the reference says.
struct Asked<'a> {
    objects: &'a Objects,
    connection: Connection,
    /// Which of the case's connections it is.
    number: usize,
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
    judge.begin();
    compare(&objects, case, &mut cluster, judge)?;
    for change in &case.changes {
        objects.apply(change);
        cluster.apply(change).map_err(failure(&objects, Kind::Object))?;
        compare(&objects, case, &mut cluster, judge)?;
        cluster.is_as_new(&objects, case.settings).map_err(failure(&objects, Kind::Plan))?;
    }
    Ok(())
}

fn compare(objects: &Objects, case: &Case, cluster: &mut Cluster, judge: &mut impl Judge) -> Result<(), Failure> {
    if let Some(pod) = objects.pods.iter().find(|pod| !has_node(objects, pod)) {
        return Err(failure(objects, Kind::Object)(format!("{:?} is on no node", pod.metadata.name)));
    }
    cluster.update().map_err(failure(objects, Kind::Plan))?;
    judge.update(cluster).map_err(failure(objects, Kind::Plan))?;
    for (number, &connection) in case.connections.iter().enumerate() {
        let asked = Asked { objects, connection, number, expected: verdict(objects, case.settings, connection) };
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

/// What goes wrong in a case. A panic of what is tested does; who judged is as it was before the first case then.
fn fails<J: Judge>(case: &Case, judge: &mut J) -> Option<Failure> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(case, judge)));
    outcome.map_or_else(
        |_| {
            *judge = J::default();
            Some(failure(&Objects::new(&case.objects), Kind::Panic)("a panic, see above".to_owned()))
        },
        Result::err,
    )
}

/// Runs the case of a seed.
fn try_seed(seed: u64, judge: &mut impl Judge) -> Result<(), String> {
    let case = generate::case(seed);
    match fails(&case, judge) {
        Some(failure) => Err(report::report(seed, case, failure, |case| fails(case, judge))),
        None => Ok(()),
    }
}

fn try_all(mut seeds: impl Iterator<Item = u64>, judge: &mut impl Judge) {
    if let Err(report) = seeds.try_for_each(|seed| try_seed(seed, judge)) {
        panic!("{report}");
    }
}

#[test]
fn the_tables_of_each_node_say_what_the_api_reference_says() {
    try_all((0..1_200_u64).filter(|seed| !seed.is_multiple_of(generate::CHANGES_EVERY)), &mut Plain);
}

#[test]
fn changes_lead_to_the_tables_that_a_new_agent_would_make() {
    try_all((0..150).map(|number| number * generate::CHANGES_EVERY), &mut Plain);
}

#[test]
fn the_rules_of_iptables_say_what_the_api_reference_says() {
    try_all(0..150, &mut Rules::default());
}

#[test]
fn the_loaded_programs_say_what_the_api_reference_says() {
    // Each change has all connections tried anew, so those are few.
    let is_tried = |seed: &u64| !seed.is_multiple_of(generate::CHANGES_EVERY) || seed.is_multiple_of(20);
    try_all((0..200).filter(is_tried), &mut Loaded::default());
}
