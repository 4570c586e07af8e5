//! The configurations in which every story has to be true.

use std::path::Path;

use anyhow::{Context as _, Result};
use lab::{Attachment, Cluster, Lab, SocketLb};

use crate::checksums;

/// Each way of attaching pods once, and socket translation on and off: a story is long, and where one depends on the other
/// is for the target `services`, which tells its own in all four.
const CONFIGURATIONS: [(Attachment, SocketLb); 2] =
    [(Attachment::Routed, SocketLb::On), (Attachment::Bridge, SocketLb::Off)];

/// Tells a story of an example in both configurations, on two nodes.
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
    for (attachment, socket_lb) in CONFIGURATIONS {
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
    Ok(())
}
