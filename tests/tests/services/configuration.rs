//! The configurations in which every story has to be true.

use anyhow::{Context as _, Result};
use lab::{AgentOptions, Attachment, Cluster, Lab, SocketLb};

use crate::checksums;

/// A lab to be, and how its nodes translate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configuration {
    pub(crate) attachment: Attachment,
    pub(crate) socket_lb: SocketLb,
    pub(crate) offload: bool,
    /// MTU in bytes of the nodes' segment.
    pub(crate) segment_mtu: u32,
    /// Packets are handed to pods past their node's stack.
    pub(crate) local_redirect: bool,
}

impl Configuration {
    /// Both attachments, with socket programs and without.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let both = Attachment::BOTH.into_iter().flat_map(|attachment| SocketLb::BOTH.map(|lb| (attachment, lb)));
        both.map(|(attachment, socket_lb)| Self {
            attachment,
            socket_lb,
            offload: true,
            segment_mtu: 1500,
            local_redirect: false,
        })
    }

    /// Tells a story in a lab of this configuration. No host of it may have got a packet with a wrong checksum, whatever
    /// the story says.
    pub(crate) fn tell(self, story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
        // Shown when an assertion fails.
        println!("{self:?}");
        self.try_tell(story).with_context(|| format!("{self:?}"))
    }

    fn try_tell(self, story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
        let lab = Lab::builder().attachment(self.attachment).offload(self.offload).segment_mtu(self.segment_mtu);
        let lab = lab.build()?;
        lab.manifests().write("cluster.yaml", include_str!("cluster.yaml"))?;
        let local_redirect = if self.local_redirect { "on" } else { "off" };
        let arguments = vec!["--local-redirect".into(), local_redirect.into()];
        let cluster = Cluster::start(lab, AgentOptions { socket_lb: self.socket_lb, arguments })?;
        story(&cluster)?;
        checksums::were_right(&cluster)
    }
}

/// Tells a story in every configuration.
pub(crate) fn everywhere(story: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
    Configuration::all().try_for_each(|configuration| configuration.tell(&story))
}
