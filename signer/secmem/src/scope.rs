//! Work on keys: while it lasts, all that this thread allocates is guarded, and afterwards its stack is wiped.
//!
//! Code of others copies what it is given: into vectors, boxes, temporaries and stack frames that it does not wipe.
//! Rather than trust each, [`on_keys`] moves all of them: the process's allocator ([`GuardedHeap`], declared in main) leads
//! into the arena while a thread is inside, and what lies below the caller on the stack is zeroed when it returns.

use crate::arena::{Arena, wipe};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// Stack that is wiped, in bytes: more than any operation of any algorithm uses, see the test that measures it.
pub const STACK: usize = 192 << 10;
/// How far below the caller the work begins, so that all of it lies within what is wiped.
const GAP: usize = 1024;

thread_local! {
    /// How many calls of [`on_keys`] this thread is in. Has no destructor, so it can be read at any time.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// Leaves the scope also when the work panics.
struct Scope;

impl Scope {
    fn enter() -> Self {
        INSIDE.set(INSIDE.get() + 1);
        Self
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get() - 1);
        wipe_stack();
    }
}

/// Does `work`, which uses or makes keys: its allocations are guarded and its stack is wiped.
///
/// What it returns must hold secrets only behind pointers: the value itself is moved through the caller's stack. What it
/// keeps allocated stays in guarded memory until it is dropped, so let it return what is public as a copy made outside.
pub fn on_keys<R>(work: impl FnOnce() -> R) -> R {
    let _scope = Scope::enter();
    below(work)
}

/// Does `work`, whose secrets stay in guarded memory by themselves, and wipes its stack: for the library's own operations,
/// whose allocations are guarded already, and whose results are public.
pub fn wiping_stack<R>(work: impl FnOnce() -> R) -> R {
    /// Also when the work panics.
    struct Wipe;
    impl Drop for Wipe {
        fn drop(&mut self) {
            wipe_stack();
        }
    }
    let _wipe = Wipe;
    below(work)
}

#[inline(never)]
fn below<R>(work: impl FnOnce() -> R) -> R {
    let gap = [MaybeUninit::<u8>::uninit(); GAP];
    std::hint::black_box(&gap);
    let result = work();
    std::hint::black_box(&gap);
    result
}

/// Zeroes the stack below the caller.
#[inline(never)]
fn wipe_stack() {
    let mut stack = MaybeUninit::<[u8; STACK]>::uninit();
    let start = NonNull::from_mut(&mut stack).cast::<u8>();
    // SAFETY: `stack` is a local of exactly so many bytes.
    unsafe { wipe(start, STACK) };
}

/// The process's allocator: the system's, but the arena for threads inside [`on_keys`].
///
/// Declared once, in the binary: `#[global_allocator] static HEAP: GuardedHeap = GuardedHeap;`. What was allocated in
/// the arena goes back there, whoever frees it, and stays there when it grows.
pub struct GuardedHeap;

impl GuardedHeap {
    /// The arena, while this thread works on keys. What a panic needs to say what happened is no secret and may be large.
    fn arena_for_this_thread() -> Option<&'static Arena> {
        if INSIDE.get() > 0 && !std::thread::panicking() { Arena::get() } else { None }
    }

    /// The arena, when `pointer` is from there.
    fn owner(pointer: *mut u8) -> Option<(&'static Arena, NonNull<u8>)> {
        let arena = Arena::get().filter(|arena| arena.holds(pointer))?;
        Some((arena, NonNull::new(pointer)?))
    }
}

// SAFETY: blocks come from the system's allocator or from the arena, and go back to where they came from: addresses of the
// arena are never the system's. The arena gives room for the size asked for, aligned to 16 or, beyond that, to a page; it
// refuses what it cannot align. It never unwinds.
unsafe impl GlobalAlloc for GuardedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Self::arena_for_this_thread() {
            Some(arena) => arena.take(layout.size(), layout.align()).unwrap_or_else(|| full()).as_ptr(),
            // SAFETY: the caller's promise about `layout`.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match Self::arena_for_this_thread() {
            // What the arena gives is zero.
            Some(arena) => arena.take(layout.size(), layout.align()).unwrap_or_else(|| full()).as_ptr(),
            // SAFETY: the caller's promise about `layout`.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match Self::owner(pointer) {
            // SAFETY: from this arena, and the caller promises not to use it again.
            Some((arena, pointer)) => unsafe { arena.give_back(pointer) },
            // SAFETY: not from the arena, so from the system with the same layout, by the caller's promise.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if let Some((arena, pointer)) = Self::owner(pointer) {
            if new_size <= arena.size(pointer) && new_size >= layout.size() {
                return pointer.as_ptr();
            }
            // SAFETY: from this arena and the caller's own; afterwards only the result is.
            let moved = unsafe { arena.resize(pointer, new_size, layout.align()) };
            return moved.unwrap_or_else(|| full()).as_ptr();
        }
        // SAFETY: not from the arena, so from the system with the same layout, by the caller's promise.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Ends the process: there is nowhere to put a secret. Not by a failed allocation, whose report would allocate again.
