//! Which certificate counts for a request, as the signer tells whoever asks.

use crate::support::{self, Bench, leaf, new_key, request_key, uid};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_signer::engine::Answer;
use keywright_signer::refusal::{Reason, Refusal};
use keywright_signer_protocol::v1alpha1 as wire;

async fn look_up(bench: &Bench, token: u64, keys: &[(usize, u64)]) -> Result<Answer, Refusal> {
    let request_keys = keys.iter().map(|(n, step)| request_key(&uid(*n), *step).unwrap()).collect();
    let request = wire::LookUpRequest { fencing_token: token, request_keys };
    let ask = keywright_signer::parse::look_up(&request)?;
    bench.engine().look_up(ask, "operator".to_owned()).await
}

fn serial(answer: &Answer) -> String {
    Certificate::from_der(&answer.certificate).unwrap().serial().to_string()
}

#[tokio::test]
async fn the_newest_answer_to_a_request_counts_and_what_was_never_asked_has_none() {
    let bench = Bench::with_authorities().await;
    let mut request = leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256));
    bench.issue(&request).await.unwrap();
    // Another process asks for the same with a key of its own.
    request.pkcs10 = support::pkcs10(&new_key(KeyAlgorithm::EcdsaP256));
    let newer = bench.issue(&request).await.unwrap();
    let answer = look_up(&bench, request.fencing_token, &[(1, 1), (2, 1), (1, 2)]).await.unwrap();
    let found: Vec<_> = answer
        .counting
        .iter()
        .map(|one| one.as_ref().map(|one| (hex::encode(&one.serial), one.log_index)))
        .collect();
    assert_eq!(found, [Some((serial(&newer), newer.log_index)), None, None]);
}

#[tokio::test]
async fn a_leader_of_before_is_told_nothing_and_a_new_one_fences_it_off_by_looking() {
    let bench = Bench::with_authorities().await;
    let request = leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256));
    bench.issue(&request).await.unwrap();
    look_up(&bench, request.fencing_token + 1, &[(1, 1)]).await.unwrap();
    let late = look_up(&bench, request.fencing_token, &[(1, 1)]).await.unwrap_err();
    assert_eq!(late.reason, Reason::StaleFencingToken);
    let request = wire::IssueRequest { request_key: request_key(&uid(2), 1), ..request };
    assert_eq!(bench.issue(&request).await.unwrap_err().reason, Reason::StaleFencingToken);
}

#[tokio::test]
async fn a_look_up_is_of_one_to_256_requests() {
    let bench = Bench::with_authorities().await;
    for (size, is_good) in [(0, false), (1, true), (256, true), (257, false)] {
        let keys: Vec<_> = (0..size).map(|n| (n, 1)).collect();
        let answer = look_up(&bench, 9, &keys).await;
        assert_eq!(
            answer.as_ref().map_err(|refusal| refusal.reason),
            answer.as_ref().map_err(|_| Reason::Malformed)
        );
        assert_eq!(answer.is_ok(), is_good, "{size}");
    }
}
