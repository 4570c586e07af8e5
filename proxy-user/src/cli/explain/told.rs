//! The explanation as text.

use super::explanation::{Affinity, Endpoint, Explanation, ServicePort, SourceRanges, Translation};
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
    let mut text = output::table(lines.0)?;
    if !it.endpoints.is_empty() {
        let titles = ["ENDPOINT", "ODDS", "LOCAL", "SOURCE", "WHY"].map(str::to_owned).to_vec();
        let rows = std::iter::once(titles).chain(it.endpoints.iter().map(endpoint));
        text = format!("{text}\n{}", output::table(rows)?);
    }
    Ok(text)
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
