//! When the steps of one request were taken: kept for a request that is traced, and for no other.

use keywright_ambient::Clock;
use std::time::Instant;

/// A step: its name, beginning and end.
pub type Step = (&'static str, Instant, Instant);

/// The steps of a request so far; none are kept where nobody traces it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps(Option<Vec<Step>>);

impl Steps {
    /// `kept`: whether somebody traces the request.
    pub fn new(kept: bool) -> Self {
        Self(kept.then(Vec::new))
    }

    /// Adds a step that was measured.
    pub fn add(&mut self, (name, from, to): Step) {
        if let Some(steps) = &mut self.0 {
            steps.push((name, from, to));
        }
    }

    /// When a step begins; none where none are kept.
    pub fn begin(&self, clock: &dyn Clock) -> Option<Instant> {
        self.0.as_ref().map(|_| clock.monotonic())
    }

    /// Adds the step that began then and ends now.
    pub fn end(&mut self, name: &'static str, from: Option<Instant>, clock: &dyn Clock) {
        if let Some(from) = from {
            self.add((name, from, clock.monotonic()));
        }
    }

    /// All of them, in the order in which they ended.
    pub fn iter(&self) -> impl Iterator<Item = Step> {
        self.0.iter().flat_map(|steps| steps.iter().copied())
    }
}
