//! A few thousand runs of every target over its seeds and changes of them, the same each time; part of `make test`.
//!
//! Needs no instrumentation, so it takes the build that tests have anyway. It finds what is broken, not what is hidden: that
//! is what `hack/fuzz.sh SECONDS` is for. Arguments: the number of runs for each target, and where to keep an input that
//! breaks one. Ends with 1 when one does.

#![allow(clippy::unwrap_used, reason = "a program for developers, that stops at the first surprise")]

use keywright_fuzz::TARGETS;
use std::path::Path;
use std::process::ExitCode;

/// Marsaglia's xorshift: the same numbers in every run, which is all that is asked of it.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// Bytes that readers treat apart: ends of ranges, lengths in other forms, tags, separators.
const ODD: [u8; 16] =
    [0, 1, 0x7f, 0x80, 0x81, 0x82, 0xff, 0x30, 0x31, 0xa0, 0xa3, b'\n', b'-', b'.', b'*', b'@'];

fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len() + 1);
    let length = 1 + numbers.below(8.min(bytes.len() - at.min(bytes.len())));
    let end = (at + length).min(bytes.len());
    match numbers.below(7) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << numbers.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = ODD[numbers.below(ODD.len())];
            }
        }
        2 => bytes.insert(at, ODD[numbers.below(ODD.len())]),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        5 => bytes.truncate(at),
        _ => {
            let from = numbers.below(other.len() + 1);
            let until = (from + 1 + numbers.below(64)).min(other.len());
            drop(bytes.splice(at..end, other[from..until].iter().copied()));
        }
    }
}

/// The runs of one target; the input that broke it, if one did.
fn runs(target: fn(&[u8]), seeds: &[Vec<u8>], count: usize) -> Option<Vec<u8>> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let breaks = |input: &[u8]| std::panic::catch_unwind(|| target(input)).is_err();
    for seed in seeds {
        if breaks(seed) {
            return Some(seed.clone());
        }
    }
    for _ in 0..count {
        let mut input = seeds[numbers.below(seeds.len())].clone();
        let other = &seeds[numbers.below(seeds.len())];
        for _ in 0..=numbers.below(4) {
            change(&mut input, other, &mut numbers);
        }
        if breaks(&input) {
            return Some(input);
        }
    }
    None
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(count), Some(folder)) = (arguments.next().and_then(|text| text.parse().ok()), arguments.next())
    else {
        eprintln!("usage: smoke RUNS FOLDER");
        return ExitCode::from(2);
    };
    let mut code = ExitCode::SUCCESS;
    for (name, target) in TARGETS {
        let all = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name)).unwrap();
        let mut paths: Vec<_> = all.map(|file| file.unwrap().path()).collect();
        paths.sort();
        let seeds: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        if let Some(input) = runs(target, &seeds, count) {
            let path = Path::new(&folder).join(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("broken-smoke"), input).unwrap();
            eprintln!("{name} broke; its input is {}", path.join("broken-smoke").display());
            code = ExitCode::FAILURE;
        } else {
            println!("{name}: {} seeds and {count} changes of them", seeds.len());
        }
    }
    code
}