#[cold]
fn full() -> ! {
    let why = b"guarded memory is full: raise RLIMIT_MEMLOCK, or spread the keys over several signers\n";
    // SAFETY: writes a constant; that it may fail changes nothing.
    unsafe { libc::write(libc::STDERR_FILENO, why.as_ptr().cast(), why.len()) };
    std::process::abort()
}

#[cfg(test)]
#[allow(clippy::large_stack_arrays, reason = "the stack is what is tested")]
mod tests {
    use super::*;

    #[global_allocator]
    static HEAP: GuardedHeap = GuardedHeap;

    fn is_guarded(pointer: *const u8) -> bool {
        Arena::get().unwrap().holds(pointer)
    }

    #[test]
    fn what_is_allocated_inside_is_guarded_also_when_it_grows_outside() {
        Arena::get_or_make(None).unwrap();
        let mut inside = on_keys(|| b"secret".to_vec());
        assert!(is_guarded(inside.as_ptr()));
        inside.extend([7; 100_000]);
        assert!(is_guarded(inside.as_ptr()));
        assert_eq!(&inside[..7], b"secret\x07");
        let outside = std::hint::black_box(vec![1_u8; 100]);
        assert!(!is_guarded(outside.as_ptr()));
        let nested = on_keys(|| on_keys(|| vec![0_u8; 10]));
        assert!(is_guarded(nested.as_ptr()));
        assert!(!is_guarded(inside.iter().map(|byte| byte + 1).collect::<Vec<_>>().as_ptr()));
    }

    #[test]
    fn a_panic_leaves_the_scope_too() {
        Arena::get_or_make(None).unwrap();
        let caught = std::panic::catch_unwind(|| on_keys(|| assert!(std::hint::black_box(1) > 1)));
        assert!(caught.is_err());
        assert!(!is_guarded(vec![1_u8; 10].as_ptr()));
    }

    /// Looks for `mark` on the stack below, which is where the work was.
    #[inline(never)]
    fn finds_below(mark: u8) -> bool {
        let below = MaybeUninit::<[u8; 32 << 10]>::uninit();
        let start = std::hint::black_box(below.as_ptr()).cast::<u8>();
        // SAFETY: reads a local that nothing was written to, volatile, one byte at a time: what lies there is what is asked.
        let bytes = (0..32 << 10).map(|at| unsafe { start.add(at).read_volatile() });
        bytes.filter(|byte| *byte == mark).count() > 16 << 10
    }

    #[inline(never)]
    fn dirty(mark: u8) {
        let mut stack = [0_u8; 48 << 10];
        stack.fill(mark);
        std::hint::black_box(&mut stack);
    }

    #[test]
    fn the_stack_that_the_work_used_is_wiped() {
        dirty(0xc3);
        assert!(finds_below(0xc3), "the test sees what lies below");
        on_keys(|| dirty(0xc3));
        assert!(!finds_below(0xc3));
    }

    const PAINTED: usize = 512 << 10;
    const PAINT: u8 = 0x5a;

    #[inline(never)]
    fn paint() {
        let mut stack = MaybeUninit::<[u8; PAINTED]>::uninit();
        // SAFETY: a local of exactly so many bytes.
        unsafe { stack.as_mut_ptr().cast::<u8>().write_bytes(PAINT, PAINTED) };
        std::hint::black_box(&mut stack);
    }

    /// How far down the paint was disturbed, in bytes.
    #[inline(never)]
    fn depth() -> usize {
        let stack = MaybeUninit::<[u8; PAINTED]>::uninit();
        let start = std::hint::black_box(stack.as_ptr()).cast::<u8>();
        // SAFETY: reads a local that nothing was written to, volatile: what lies there from before is what is asked.
        // Making room on the stack writes one word into each page itself, and the lowest page is not quite the same one.
        let is_untouched = |page: &usize| {
            let painted = (0..4096).filter(|at| {
                // SAFETY: reads a local that nothing was written to, volatile: what lies there from before is what is asked.
                unsafe { start.add(page * 4096 + at).read_volatile() == PAINT }
            });
            painted.count() >= 4080
        };
        PAINTED - (1..PAINTED / 4096).take_while(is_untouched).count() * 4096 - 4096
    }

