//! What a program costs its machine.

use std::fs;

use rustix::param::clock_ticks_per_second;

use crate::error::{Doing as _, Error, Result};
use crate::figures::counted;

/// What a program has used so far.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Usage {
    /// Seconds on a CPU, of the programs that it started and that have ended too.
    pub cpu_seconds: f64,
    /// Bytes of memory it holds now.
    pub resident_bytes: u64,
    /// The most that it held at once.
    pub peak_bytes: u64,
}

impl Usage {
    /// That of a running program.
    ///
    /// # Errors
    /// It doesn't run.
    pub fn of(pid: u32) -> Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).doing(|| format!("read {path}: does it still run?"))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        let lacks =
            |what: &str| Error::Unknown { what: "field of a process", name: what.into(), have: "are others".into() };
        Ok(Self {
            cpu_seconds: cpu_seconds(&stat).ok_or_else(|| lacks("utime"))?,
            resident_bytes: bytes(&status, "VmRSS:").ok_or_else(|| lacks("VmRSS"))?,
            peak_bytes: bytes(&status, "VmHWM:").ok_or_else(|| lacks("VmHWM"))?,
        })
    }
}

/// proc(5): fields 14 to 17, user and system time, then the same of children that were waited for. The name, field 2, may
/// hold blanks.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks =
        fields.split(' ').skip(11).take(4).map(|field| field.parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
    let ticks: [u32; 4] = ticks.try_into().ok()?;
    Some(ticks.map(f64::from).iter().sum::<f64>() / counted(clock_ticks_per_second()))
}

fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_has_that_of_children_in_it_whatever_the_program_is_called() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 200 50 30 20 20 0 4 0 100 1 1";
        let seconds = cpu_seconds(stat).unwrap();
        assert!((seconds * counted(clock_ticks_per_second()) - 300.0).abs() < 1e-6, "{seconds}");
        assert_eq!(cpu_seconds("7 (short) S 1 7"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let status = "Name:\tsluice\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((bytes(status, "VmRSS:"), bytes(status, "VmHWM:")), (Some(1 << 20), Some(2 << 20)));
        assert_eq!(bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_program_uses_something_and_one_that_is_not_there_is_an_error() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0 && usage.peak_bytes >= usage.resident_bytes, "{usage:?}");
        assert!(Usage::of(u32::MAX).unwrap_err().to_string().contains("4294967295"));
    }
}
