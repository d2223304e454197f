//! What a process has used, as the kernel counts it (proc(5)).

use crate::Error;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Clock ticks a second in /proc: USER_HZ, the same on every machine that Linux gives this interface to.
const TICKS: f64 = 100.0;

/// What one process used until now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Processor seconds, user and system, of all its threads.
    pub(super) cpu: f64,
    /// Resident memory now, MiB.
    pub(super) resident: f64,
    /// The most it was since the process started, MiB.
    pub(super) peak: f64,
}

/// What one process used meanwhile.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Cost {
    /// Processor seconds.
    pub(super) cpu_seconds: f64,
    /// The most resident memory since the process started, MiB.
    pub(super) peak_mib: f64,
}

impl Usage {
    /// Of the process with this pid. Errors: `File` when it has ended.
    pub(super) fn of(pid: u32) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = Path::new("/proc").join(pid.to_string()).join(name);
            std::fs::read_to_string(&path).map_err(Error::file("read", &path))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        Ok(Self { cpu: ticks(&stat) / TICKS, resident: mib(&status, "VmRSS:"), peak: mib(&status, "VmHWM:") })
    }

    /// From `before` until now.
    pub(super) fn since(self, before: Self) -> Cost {
        Cost { cpu_seconds: self.cpu - before.cpu, peak_mib: self.peak }
    }
}

/// utime and stime, the 14th and 15th field; the name before them stands in parentheses and may contain anything.
fn ticks(stat: &str) -> f64 {
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

fn mib(status: &str, field: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_times_are_found_behind_any_name() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0 987654 1000 200";
        assert!((ticks(stat) - 200.0).abs() < f64::EPSILON);
    }

    #[test]
    fn memory_is_told_in_mib() {
        assert!(
            (mib("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n", "VmHWM:") - 2.0).abs() < f64::EPSILON
        );
    }

    #[test]
    fn this_process_has_used_something() {
        assert!(Usage::of(std::process::id()).unwrap().peak > 1.0);
    }
}
