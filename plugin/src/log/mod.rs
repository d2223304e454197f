//! The signer's log as a verifier sees it: tiles, signed notes, entries and proofs.
//!
//! Pure: bytes in, verdicts out. Written from the specifications and from the description of the entries, without a line
//! of the signer's own code, so that a mistake there is not repeated here.
//!
//! ```text
//! note    checkpoint: origin, size, root; signed by the log's key       c2sp.org/signed-note, tlog-checkpoint
//! tile    names of files, which hash is where                           c2sp.org/tlog-tiles
//! merkle  inclusion paths                                               RFC 6962 section 2.1, RFC 9162 section 2.1.3
//! entry   what an entry says                                            the signer's entry format, version 1
//! proof   all of it in one file                                         c2sp.org/tlog-proof
//! ```

pub mod entry;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tile;
