//! The log of the programs themselves, for debugging them: off, and then free, unless asked for.

use aya::Ebpf;
use aya_log::{EbpfLogger, Error as LogError};
use log::{Level, Log, Metadata, Record};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::Error;

/// Passes what the programs log on to the agent's own log.
pub struct ProgramLog {
    ring: AsyncFd<EbpfLogger<Lines>>,
}

impl ProgramLog {
    /// Takes the ring of the loaded programs; `None` when none of them logs.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Option<Self>, Error> {
        let logger = match EbpfLogger::init_with_logger(ebpf, Lines) {
            Err(LogError::MapNotFound) => return Ok(None),
            logger => logger.map_err(Error::Log)?,
        };
        // SAFETY: the descriptor is the ring's, which the AsyncFd owns from here on and never swaps for another.
        let ring = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) };
        ring.map(|ring| Some(Self { ring })).map_err(|error| Error::LogWait(error.into()))
    }

    /// Runs until the descriptor fails, which it doesn't while the agent lives.
    pub async fn run(mut self) -> Result<(), Error> {
        loop {
            let mut guard = self.ring.readable_mut().await.map_err(Error::LogWait)?;
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    }
}

/// Makes lines of the agent's log of the programs' records. What was asked for when the programs were loaded is not
/// filtered by level once more: the less severe records come as information.
struct Lines;

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let (program, message) = (record.target(), record.args());
        match record.level() {
            Level::Error => tracing::error!(program, "{message}"),
            Level::Warn => tracing::warn!(program, "{message}"),
            level @ (Level::Info | Level::Debug | Level::Trace) => tracing::info!(program, %level, "{message}"),
        }
    }

    fn flush(&self) {}
}
