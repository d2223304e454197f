//! What a waiting person sees: a spinner on a terminal, plain lines in a pipe or a log.

use indicatif::{ProgressBar, ProgressStyle};
use keywright_ambient::{Clock, SystemClock};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Tells steps as they happen, each with the seconds since the start.
#[derive(Debug)]
pub struct Progress {
    since: Instant,
    spinner: Option<ProgressBar>,
}

impl Progress {
    /// Starts counting now.
    pub fn new() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { since: SystemClock.monotonic(), spinner }
    }

    /// Something happened or begins; it stays on the screen.
    pub fn step(&self, text: &str) {
        let seconds = SystemClock.monotonic().duration_since(self.since).as_secs_f32();
        let line = format!("{seconds:6.1} s  {text}");
        match &self.spinner {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// What is awaited right now; on a terminal it stands beside the spinner, elsewhere it is not shown.
    pub fn awaiting(&self, text: &str) {
        if let Some(bar) = &self.spinner {
            bar.set_message(text.to_owned());
        }
    }

    /// Takes the spinner away, before something longer is printed.
    pub fn end(&self) {
        if let Some(bar) = &self.spinner {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
