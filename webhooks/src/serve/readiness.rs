//! Whether reviews may be sent here, and why not.

use std::sync::{Arc, Mutex, PoisonError};

/// Where this process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// No admission has come back yet.
    #[default]
    Starting,
    /// An admission through the API server has come back.
    Ready,
    /// It was asked to end: it still serves, and nothing new should be sent.
    Ending,
}

/// Told by the keeper and by signals, read by the probe and by the listener.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<(Standing, String)>>);

impl Readiness {
    /// Changes where this process stands; ending is final.
    pub fn set(&self, standing: Standing) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != Standing::Ending {
            now.0 = standing;
        }
    }

    /// Why it is not ready yet.
    pub fn explain(&self, problem: &str) {
        problem.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).1);
    }

    /// Where this process stands.
    pub fn standing(&self) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// What the probe says when it fails.
    pub fn problem(&self) -> Option<String> {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match now.0 {
            Standing::Ready => None,
            Standing::Ending => Some("this process is ending".to_owned()),
            Standing::Starting => {
                Some(format!("no admission has come back through the API server yet; {}", now.1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_ending_never_becomes_ready_again() {
        let readiness = Readiness::default();
        readiness.explain("no configuration");
        assert!(readiness.problem().is_some_and(|problem| problem.contains("no configuration")));
        readiness.set(Standing::Ready);
        assert_eq!(readiness.problem(), None);
        readiness.set(Standing::Ending);
        readiness.set(Standing::Ready);
        assert_eq!(readiness.standing(), Standing::Ending);
    }
}
