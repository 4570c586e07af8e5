//! The explanation as text.

use super::explanation::{
    Affinity, Endpoint, Explanation, PolicyDecision, PolicyVerdict, ServicePort, Side, SourceRanges, Translation,
};
use super::why::SOCKET;
use crate::cli::get::affinity::State;
use crate::cli::names::non_empty;
use crate::cli::output;

pub(super) fn text(it: &Explanation) -> anyhow::Result<String> {
    let mut lines = Lines(Vec::new());
    let pod = it.client.pod.as_ref().map(|pod| format!(" (Pod {pod})")).unwrap_or_default();
    lines
        .add("From:", format!("{}{pod}, seen as {}: {}", it.client.address, place(it.client.place), it.client.because));
    lines.add("To:", format!("{} {}", it.destination, it.protocol));
    lines.add("Verdict:", format!("{:?}: {}", it.verdict, it.message));
    lines.add_each("Reason:", it.reason.map(str::to_owned));
    if let Some(service) = &it.service {
        lines.service(service);
    }
    lines.add_each("Translated:", it.translation.as_ref().map(translation));
    let flow = it.flow.as_ref();
    lines.add_each(
        "Flow:",
        flow.map(|it| format!("to {}, {}, idle {}s: {}", it.endpoint, it.state, it.idle_seconds, it.message)),
    );
    let is_policed = it.policy.iter().any(is_policed);
    if !is_policed && !it.policy.is_empty() {
        lines.add("Policy:", "Allowed: no NetworkPolicy isolates an end that is a pod of this node".into());
    }
    let mut text = output::table(lines.0)?;
    if !it.endpoints.is_empty() {
        let titles = ["ENDPOINT", "ODDS", "LOCAL", "SOURCE", "WHY"].map(str::to_owned).to_vec();
        let rows = std::iter::once(titles).chain(it.endpoints.iter().map(endpoint));
        text = format!("{text}\n{}", output::table(rows)?);
    }
    for places in alike(&it.policy).into_iter().filter(|_| is_policed) {
        text = format!("{text}\n{}", policy(&places)?);
    }
    Ok(text)
}

/// There is more to tell than that nobody minds.
fn is_policed(it: &PolicyVerdict) -> bool {
    it.verdict != PolicyDecision::Allowed || !it.egress.policies.is_empty() || !it.ingress.policies.is_empty()
}

/// Places of which the same is told, together.
fn alike(verdicts: &[PolicyVerdict]) -> Vec<Vec<&PolicyVerdict>> {
    let mut groups = Vec::<Vec<&PolicyVerdict>>::new();
    for it in verdicts {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| is_judged_alike(first, it))) {
            Some(group) => group.push(it),
            None => groups.push(vec![it]),
        }
    }
    groups
}

fn is_judged_alike(a: &PolicyVerdict, b: &PolicyVerdict) -> bool {
    (a.verdict, a.reason, a.message, &a.egress, &a.ingress) == (b.verdict, b.reason, b.message, &b.egress, &b.ingress)
}

/// What policies make of it at places where that is the same.
fn policy(places: &[&PolicyVerdict]) -> anyhow::Result<String> {
    let Some(it) = places.first() else { return Ok(String::new()) };
    let mut lines = Lines(Vec::new());
    let place = |it: &&PolicyVerdict| match &it.pod {
        Some(pod) => format!("{} (Pod {pod})", it.destination),
        None => it.destination.clone(),
    };
    lines.add_each("Policy to:", places.iter().map(place));
    let reason = it.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    lines.add("Verdict:", format!("{:?}{reason}: {}", it.verdict, it.message));
    lines.add_each("Egress:", side(&it.egress));
    lines.add_each("Ingress:", side(&it.ingress));
    output::table(lines.0)
}

fn side(it: &Side) -> Vec<String> {
    let names: Vec<_> = it.policies.iter().map(ToString::to_string).collect();
    let audit = if it.audit { " (audit)" } else { "" };
    let mut lines = vec![match names.as_slice() {
        [] => it.because.clone(),
        names => format!("isolated by {}{audit}: {}", names.join(", "), it.because),
    }];
    lines.extend(it.nearest.rules.iter().map(|near| format!("- {}", near.message)));
    if it.nearest.others > 0 {
        lines.push(format!("- {} other rules come no nearer", it.nearest.others));
    }
    lines
}

fn place(place: &str) -> &str {
    match place {
        "Pod" => "a pod of this node",
        "Node" => "the node itself",
        _ => "a client outside",
    }
}

fn endpoint(it: &Endpoint) -> Vec<String> {
    let source = it.source.clone().unwrap_or_default();
    let why = it.reason.unwrap_or(it.because);
    vec![it.address.clone(), format!("{:.1}%", it.percent), it.local.to_string(), non_empty(source), why.into()]
}

/// Titles and values.
struct Lines(Vec<Vec<String>>);

impl Lines {
    fn add(&mut self, title: &str, value: String) {
        self.0.push(vec![title.into(), value]);
    }

    /// The title stands at the first of the values.
    fn add_each(&mut self, title: &str, values: impl IntoIterator<Item = String>) {
        for (index, value) in values.into_iter().enumerate() {
            self.add(if index == 0 { title } else { "" }, value);
        }
    }

    fn service(&mut self, it: &ServicePort) {
        let name = &it.name;
        self.add(
            "Service:",
            format!(
                "{}/{} port {}, {} {}",
                name.namespace,
                name.name,
                name.port(),
                it.frontend_type.name(),
                it.frontend
            ),
        );
        let set = std::iter::once(it.endpoint_set.to_owned()).chain(it.because.iter().map(|why| format!("- {why}")));
        self.add_each("Endpoints:", set);
        self.add_each("Source ranges:", it.source_ranges.as_ref().map(source_ranges));
        self.add_each("Affinity:", it.affinity.as_ref().map(affinity));
    }
}

fn translation(it: &Translation) -> String {
    let at = if it.at == SOCKET { "at the socket" } else { "in the path" };
    format!("{at} ({}): {}", it.hook, it.because)
}

fn source_ranges(it: &SourceRanges) -> String {
    let has = if it.has_client { "the client is in" } else { "the client is not in" };
    format!("{has} [{}]", it.ranges.join(", "))
}

fn affinity(it: &Affinity) -> String {
    let told = match &it.last {
        None => "the client is not bound yet".to_owned(),
        Some(last) if last.state == State::Bound => {
            let left = it.timeout_seconds.saturating_sub(last.idle_seconds);
            format!("the client is bound to {}, for another {left}s", last.endpoint)
        }
        Some(last) => format!("the client was bound to {}: {}", last.endpoint, last.state.name()),
    };
    format!("ClientIP ({}s): {told}", it.timeout_seconds)
}
