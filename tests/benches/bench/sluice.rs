//! Sluice's own modes.

use lab::figures::{Mode, Report};
use lab::{AgentOptions, SocketLb};

use crate::plan::Plan;

/// The modes of Sluice that are to be measured.
pub(crate) fn modes(plan: &Plan) -> Vec<Mode> {
    plan.modes().into_iter().filter(|mode| options(*mode).is_some()).collect()
}

/// How the agent is started for a mode; none where it isn't one of Sluice's.
pub(crate) fn options(mode: Mode) -> Option<AgentOptions> {
    match mode {
        Mode::Socket => Some(SocketLb::On.into()),
        Mode::Redirect => {
            let arguments = vec!["--local-redirect".into(), "on".into()];
            Some(AgentOptions { arguments, ..SocketLb::On.into() })
        }
        Mode::Tc => Some(SocketLb::Off.into()),
        Mode::Iptables => Some(lab::Mode::Iptables.into()),
        Mode::Direct | Mode::KubeProxyIptables | Mode::KubeProxyNftables => None,
    }
}

/// What came of a mode; where it couldn't be had, the report says so. An agent's log is too long for that.
pub(crate) fn or_leave_out<T>(what: &str, mode: Mode, done: anyhow::Result<T>, report: &mut Report) -> Option<T> {
    let leave_out = |error: anyhow::Error| {
        let text = format!("{error:#}");
        let said =
            text.lines().rfind(|line| line.contains("rror")).unwrap_or_else(|| text.lines().next().unwrap_or("?"));
        report.leave_out(format!("{what}, {mode}: {}", said.trim()));
    };
    done.map_err(leave_out).ok()
}
