//! The program's own code, given back while nothing happens: most of it is only needed at the start or under load.
//!
//! The kernel counts each page of a program that was ever touched, and those around it, as resident until somebody needs
//! the room. Pages of code are never written: given back, they are still in the file and mostly still in the
//! kernel's cache, and come back by themselves when they are next used.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr;
use std::thread;
use std::time::Duration;

/// How often it is looked whether nothing happens.
const LOOK: Duration = Duration::from_secs(5);
/// Processor time between two looks up to which nothing happened: probes, leases and answers to watches.
const QUIET: Duration = Duration::from_millis(25);
/// Stack of the thread that looks.
const STACK: usize = 64 << 10;

/// Where the code of this process lies.
#[derive(Debug)]
pub struct Code(Vec<Range<usize>>);

impl Code {
    /// Of this process. Before it is confined: `/proc` is read.
    ///
    /// Errors: `/proc` is not mounted or not to be read.
    pub fn of_this_process() -> io::Result<Self> {
        let own = std::fs::read_link("/proc/self/exe")?;
        let mappings = std::fs::read_to_string("/proc/self/smaps")?;
        Ok(Self(never_written(&mappings, &own.to_string_lossy())))
    }

    /// Gives it back in each quiet moment from now on, with what the allocator has free, from a thread of its own.
    ///
    /// Errors: no thread can be had.
    pub fn give_back_at_rest(self) -> io::Result<()> {
        let look = move || {
            let mut used = processor_time();
            loop {
                thread::sleep(LOOK);
                let before = std::mem::replace(&mut used, processor_time());
                if used.saturating_sub(before) < QUIET {
                    crate::give_back_free_memory();
                    self.give_back();
                }
            }
        };
        thread::Builder::new().name("rest".to_owned()).stack_size(STACK).spawn(look).map(drop)
    }

    fn give_back(&self) {
        for range in &self.0 {
            // SAFETY: private mappings of a file, of the program itself, so that nobody unmaps them; not writable, and
            // no page of them was ever written, so that each comes back from the file as it was. Should the call fail,
            // they stay.
            unsafe {
                libc::madvise(
                    ptr::with_exposed_provenance_mut(range.start),
                    range.end - range.start,
                    libc::MADV_DONTNEED,
                );
            }
        }
    }
}

/// Of `/proc/PID/smaps`: the mappings of `program` that nobody can write and nobody has written.
fn never_written(smaps: &str, program: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if let Some(range) = mapping(line, program) {
            current = range;
        } else if let Some(kib) = line.strip_prefix("Anonymous:") {
            // Pages that were written, as those that the loader relocated, are anonymous.
            found.extend(current.take().filter(|_| kib.trim() == "0 kB"));
        }
    }
    found
}

/// Of a line that begins a mapping: `Some(None)` if it is another one than is looked for. `None`: the line begins none.
#[expect(clippy::option_option, reason = "no header, another one's header, a header")]
fn mapping(line: &str, program: &str) -> Option<Option<Range<usize>>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok().and_then(NonZeroUsize::new);
    let range = address(start)?.get()..address(end)?.get();
    let fixed = rest.starts_with("r-xp ") || rest.starts_with("r--p ");
    let path = rest.splitn(5, ' ').nth(4).map(str::trim_start);
    Some((fixed && path == Some(program)).then_some(range))
}

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the structure it is given and nothing else.
    unsafe {
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time);
    }
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs().try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0a000-55d0b000 r--p 00000000 fe:00 12 /bin/own program
Size:                  4 kB
Anonymous:             0 kB
55d0b000-55d0f000 r-xp 00001000 fe:00 12                         /bin/own program
Anonymous:             0 kB
VmFlags: rd ex mr mw me
55d0f000-55d10000 r--p 00005000 fe:00 12                         /bin/own program
Anonymous:             4 kB
55d10000-55d11000 rw-p 00006000 fe:00 12                         /bin/own program
Anonymous:             0 kB
7f000000-7f001000 r-xp 00000000 fe:00 13                         /lib/libc.so.6
Anonymous:             0 kB
7f001000-7f002000 r-xp 00000000 fe:00 14                         /not/bin/own program
Anonymous:             0 kB
7f002000-7f003000 r--p 00000000 00:00 0
Anonymous:             0 kB
";

    #[test]
    fn only_what_the_file_has_as_it_was_is_given_back() {
        let own = [0x55d0_a000..0x55d0_b000, 0x55d0_b000..0x55d0_f000];
        assert_eq!(never_written(SMAPS, "/bin/own program"), own);
        assert_eq!(never_written(SMAPS, "/bin/other"), []);
        assert_eq!(never_written("nonsense\n-\nAnonymous: 0 kB\n", "/bin/own program"), []);
    }

    #[test]
    fn a_process_goes_on_with_less_code_in_memory() {
        let code = Code::of_this_process().unwrap();
        assert!(!code.0.is_empty());
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap().to_owned();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        code.give_back();
        assert!(resident() < before);
        assert_eq!(never_written(SMAPS, "/bin/own program").len(), 2);
    }
}
