//! The configurations in which every story has to be true.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use lab::traffic::{Answer, Ask, Failure};
use lab::{Attachment, Cluster, Host, Lab, SocketLb};

use crate::checksums;

/// Tells a story of an example: both attachments, with socket programs and without, two nodes.
pub(crate) fn everywhere(example: &str, story: impl Fn(&mut Cluster) -> Result<()>) -> Result<()> {
    on_nodes(2, from_example(example), story)
}

/// Takes the manifests of an example.
pub(crate) fn from_example(example: &str) -> impl Fn(&Lab) -> Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("examples").join(example);
    move |lab| Ok(lab.manifests().copy_from(&directory)?)
}

/// Tells a story in a lab of so many nodes, whose first manifests `prepare` writes.
pub(crate) fn on_nodes(
    nodes: u8,
    prepare: impl Fn(&Lab) -> Result<()>,
    story: impl Fn(&mut Cluster) -> Result<()>,
) -> Result<()> {
    for attachment in Attachment::BOTH {
        for socket_lb in SocketLb::BOTH {
            let tell = || {
                let lab = Lab::builder().attachment(attachment).nodes(nodes).build()?;
                prepare(&lab)?;
                let mut cluster = Cluster::start(lab, socket_lb)?;
                story(&mut cluster)?;
                checksums::were_right(&cluster)
            };
            // Shown when an assertion fails.
            println!("{attachment:?}, socket translation {socket_lb}");
            tell().with_context(|| format!("{attachment:?}, socket translation {socket_lb}"))?;
        }
    }
    Ok(())
}

/// The answers to HTTP requests, one for each.
pub(crate) fn http(host: &Host, ask: &Ask) -> Result<Vec<Answer>> {
    answers(host, ask, host.http_each(ask)?)
}

/// The answers to UDP requests, one for each.
pub(crate) fn udp(host: &Host, ask: &Ask) -> Result<Vec<Answer>> {
    answers(host, ask, host.udp_each(ask)?)
}

fn answers(host: &Host, ask: &Ask, outcomes: Vec<Result<Answer, Failure>>) -> Result<Vec<Answer>> {
    let outcomes = outcomes.into_iter();
    outcomes.map(|outcome| outcome.map_err(|failure| anyhow!("{host}: {failure}; {ask:?}"))).collect()
}

/// Who answered.
pub(crate) fn pods(answers: &[Answer]) -> BTreeSet<&str> {
    answers.iter().map(|answer| answer.pod.as_str()).collect()
}
