//! A process that is not our child, known so that a reused pid is never mistaken for it.
//!
//! Linux only: reads /proc, see proc(5), /proc/pid/stat.

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// A pid together with when its process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it started, in clock ticks since the machine booted.
    pub started: u64,
}

/// What is left of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// It runs, or is stopped.
    Alive,
    /// It has ended and its parent has not looked yet.
    Zombie,
    /// Nothing, or another process has its pid.
    None,
}

impl Identity {
    /// The process that has this pid now, if any.
    pub fn of(pid: i32) -> Option<Self> {
        let (_, started) = stat(pid)?;
        Some(Self { pid, started })
    }

    pub(crate) fn trace(self) -> Trace {
        match stat(self.pid) {
            Some((state, started)) if started == self.started => {
                if matches!(state, 'Z' | 'X') {
                    Trace::Zombie
                } else {
                    Trace::Alive
                }
            }
            Some(_) | None => Trace::None,
        }
    }

    /// Whether it still runs (or is stopped by a signal).
    pub fn is_alive(self) -> bool {
        self.trace() == Trace::Alive
    }

    /// Sends a signal if it still runs; says whether it did.
    pub fn signal(self, signal: Signal) -> bool {
        self.is_alive() && Pid::from_raw(self.pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
    }
}

/// State letter and start time of a pid.
fn stat(pid: i32) -> Option<(char, u64)> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The program's name stands in parentheses and may contain anything, so fields are counted from the last one.
fn parse(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200 18446744073709551615";
        assert_eq!(parse(stat), Some(('S', 987_654)));
    }

    #[test]
    fn a_pid_with_another_start_time_is_another_process() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let us = Identity::of(pid).unwrap();
        assert!(us.is_alive());
        assert_eq!(Identity { started: us.started + 1, ..us }.trace(), Trace::None);
    }
}
