//! One label's change, in clusters of many rules and peers.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use lab::manifests::build::pod;
use lab::manifests::rules::policy;
use proxy_user::model::{Change, Object, Pod, Policies, PolicyMode};
use proxy_user::objects::manifest;
use proxy_user::plan::{PolicyImage, PolicyPlan};
use serde_json::Value;

/// Changes of which each figure is the middle.
const CHANGES: usize = 101;

/// A figure for each number of rules.
pub(crate) struct Row {
    name: &'static str,
    figures: Vec<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\t\t{}", self.name, self.figures.join("\t"))
    }
}

struct Figures {
    first_writes: usize,
    first_seconds: f64,
    writes: usize,
    microseconds: f64,
}

/// Changes a peer's label, and back, among `pods` pods.
pub(crate) fn measure(rules: &[u32], pods: u32) -> Result<Vec<Row>> {
    let figures: Vec<Figures> = rules.iter().map(|rules| one(*rules, pods)).collect::<Result<_>>()?;
    let row = |name, figure: fn(&Figures) -> String| Row { name, figures: figures.iter().map(figure).collect() };
    Ok(vec![
        row("writes, at most", |it| it.writes.to_string()),
        row("object to writes, us, p50", |it| format!("{:.1}", it.microseconds)),
        row("first full state: writes", |it| it.first_writes.to_string()),
        row("first full state: model and plan, s", |it| format!("{:.2}", it.first_seconds)),
    ])
}

fn one(rules: u32, pods: u32) -> Result<Figures> {
    let mut policies = Policies::new("node1", PolicyMode::Enforce);
    let started = Instant::now();
    policies.apply(&apply(decoded(policy("web", rules))?));
    policies.apply(&apply(Object::Pod(named("web", "web", 2)?)));
    let template = named("peer", "peer-0", 3)?;
    for number in 0..pods {
        policies.apply(&apply(Object::Pod(elsewhere(&template, number, &format!("peer-{}", number % rules)))));
    }
    let mut plan = PolicyPlan::adopt(PolicyImage::default(), true);
    let first_writes = plan.update(&mut policies).len();
    let first_seconds = started.elapsed().as_secs_f64();
    let mut writes = 0;
    let mut times = Vec::new();
    for change in 0..CHANGES {
        let app = if change % 2 == 0 { "nobody" } else { "peer-0" };
        let changed = apply(Object::Pod(elsewhere(&template, 0, app)));
        let started = Instant::now();
        policies.apply(&changed);
        writes = writes.max(plan.update(&mut policies).len());
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(Figures { first_writes, first_seconds, writes, microseconds: times[CHANGES / 2].as_secs_f64() * 1e6 })
}

fn apply(object: Object) -> Change {
    Change::Apply(object)
}

fn decoded(object: Value) -> Result<Object> {
    manifest::object(object)?.context("an object of a kind that counts")
}

fn named(name: &str, app: &str, index: u8) -> Result<Pod> {
    match decoded(pod(name, app, 1, index))? {
        Object::Pod(pod) => Ok(pod),
        other => bail!("not a Pod: {other:?}"),
    }
}

/// A pod of another node, with addresses by its number.
fn elsewhere(template: &Pod, number: u32, app: &str) -> Pod {
    let mut pod = template.clone();
    pod.name = format!("peer-{number}");
    pod.node_name = Some("node2".into());
    Arc::make_mut(&mut pod.labels).insert("app".into(), app.into());
    let [_, high, middle, low] = number.to_be_bytes();
    pod.ips = vec![[100, 64 + high, middle, low].into()];
    pod
}
