//! Searching the memory of another process, as root on the same machine can.

use crate::patterns::Secret;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

const PAGE: usize = 4096;
const WINDOW: usize = 16;

/// Every 16-byte window of every secret: as written, reversed (numbers lie in memory with their least byte first), and
/// with the bytes of each eight reversed.
pub(crate) struct Windows {
    whole: HashMap<[u8; WINDOW], String>,
    /// A bit for each hash of the first four bytes that some window has.
    first: Vec<u64>,
}

fn hash(bytes: &[u8]) -> usize {
    let word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (word.wrapping_mul(0x9e37_79b1) >> 8) as usize
}

impl Windows {
    pub(crate) fn of(secrets: &[Secret]) -> Self {
        let mut windows = Self { whole: HashMap::new(), first: vec![0; (1 << 24) / 64] };
        for secret in secrets {
            let reversed: Vec<u8> = secret.bytes.iter().rev().copied().collect();
            let limbs = |bytes: &[u8]| -> Vec<u8> {
                bytes.rchunks(8).rev().flat_map(|limb| limb.iter().rev().copied()).collect()
            };
            for form in [limbs(&secret.bytes), reversed, secret.bytes.clone()] {
                for window in form.windows(WINDOW) {
                    let at = hash(window);
                    windows.first[at / 64] |= 1 << (at % 64);
                    windows.whole.insert(window.try_into().unwrap(), secret.name.clone());
                }
            }
        }
        windows
    }

    pub(crate) fn count(&self) -> usize {
        self.whole.len()
    }

    fn search(&self, memory: &[u8], mut hit: impl FnMut(usize, &str)) {
        let last = memory.len().saturating_sub(WINDOW - 1);
        let mut at = 0;
        while at < last {
            if at % PAGE == 0 && memory.len() - at >= PAGE + WINDOW && memory[at..at + PAGE] == [0; PAGE] {
                // A secret may begin in the last bytes of a page of zeroes: go on there.
                at += PAGE - WINDOW;
                continue;
            }
            let place = hash(&memory[at..at + 4]);
            if self.first[place / 64] >> (place % 64) & 1 == 1
                && let Some(name) = self.whole.get(&memory[at..at + WINDOW])
            {
                hit(at, name);
            }
            at += 1;
        }
    }
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// Outside the arena: secret, address, and the name of the mapping.
    pub(crate) outside: Vec<String>,
    /// Inside the arena: how many windows of each secret.
    pub(crate) inside: HashMap<String, usize>,
    /// Bytes that were searched.
    pub(crate) searched: usize,
    /// Mappings that could not be read.
    pub(crate) unreadable: Vec<String>,
}

/// Whether this user may read the memory of that process.
pub(crate) fn may_read(pid: u32) -> bool {
    let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else { return false };
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let start = maps.split('-').next().and_then(|start| u64::from_str_radix(start, 16).ok());
    start.is_some_and(|start| memory.read_exact_at(&mut [0; 16], start).is_ok())
}

/// Searches all that can be read of a process. `arena`: address and size of the guarded memory, where known.
pub(crate) fn search(pid: u32, windows: &Windows, arena: Option<(u64, u64)>) -> Found {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Found::default();
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (from, to) = fields[0].split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let name = fields.get(5).copied().unwrap_or("anonymous");
        if !fields[1].starts_with('r') || name.starts_with("[v") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            found.unreadable.push(line.to_owned());
            continue;
        }
        found.searched += bytes.len();
        let is_arena =
            |address: u64| arena.is_some_and(|(start, size)| (start..start + size).contains(&address));
        windows.search(&bytes, |at, secret| {
            let address = from + at as u64;
            if is_arena(address) {
                *found.inside.entry(secret.to_owned()).or_default() += 1;
            } else {
                found.outside.push(format!("{secret} at {address:x} in {name}"));
            }
        });
    }
    found
}