    #[test]
    fn no_operation_of_the_library_reaches_below_what_is_wiped() {
        use aws_lc_rs::encoding::AsDer as _;
        use aws_lc_rs::rsa::KeySize;
        use aws_lc_rs::signature as s;
        use aws_lc_rs::{digest, hmac};
        type Operation = Box<dyn Fn()>;
        let mut operations: Vec<(String, Operation)> = Vec::new();
        let message = b"message";
        for (name, algorithm) in [
            ("P-256", &s::ECDSA_P256_SHA256_ASN1_SIGNING),
            ("P-384", &s::ECDSA_P384_SHA384_ASN1_SIGNING),
            ("P-521", &s::ECDSA_P521_SHA512_ASN1_SIGNING),
        ] {
            let key = s::EcdsaKeyPair::generate(algorithm).unwrap();
            let der = key.to_pkcs8v1().unwrap();
            operations.push((
                format!("{name} generate"),
                Box::new(|| drop(s::EcdsaKeyPair::generate(algorithm).unwrap())),
            ));
            operations.push((
                format!("{name} read"),
                Box::new(move || drop(s::EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap())),
            ));
            operations.push((
                format!("{name} write"),
                Box::new(|| drop(s::EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1())),
            ));
            let hash = match name {
                "P-256" => &digest::SHA256,
                "P-384" => &digest::SHA384,
                _ => &digest::SHA512,
            };
            operations.push((
                format!("{name} sign"),
                Box::new(move || assert!(key.sign_digest(&digest::digest(hash, message)).is_ok())),
            ));
        }
        let key = s::Ed25519KeyPair::generate().unwrap();
        let der = key.to_pkcs8v1().unwrap();
        operations.push((
            "Ed25519 read".into(),
            Box::new(move || drop(s::Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap())),
        ));
        operations
            .push(("Ed25519 sign".into(), Box::new(move || assert!(!key.sign(message).as_ref().is_empty()))));
        for (name, algorithm) in [
            ("ML-DSA-44", &s::ML_DSA_44_SIGNING),
            ("ML-DSA-65", &s::ML_DSA_65_SIGNING),
            ("ML-DSA-87", &s::ML_DSA_87_SIGNING),
        ] {
            let key = s::PqdsaKeyPair::generate(algorithm).unwrap();
            let der = key.to_pkcs8v1().unwrap();
            operations.push((
                format!("{name} generate"),
                Box::new(|| drop(s::PqdsaKeyPair::generate(algorithm).unwrap())),
            ));
            operations.push((
                format!("{name} read"),
                Box::new(move || drop(s::PqdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap())),
            ));
            operations.push((
                format!("{name} sign"),
                Box::new(move || assert!(key.sign(message, &mut vec![0; algorithm.signature_len()]).is_ok())),
            ));
        }
        for (name, size) in [("RSA-2048", KeySize::Rsa2048), ("RSA-4096", KeySize::Rsa4096)] {
            let key = s::RsaKeyPair::generate(size).unwrap();
            let der = key.as_der().unwrap();
            operations.push((
                format!("{name} read"),
                Box::new(move || drop(s::RsaKeyPair::from_pkcs8(der.as_ref()).unwrap())),
            ));
            operations.push((
                format!("{name} sign"),
                Box::new(move || {
                    let mut out = vec![0; key.public_modulus_len()];
                    key.sign_digest(
                        &s::RSA_PKCS1_SHA512,
                        &digest::digest(&digest::SHA512, message),
                        &mut out,
                    )
                    .unwrap();
                }),
            ));
        }
        operations.push((
            "RSA-2048 generate".into(),
            Box::new(|| drop(s::RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        ));
        operations.push((
            "HMAC".into(),
            Box::new(move || {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
                assert_eq!(hmac::sign(&key, message).as_ref().len(), 32);
            }),
        ));
        for (name, operation) in operations {
            operation();
            paint();
            operation();
            let depth = depth();
            println!("{name}: {depth} bytes");
            assert!(depth + 8192 < STACK, "{name} uses {depth} bytes of stack");
        }
    }
}
