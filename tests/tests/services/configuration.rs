//! The configurations in which every story has to be true.

use anyhow::{Context as _, Result};
use lab::manifests::build;
use lab::{AgentOptions, Cluster, Lab, Mode, Serving};

use crate::checksums;

/// A lab to be, and how its nodes translate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configuration {
    pub(crate) serving: Serving,
    pub(crate) offload: bool,
    /// MTU in bytes of the nodes' segment.
    pub(crate) segment_mtu: u32,
    /// Packets are handed to pods past their node's stack.
    pub(crate) local_redirect: bool,
}

impl Configuration {
    /// Every way of serving.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Serving::all().map(Self::from)
    }

    /// Those with programs: for what rules don't do, each time with the reason.
    pub(crate) fn by_programs() -> impl Iterator<Item = Self> {
        Serving::by_programs().map(Self::from)
    }

    /// Tells a story in a lab of this configuration. No host of it may have got a packet with a wrong checksum, whatever
    /// the story says.
    pub(crate) fn tell(self, story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
        // Shown when an assertion fails.
        println!("{self:?}");
        self.try_tell(story).with_context(|| format!("{self:?}"))
    }

    fn try_tell(self, story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
        let lab =
            Lab::builder().attachment(self.serving.attachment).offload(self.offload).segment_mtu(self.segment_mtu);
        let lab = lab.build()?;
        lab.manifests().write("cluster.yaml", include_str!("cluster.yaml"))?;
        if self.serving.mode == Mode::Iptables {
            prepare_rules(&lab)?;
        }
        let mut options = AgentOptions::from(self.serving);
        if self.local_redirect {
            options.arguments.extend(["--local-redirect".into(), "on".into()]);
        }
        let cluster = Cluster::start(lab, options)?;
        story(&cluster)?;
        checksums::were_right(&cluster)
    }
}

/// What rules take of a node, and programs don't: they know its pods by the ranges of its Node, and who is refused is told by
/// the kernel, which otherwise tells a host only now and then.
fn prepare_rules(lab: &Lab) -> Result<()> {
    lab.manifests().write("nodes.yaml", &build::file(&[1, 2].map(build::node)))?;
    for node in lab.nodes() {
        node.run(&["sysctl", "-q", "-w", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"])?;
    }
    Ok(())
}

impl From<Serving> for Configuration {
    fn from(serving: Serving) -> Self {
        Self { serving, offload: true, segment_mtu: 1500, local_redirect: false }
    }
}

/// Tells a story in every configuration.
pub(crate) fn everywhere(story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
    Configuration::all().try_for_each(|configuration| configuration.tell(&story))
}

/// Tells a story in every configuration with programs.
pub(crate) fn by_programs(story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
    Configuration::by_programs().try_for_each(|configuration| configuration.tell(&story))
}
