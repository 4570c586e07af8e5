//! A program that runs on a host until its handle is dropped.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Doing, Error, Result};
use crate::host::Host;

/// How much of a log goes into an error, in lines.
const TAIL: usize = 40;
/// How often a process's state is looked at.
const POLL: Duration = Duration::from_millis(2);

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    what: String,
    log: PathBuf,
    left: bool,
}

impl Process {
    /// Starts `command` with its output in a log of its own.
    pub(crate) fn start(host: &Host, name: &str, mut command: Command) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        static STARTED: AtomicU32 = AtomicU32::new(1);
        let what = format!("{name} on {host}");
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = host.lab().dir().join("logs").join(format!("{number:03}-{host}-{name}.log"));
        let output = File::create(&log).doing(|| format!("make {}", log.display()))?;
        let errors = output.try_clone().doing(|| format!("open {}", log.display()))?;
        // A group of its own: Ctrl-C is for the lab's owner, which then ends all the lab's processes.
        command.stdin(Stdio::piped()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().doing(|| format!("start {what}"))?;
        Ok(Self { child, what, log, left: false })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// File with its output.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its output so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal; an error when it has ended already, for its number may be another program's by now.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.ensure_running()?;
        kill_process(Pid::from_child(&self.child), signal).doing(|| format!("signal {}", self.what))
    }

    /// Waits until it has ended.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.ended()? {
                Some(status) => return Ok(status),
                None if Instant::now() < deadline => sleep(POLL),
                None => return Err(self.not_ready(format!("it has not ended in {limit:?}"))),
            }
        }
    }

    /// Waits until `ready` says so; an error when the program ends first or the limit passes.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !ready(self) {
            self.ensure_running()?;
            if Instant::now() >= deadline {
                return Err(self.not_ready(format!("{limit:?} have passed")));
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// An error with the end of its output if it has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) => Err(self.not_ready(format!("it ended with {status}"))),
            None => Ok(()),
        }
    }

    /// Its standard input; closing it tells the lab's traffic programs to end.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Lets it run after its handle is gone, for a lab that is kept.
    pub(crate) fn leave(&mut self) {
        self.left = true;
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().doing(|| format!("wait for {}", self.what))
    }

    fn not_ready(&self, why: String) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        Error::NotReady { what: self.what.clone(), why, log: self.log.clone(), tail }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // It may have ended by itself; then there is nothing to kill, and its status is collected all the same.
        let _: io::Result<()> = self.child.kill();
        let _ = self.child.wait();
    }
}
