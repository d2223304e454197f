//! Waiting for something that another process does, with short looks and a limit.

use crate::Error;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(50);

/// Looks until `look` answers `Some`, and returns that.
///
/// `what` completes the sentence "waited N s in vain until …". Errors: what `look` answers, at once; `TooLate` after
/// `limit`.
pub async fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let looking = async {
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::TooLate { what: what.to_owned(), seconds: limit.as_secs() }),
    }
}
