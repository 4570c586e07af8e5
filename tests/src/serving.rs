//! How a lab's nodes serve: what the suites of Services and policies are run through.

use std::env;
use std::fmt;
use std::path::Path;

use crate::agent::{AgentOptions, Mode, SocketLb};
use crate::options::Attachment;

/// Set: the suites run through every configuration. `cargo xtask test --all-configurations` sets it.
const ALL: &str = "LAB_ALL_CONFIGURATIONS";
/// There where the kernel can show rules what passes a bridge; without, they don't see what pods of a node send each other.
const BRIDGED_PACKETS: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// How pods are attached, and how nodes serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Serving {
    /// How pods are attached.
    pub attachment: Attachment,
    /// Programs or rules.
    pub mode: Mode,
    /// Where programs translate; [`SocketLb::Off`] where there are none.
    pub socket_lb: SocketLb,
}

impl Serving {
    /// Programs.
    #[must_use]
    pub const fn ebpf(attachment: Attachment, socket_lb: SocketLb) -> Self {
        Self { attachment, mode: Mode::Ebpf, socket_lb }
    }

    /// Rules.
    #[must_use]
    pub const fn iptables(attachment: Attachment) -> Self {
        Self { attachment, mode: Mode::Iptables, socket_lb: SocketLb::Off }
    }

    /// What every story is to be true in: each way of attaching pods, of translating and of serving once; or every
    /// combination of them that works, where somebody asked for that.
    pub fn all() -> impl Iterator<Item = Self> {
        let everyday = [
            Self::ebpf(Attachment::Routed, SocketLb::On),
            Self::ebpf(Attachment::Bridge, SocketLb::Off),
            Self::iptables(Attachment::Routed),
        ];
        let others = [
            Self::ebpf(Attachment::Routed, SocketLb::Off),
            Self::ebpf(Attachment::Bridge, SocketLb::On),
            Self::iptables(Attachment::Bridge),
        ];
        let wanted = env::var_os(ALL).is_some();
        everyday.into_iter().chain(others.into_iter().filter(move |serving| wanted && serving.works()))
    }

    /// The same, but for rules: for what only programs do.
    pub fn by_programs() -> impl Iterator<Item = Self> {
        Self::all().filter(|serving| serving.mode == Mode::Ebpf)
    }

    fn works(self) -> bool {
        self.mode == Mode::Ebpf || self.attachment != Attachment::Bridge || Path::new(BRIDGED_PACKETS).exists()
    }
}

impl From<Serving> for AgentOptions {
    fn from(Serving { mode, socket_lb, .. }: Serving) -> Self {
        Self { mode, ..socket_lb.into() }
    }
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attachment, mode, socket_lb } = self;
        match mode {
            Mode::Ebpf => write!(f, "{attachment:?}, socket translation {socket_lb}"),
            Mode::Iptables => write!(f, "{attachment:?}, mode {mode}"),
        }
    }
}
