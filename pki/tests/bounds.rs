//! Time stays in proportion to the input: the largest inputs that are read, and ones that are larger are refused at once.
//!
//! What can be counted is counted (how many comparisons, how many blocks). Where only time shows it, four times the input
//! may take twelve times as long: linear work stays far below, quadratic work takes sixteen times and more.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use keywright_pki::certificate::Certificate;
use keywright_pki::constraints::{NameConstraints, Subtrees};
use keywright_pki::csr::Csr;
use keywright_pki::lint::{lint, lint_certificate};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::pem;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

const NONE: [&str; 0] = [];

/// Text of about so many bytes, from a block.
type Shape = fn(&str, usize) -> String;

/// What this thread has computed so far: time in which others had the processor does not count.
fn computed() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// The fastest of some runs: others share the machine's memory.
fn fastest(work: &dyn Fn()) -> Duration {
    let once = || {
        let start = computed();
        work();
        computed().saturating_sub(start)
    };
    (0..5).map(|_| once()).min().unwrap()
}

/// Work on four times the input takes less than twelve times as long, or too little to measure.
fn is_in_proportion(name: &str, work: impl Fn(usize), size: usize) {
    let (small, large) = (fastest(&|| work(size)), fastest(&|| work(4 * size)));
    assert!(
        large < small * 12 || large < Duration::from_millis(5),
        "{name}: {small:?} for {size}, {large:?} for four times as much"
    );
}

fn hosts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("host-{number}.a.example")).collect()
}

#[test]
fn pem_is_read_in_proportion_to_its_length() {
    let block = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
    let shapes: [(&str, Shape); 6] = [
        ("many blocks", |block, size| block.repeat(size / block.len())),
        ("one block", |_, size| {
            format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", "AAAA\n".repeat(size / 5))
        }),
        ("one line", |_, size| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", "AAAA".repeat(size / 4))
        }),
        ("empty lines", |_, size| "\n".repeat(size)),
        ("text without blocks", |_, size| "-".repeat(size)),
        ("a block without an end", |_, size| format!("-----BEGIN CERTIFICATE-----\n{}", "\n".repeat(size))),
    ];
    for (name, shape) in shapes {
        let sizes = [pem::MAX_LEN / 5, 4 * (pem::MAX_LEN / 5)];
        let texts = sizes.map(|size| shape(block, size));
        let work = |size: usize| {
            let text = if size == sizes[0] { &texts[0] } else { &texts[1] };
            let _ = black_box(pem::read(text.as_bytes()).map(|blocks| blocks.len()));
        };
        is_in_proportion(name, work, sizes[0]);
    }
    assert!(pem::read(&vec![b'\n'; pem::MAX_LEN + 1]).is_err());
}

#[test]
fn names_are_read_in_proportion_to_their_number() {
    let all = hosts(16_000);
    is_in_proportion(
        "DNS names",
        |count| {
            let sans = SubjectAltNames::parse(&all[..count], &[], &[], &[]).unwrap();
            assert_eq!(black_box(sans).len(), count);
        },
        4000,
    );
    let same = vec!["a.example"; 16_000];
    is_in_proportion(
        "the same name again",
        |count| assert_eq!(SubjectAltNames::parse(&same[..count], &[], &[], &[]).unwrap().len(), 1),
        4000,
    );
    assert!(
        DistinguishedName { organizations: vec!["a".into(); 33], ..DistinguishedName::default() }
            .validate()
            .is_err()
    );
}

#[test]
fn a_check_makes_no_more_comparisons_than_its_bound() {
    const BOUND: usize = 1 << 20;
    let trees = hosts(1024);
    let constraints = NameConstraints {
        permitted: Subtrees::parse("p", &trees, &[], &[], &[]).unwrap(),
        ..NameConstraints::default()
    };
    for count in [1, 1000, 1022, 1023, 1024, 4096] {
        // The last tree holds every name, so that each is compared with all before it.
        let names = vec![trees.last().unwrap().clone(); 1];
        let mut sans = SubjectAltNames::parse(&names, &[], &[], &[]).unwrap();
        sans.dns = vec![sans.dns[0].clone(); count];
        let checked = constraints.check(&DistinguishedName::default(), &sans);
        assert_eq!(checked.is_ok(), trees.len() * (count + 1) <= BOUND, "{count} names");
    }
}

/// A DER value of this tag with a long length where it needs one.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let head = match content.len() {
        0..0x80 => vec![tag, length[3]],
        0x80..0x100 => vec![tag, 0x81, length[3]],
        0x100..0x1_0000 => vec![tag, 0x82, length[2], length[3]],
        _ => vec![tag, 0x83, length[1], length[2], length[3]],
    };
    [head, content.to_vec()].concat()
}

#[test]
fn der_is_read_in_proportion_to_its_length() {
    let deep = |size: usize| {
        (0..size / 4).fold(Vec::new(), |inner, _| if inner.len() > size { inner } else { tlv(0x30, &inner) })
    };
    let flat = |size: usize| tlv(0x30, &[0x30, 0].repeat(size / 2));
    let constraints = |size: usize| tlv(0x30, &tlv(0xa0, &tlv(0x30, b"\x82\x01a").repeat(size / 5)));
    let name =
        |size: usize| tlv(0x30, &tlv(0x31, &tlv(0x30, b"\x06\x03\x55\x04\x0a\x0c\x01a")).repeat(size / 14));
    // Making deep values is quadratic itself, so those stay small.
    for (shape, small, large) in [
        ("deep", deep(4000), deep(16_000)),
        ("flat", flat(60_000), flat(240_000)),
        ("constraints", constraints(60_000), constraints(240_000)),
        ("a name", name(60_000), name(240_000)),
    ] {
        let work = |size: usize| {
            let der = if size == small.len() { &small } else { &large };
            let _ = black_box(Certificate::from_der(der).is_ok());
            let _ = black_box(Csr::parse(der).is_ok());
            let _ = black_box(NameConstraints::from_der(der).is_ok());
            let _ = black_box(DistinguishedName::from_der(der).is_ok());
            let _ = black_box((lint(der), lint_certificate(der)));
        };
        is_in_proportion(shape, work, small.len());
    }
}

#[test]
fn comparing_constraints_is_bounded_by_both_lists() {
    let all = hosts(2000);
    let of = |list: &[String]| NameConstraints {
        permitted: Subtrees::parse("p", list, &[], &[], &[]).unwrap(),
        excluded: Subtrees::parse("x", &NONE, &NONE, &NONE, &NONE).unwrap(),
    };
    let (older, newer) = (of(&all), of(&all[1000..]));
    let time = fastest(&|| assert!(newer.is_no_looser_than(&older).is_ok()));
    assert!(time < Duration::from_secs(1), "{time:?} for two million comparisons");
}
