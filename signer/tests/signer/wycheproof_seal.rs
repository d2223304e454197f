//! Project Wycheproof's vectors for the one cipher of the seal: AES-256-GCM with a nonce of 96 bits and a tag of 128, by the
//! same calls as in `seal`, which itself adds a prefix to the bound bytes and so cannot be given the vectors.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

#[test]
fn what_is_edited_does_not_open_and_what_is_whole_is_sealed_and_opened_as_the_vectors_say() {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
            let nonce = <[u8; NONCE_LEN]>::try_from(test.nonce.as_slice()).unwrap();
            let mut sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let opened = key.open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(test.aad.as_slice()),
                &mut sealed,
            );
            match test.result {
                TestResult::Valid => {
                    assert_eq!(opened.unwrap(), test.pt.as_slice(), "{}", test.tc_id);
                    let mut body = test.pt.to_vec();
                    let tag = key
                        .seal_in_place_separate_tag(
                            Nonce::assume_unique_for_key(nonce),
                            Aad::from(test.aad.as_slice()),
                            &mut body,
                        )
                        .unwrap();
                    assert_eq!((body.as_slice(), tag.as_ref()), (test.ct.as_slice(), test.tag.as_slice()));
                    valid += 1;
                }
                TestResult::Invalid | TestResult::Acceptable => {
                    assert!(opened.is_err(), "{}", test.tc_id);
                    invalid += 1;
                }
            }
        }
    }
    assert_eq!((valid, invalid), (39, 27));
}
