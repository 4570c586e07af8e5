//! Log lines: on standard error, so that standard output holds nothing but what was asked for.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogFormat;

/// Starts logging for the rest of the process; `RUST_LOG` chooses what is logged (`info` unless set, and a bad value
/// is reported and ignored). The first call counts: a second one changes nothing.
pub fn init(format: LogFormat) {
    // kube tells of each attempt what `objects::kubernetes` tells of the first.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging is set up already");
    }
}
