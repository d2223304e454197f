//! Notices: who is told what of a request for approval, when, and in which words.
//!
//! ```text
//! due       request, its class and the time -> which notices are to be sent now, and when to look again
//! document  one notice as data; also the form of our own webhook
//! slack, teams   the same in the forms that their webhooks take
//! endpoint  a Secret -> where to post to
//! answer    what the receiver said -> delivered, again, or never
//! ```
//! Nothing waits for a notice: it is sent beside whatever happens to the request.

pub mod answer;
pub mod document;
pub mod due;
pub mod endpoint;
mod slack;
mod teams;

pub use answer::{Verdict, judge};
pub use document::Document;
pub use due::{Due, Event, Notice, due, recorded};
pub use endpoint::{Destination, Endpoint, Unusable};

use aws_lc_rs::hmac;
use jiff::Timestamp;
use keywright_crds::NoticeForm;

/// The body to post, as JSON. Errors: none that a document of plain text can make; the caller treats one as a defect.
pub fn body(document: &Document, form: NoticeForm) -> Result<Vec<u8>, serde_json::Error> {
    match form {
        NoticeForm::Slack => serde_json::to_vec(&slack::message(document)),
        NoticeForm::MicrosoftTeams => serde_json::to_vec(&teams::message(document)),
        NoticeForm::Webhook => serde_json::to_vec(document),
    }
}

/// Header of the signature on a notice of our own form. Lower case, as HTTP libraries hold it; case has no meaning in it.
pub const SIGNATURE: &str = "keywright-signature";

/// The value of [`SIGNATURE`]: `t=` the time in seconds since 1970, `v1=` HMAC-SHA256 (RFC 2104) in hexadecimal over that
/// number, a full stop and the body. The time is under the signature so that a receiver can refuse what is replayed.
pub fn signature(key: &[u8], at: Timestamp, body: &[u8]) -> String {
    let seconds = at.as_second().to_string();
    let mut over = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    over.update(seconds.as_bytes());
    over.update(b".");
    over.update(body);
    format!("t={seconds},v1={}", hex::encode(over.sign()))
}

#[cfg(test)]
mod tests;
