//! The dashboard and the alerts of `deploy/` against the metrics that are served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use deploy::{ALERTS, DASHBOARD};
use jiff::SignedDuration;
use proxy_common::addr::Family;
use proxy_common::drop::Reason;
use proxy_common::tables::FLOWS;
use serde_json::Value;

use super::metrics;
use crate::dataplane::Fill;
use crate::serve::Metrics;
use crate::serve::metrics::PolicyLabels;

/// Prometheus' own: whether a target answered.
const OF_PROMETHEUS: &str = "up";

/// Metrics of an agent that has something to tell of everything: what has no value yet isn't served.
fn seen() -> Arc<Metrics> {
    let metrics = metrics();
    metrics.queued();
    metrics.synced(Duration::ZERO, true);
    metrics.network_programmed(Family::V4, SignedDuration::ZERO);
    metrics.set_no_local_endpoints(Family::V4, 0, 0);
    metrics.set_table(&Fill { table: FLOWS, entries: 0, evicts: false });
    metrics.set_drops(Reason::NoSourcePort, 0);
    metrics.set_audits(Reason::PolicyIngress, 0);
    metrics.count_healthz(200);
    metrics.count_livez(200);
    let policy = PolicyLabels { namespace: "a".into(), name: "b".into(), direction: "ingress" };
    metrics.set_policy_allowed(&BTreeMap::from([(policy, 0)]), &BTreeMap::new());
    metrics
}

/// Names of all series that the agent can have.
fn served() -> BTreeSet<String> {
    let text = seen().encode();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let series = kinds.flat_map(|(name, kind)| {
        let endings: &[_] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        endings.iter().map(move |ending| format!("{name}{ending}"))
    });
    series.chain([OF_PROMETHEUS.to_owned()]).collect()
}

/// Names of the series in an expression of `PromQL`: words that are no function, no label and no part of its grammar.
fn series(expression: &str) -> BTreeSet<String> {
    const GRAMMAR: [&str; 5] = ["and", "by", "on", "or", "unless"];
    let mut names = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || "_{[\"".contains(c)) {
        rest = &rest[start..];
        let end_of = |closing: char| rest[1..].find(closing).map_or(rest.len(), |at| at + 2);
        let end = match rest.as_bytes()[0] {
            b'{' => end_of('}'),
            b'[' => end_of(']'),
            b'"' => end_of('"'),
            _ => rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c))).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        let arguments = ["(", "by ("].iter().any(|start| after.trim_start().starts_with(start));
        rest = if arguments && ["by", "on"].contains(&word) { &after[after.find(')').unwrap_or(0)..] } else { after };
        if !arguments && !word.starts_with(['{', '[', '"']) && !GRAMMAR.contains(&word) {
            names.insert(word.to_owned());
        }
    }
    names
}

#[track_caller]
fn assert_served(expression: &str) {
    let (used, served) = (series(expression), served());
    assert!(!used.is_empty(), "{expression}: no series");
    let unknown: Vec<_> = used.difference(&served).collect();
    assert!(unknown.is_empty(), "{expression}: no such series: {unknown:?}");
}

fn dashboard() -> Value {
    serde_json::from_str(&deploy::file(DASHBOARD)).unwrap()
}

fn texts<'a>(values: &'a Value, field: &str) -> Vec<&'a str> {
    values.as_array().unwrap().iter().map(|value| value[field].as_str().unwrap()).collect()
}

#[test]
fn names_are_told_from_functions_labels_and_strings() {
    let expression = r#"histogram_quantile(0.5, sum by (le, x) (rate(a_bucket{b="c"}[$__rate_interval]))) and on (d) (e:f > 1) or up"#;
    assert_eq!(series(expression), BTreeSet::from(["a_bucket", "e:f", "up"].map(str::to_owned)));
}

#[test]
fn every_panel_of_the_dashboard_asks_for_series_that_are_served() {
    for panel in dashboard()["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert_served(target["expr"].as_str().unwrap());
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
        }
        let references: BTreeSet<_> = texts(&panel["targets"], "refId").into_iter().collect();
        assert_eq!(references.len(), targets.len(), "{panel}");
    }
}

#[test]
fn panels_have_numbers_of_their_own_a_title_and_a_place_on_the_grid() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let numbers: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), panels.len());
    let place = |panel: &Value, side: &str| panel["gridPos"][side].as_u64().unwrap();
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(!panel["title"].as_str().unwrap().is_empty(), "{panel}");
        let (x, y) = (place(panel, "x"), place(panel, "y"));
        assert!(x + place(panel, "w") <= 24, "{panel}");
        for cell in (x..x + place(panel, "w")).flat_map(|x| (y..y + place(panel, "h")).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{panel} is on another");
        }
    }
}

#[test]
fn the_variables_that_panels_use_are_there() {
    let dashboard = dashboard();
    assert_eq!(texts(&dashboard["templating"]["list"], "name"), ["datasource", "instance"]);
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
}

#[test]
fn every_alert_asks_for_series_that_are_served_and_says_what_to_do() {
    let alerts: Value = serde_yaml_ng::from_str(&deploy::file(ALERTS)).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let names: BTreeSet<_> = texts(&alerts["groups"][0]["rules"], "alert").into_iter().collect();
    assert_eq!(names.len(), rules.len());
    for rule in rules {
        assert_served(rule["expr"].as_str().unwrap());
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
        for text in ["summary", "description"] {
            assert!(!rule["annotations"][text].as_str().unwrap().is_empty(), "{rule}");
        }
    }
}

/// A reason is a label's value, which a misspelt one would silently never match.
#[test]
fn the_reasons_that_alerts_name_are_reasons() {
    let alerts = deploy::file(ALERTS);
    let named: Vec<_> = alerts.split("reason=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert!(!named.is_empty());
    assert!(named.iter().all(|name| reasons.contains(name)), "{named:?}");
}
