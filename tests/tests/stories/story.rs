//! The configurations in which every story has to be true.

use std::path::Path;

use anyhow::{Context as _, Result};
use lab::{Cluster, Lab, Serving};

use crate::checksums;

/// Tells a story of an example in both configurations, on two nodes.
pub(crate) fn everywhere(example: &str, story: impl Fn(&mut Cluster) -> Result<()>) -> Result<()> {
    on_nodes(2, from_example(example), story)
}

/// Takes the manifests of an example.
pub(crate) fn from_example(example: &str) -> impl Fn(&Lab) -> Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("examples").join(example);
    move |lab| Ok(lab.manifests().copy_from(&directory)?)
}

/// Tells a story in a lab of so many nodes, whose first manifests `prepare` writes. By programs: rules know a node's pods by
/// the podCIDRs of its Node, which most examples don't have; the suites of Services and policies try them.
pub(crate) fn on_nodes(
    nodes: u8,
    prepare: impl Fn(&Lab) -> Result<()>,
    story: impl Fn(&mut Cluster) -> Result<()>,
) -> Result<()> {
    for serving in Serving::by_programs() {
        let tell = || {
            let lab = Lab::builder().attachment(serving.attachment).nodes(nodes).build()?;
            prepare(&lab)?;
            let mut cluster = Cluster::start(lab, serving)?;
            story(&mut cluster)?;
            checksums::were_right(&cluster)
        };
        // Shown when an assertion fails.
        println!("{serving}");
        tell().with_context(|| serving.to_string())?;
    }
    Ok(())
}
