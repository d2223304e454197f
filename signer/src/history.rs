//! What an earlier attempt at the same request means for this one (one request, one credential).
//!
//! ```text
//! no attempt, or one that came to nothing ........ Fresh
//! same key, same effect, still valid ............. Again    the stored answer
//! another key or effect, or expired .............. Instead  the earlier serial is recorded as superseded first
//! a later step of the object was used already .... refused, unless Again
//! ```

use crate::ledger::{History, RequestRow, RequestState};
use crate::refusal::Refusal;

/// What identifies a repeat.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The request's step.
    pub step: u64,
    /// SHA-256 of the public key to certify.
    pub spki: &'a [u8; 32],
    /// Digest of everything else that is asked for.
    pub effect: &'a [u8; 32],
    /// SHA-256 of the public key of the authority that would sign.
    pub authority_spki: &'a [u8; 32],
}

/// How a request stands to its past.
#[derive(Debug, Clone, PartialEq)]
pub enum Past {
    /// Nothing stands against signing.
    Fresh,
    /// It is answered already.
    Again(RequestRow),
    /// This earlier certificate must be recorded as superseded before another is signed.
    Instead {
        /// Its serial.
        serial: Vec<u8>,
        /// Why, for the log.
        why: &'static str,
    },
}

/// How `ask` stands to what is known of it at `now` (seconds since the Unix epoch).
///
/// Errors: `StaleStep` when the object has used a later step.
pub fn judge(history: &History, ask: &Ask<'_>, now: i64) -> Result<Past, Refusal> {
    let past = match &history.row {
        None => Past::Fresh,
        Some(row) => match row.state() {
            RequestState::Abandoned | RequestState::Superseded => Past::Fresh,
            RequestState::Intent => {
                Past::Instead { serial: row.serial.clone(), why: "its outcome was never recorded" }
            }
            RequestState::Signed => {
                let why = if row.spki != ask.spki {
                    Some("another public key")
                } else if row.effect != ask.effect {
                    Some("another effect")
                } else if row.authority_spki != ask.authority_spki {
                    Some("another authority key")
                } else if row.not_after <= now {
                    Some("expired")
                } else {
                    None
                };
                match why {
                    None => return Ok(Past::Again(row.clone())),
                    Some(why) => Past::Instead { serial: row.serial.clone(), why },
                }
            }
        },
    };
    match history.highest {
        Some(highest) if ask.step < highest => Err(Refusal::stale_step(highest)),
        Some(_) | None => Ok(past),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_900_000_000;

    fn row(state: RequestState) -> RequestRow {
        RequestRow {
            state: state.into(),
            spki: vec![1; 32],
            effect: vec![2; 32],
            authority_spki: vec![3; 32],
            serial: vec![9],
            not_after: NOW + 1,
            ..Default::default()
        }
    }

    fn past(row: Option<RequestRow>, highest: Option<u64>) -> Result<Past, Refusal> {
        let ask = Ask { step: 5, spki: &[1; 32], effect: &[2; 32], authority_spki: &[3; 32] };
        judge(&History { row, highest }, &ask, NOW)
    }

    #[test]
    fn a_first_request_is_fresh_and_so_is_one_after_nothing_came_of_it() {
        assert_eq!(past(None, None), Ok(Past::Fresh));
        assert_eq!(past(None, Some(4)), Ok(Past::Fresh));
        assert_eq!(past(Some(row(RequestState::Abandoned)), Some(5)), Ok(Past::Fresh));
    }

    #[test]
    fn an_identical_repeat_gets_the_stored_answer_even_below_the_highest_step() {
        for highest in [5, 6] {
            let stored = row(RequestState::Signed);
            assert_eq!(past(Some(stored.clone()), Some(highest)), Ok(Past::Again(stored)));
        }
    }

    #[test]
    fn any_difference_supersedes_the_earlier_serial_first() {
        type Edit = fn(&mut RequestRow);
        let edits: [(Edit, &str); 4] = [
            (|row| row.spki = vec![7; 32], "another public key"),
            (|row| row.effect = vec![7; 32], "another effect"),
            (|row| row.authority_spki = vec![7; 32], "another authority key"),
            (|row| row.not_after = NOW, "expired"),
        ];
        for (edit, why) in edits {
            let mut stored = row(RequestState::Signed);
            edit(&mut stored);
            assert_eq!(past(Some(stored.clone()), Some(5)), Ok(Past::Instead { serial: vec![9], why }));
            assert_eq!(past(Some(stored), Some(6)).unwrap_err(), Refusal::stale_step(6));
        }
    }

    #[test]
    fn a_step_below_the_highest_is_refused() {
        assert_eq!(past(None, Some(6)).unwrap_err().field, "requestKey.step");
    }
}
