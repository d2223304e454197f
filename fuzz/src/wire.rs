//! What comes over the wire to the signer, and who may send it.

use keywright_signer::{constraints::KeyConstraints, parse, purpose};
use keywright_signer_protocol::tls::Peers;
use keywright_signer_protocol::v1alpha1 as wire;
use prost::Message;

/// Decodes, and checks that what is written reads back the same.
fn decode<M: Message + Default + PartialEq>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let again = M::decode(message.encode_to_vec().as_slice()).expect("what was written reads back");
    assert!(again == message, "what was written reads back the same");
    Some(message)
}

fn issue(request: &wire::IssueRequest) {
    let Ok(valid) = parse::issue(request) else { return };
    assert!(!(valid.subject.is_empty() && valid.sans.is_empty()), "a certificate names someone");
    assert!(valid.sans.len() <= 1000, "no more names than the limit");
    let again = parse::issue(request).expect("the same request is judged the same");
    assert_eq!(again.effect, valid.effect);
}

/// Requests: the first byte says which message the rest is.
pub fn messages(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => {
            if let Some(request) = decode::<wire::IssueRequest>(rest) {
                issue(&request);
            }
        }
        1 => {
            if let Some(request) = decode::<wire::EnsureAuthorityRequest>(rest)
                && let Ok(valid) = parse::ensure(&request)
            {
                assert!(!valid.subject.is_empty(), "an authority has a subject");
                let _ = KeyConstraints::parse(valid.constraints);
            }
        }
        2 => {
            if let Some(request) = decode::<wire::IssueBatchRequest>(rest) {
                request.requests.iter().take(8).for_each(issue);
            }
        }
        3 => {
            if let Some(asked) = decode::<wire::Constraints>(rest)
                && let Ok(read) = KeyConstraints::parse(asked)
            {
                let again = KeyConstraints::parse(read.wire().clone()).expect("normal constraints read back");
                assert_eq!(again, read);
                assert!(read.tighten(again).is_ok_and(|change| change.is_none()), "the same is no change");
            }
        }
        4 => {
            if let Some(request) = decode::<wire::EnsureKeyRequest>(rest)
                && let Ok(valid) = purpose::parse(&request)
                && let Ok(read) = KeyConstraints::parse(valid.constraints)
            {
                assert_eq!(read.limits.max_leaf_seconds, None, "it constrains callers and nothing else");
                let limits = &read.limits;
                assert!(!limits.allow_ca && limits.usages.is_none() && limits.algorithms.is_none());
            }
        }
        _ => {
            let _ = decode::<wire::Refusal>(rest);
            let _ = decode::<wire::SignerStatus>(rest);
            let _ = decode::<wire::IssueBatchResponse>(rest);
        }
    }
}

/// `peers.json`: it is read or refused.
pub fn peers(bytes: &[u8]) {
    let _ = Peers::parse(bytes);
}
