//! Log lines: on standard error, so that standard output holds nothing but what was asked for.
//!
//! In JSON all of them are objects, also of a panic and of the error that ends the process.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::{env, io::IsTerminal as _, io::stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

use crate::config::LogFormat;
use crate::explain::explain;

/// How this process logs, once it does.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The client of the API server tells at every attempt what [`crate::objects::kubernetes`] tells once.
const UNLESS_CHOSEN: &str = "info,kube_client=error,kube_runtime=error";

/// Starts logging for the rest of the process; `RUST_LOG` chooses what is logged (`info` unless set, and a bad value
/// is reported and ignored). The first call counts: a second one changes nothing.
pub fn init(format: LogFormat) {
    let wanted = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| UNLESS_CHOSEN.into());
    let (filter, bad) = filter(&wanted);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging is set up already");
        return;
    }
    FORMAT.get_or_init(|| format);
    if format == LogFormat::Json {
        panic::set_hook(Box::new(log_panic));
    }
    for directive in bad {
        tracing::warn!(directive, "ignored in RUST_LOG: not TARGET=LEVEL, nor a level alone");
    }
}

/// Tells the error that ends the process: as a line for people, in JSON as a log line.
pub fn report(error: &(dyn Error + 'static)) {
    match FORMAT.get() {
        Some(LogFormat::Json) => tracing::error!("{}", explain(error)),
        Some(LogFormat::Text) | None => eprintln!("error: {}", explain(error)),
    }
}

/// What `RUST_LOG` asks for, and what of it isn't understood. The library would tell the latter as text.
fn filter(text: &str) -> (EnvFilter, Vec<&str>) {
    let is_good = |directive: &&str| directive.parse::<Directive>().is_ok();
    let (good, bad): (Vec<_>, Vec<_>) = text.split(',').filter(|it| !it.is_empty()).partition(is_good);
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(good.join(","));
    (filter, bad)
}

/// As the standard library tells a panic, in one line; where it happened is a field.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(location, thread = thread.name(), backtrace, "panicked: {}", panic.payload_as_str().unwrap_or("?"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_in_rust_log_is_told_apart_from_the_rest() {
        let (filter, bad) = filter("debug,kube=loud,proxy_user::plan=trace");
        assert_eq!(bad, ["kube=loud"]);
        assert_eq!(filter.to_string(), "proxy_user::plan=trace,debug");
        assert_eq!(super::filter("").0.to_string(), "info");
    }
}
