//! What is being measured, and what is left.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Between two lines where standard error is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts steps, and tells of them on standard error: of each, over the last line, on a terminal; else now and then.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    told: Option<Instant>,
    done: u32,
    all: u32,
}

impl Progress {
    /// Before the first of so many steps. They needn't take equally long: what is left is an estimate.
    #[must_use]
    pub fn new(all: u32) -> Self {
        Self { started: Instant::now(), told: None, done: 0, all }
    }

    /// Begins the next step.
    pub fn step(&mut self, what: &str) {
        let line = self.line(what, self.started.elapsed());
        self.done += 1;
        let mut out = io::stderr().lock();
        // Nobody to read it is no reason to stop.
        let _ = if out.is_terminal() {
            write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush())
        } else if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.told = Some(Instant::now());
            writeln!(out, "{line}")
        } else {
            Ok(())
        };
    }

    /// Steps that will not be made after all.
    pub fn skip(&mut self, steps: u32) {
        self.all = self.all.saturating_sub(steps).max(self.done);
    }

    /// Ends the line.
    pub fn end(&self) {
        if io::stderr().is_terminal() {
            eprintln!("\r\x1b[2Kmeasured in {}", span(self.started.elapsed()));
        } else {
            eprintln!("measured in {}", span(self.started.elapsed()));
        }
    }

    fn line(&self, what: &str, elapsed: Duration) -> String {
        let left = match self.done {
            0 => String::new(),
            done => format!(", about {} left", span(elapsed / done * self.all.saturating_sub(done))),
        };
        format!("[{} of {}{left}] {what}", self.done + 1, self.all)
    }
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=99 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_measured_and_what_is_left() {
        let mut progress = Progress::new(40);
        assert_eq!(progress.line("connect", Duration::ZERO), "[1 of 40] connect");
        progress.done = 10;
        assert_eq!(progress.line("connect", Duration::from_secs(20)), "[11 of 40, about 60 s left] connect");
        progress.skip(20);
        assert_eq!(progress.line("connect", Duration::from_mins(5)), "[11 of 20, about 5 min left] connect");
    }
}
