//! The append-only log: one entry for each intent, signature, refusal and key event.
//!
//! The entries are committed in the ledger ([`crate::ledger`]); this module turns committed entries into the C2SP
//! tlog-tiles layout that foreign tools verify: `checkpoint` (a signed note), `tile/<level>/<n>` and
//! `tile/entries/<n>`. It never decides what is logged and never invents an entry.
//!
//! ```text
//! committed entries -> Tree (hash tiles) -> files, fsynced -> checkpoint, renamed over the old one
//! start: checkpoint -> right edge of the tiles -> root == checkpoint's -> + ledger's tail -> root == ledger's
//! ```
//! Sources: c2sp.org/tlog-tiles, c2sp.org/tlog-checkpoint, c2sp.org/signed-note, RFC 6962 section 2.1.

pub mod audit;
pub mod consistency;
pub mod disk;
pub mod entry;
pub mod fsck;
pub mod merkle;
pub mod note;
pub mod publisher;
pub mod serve;
pub mod tile;
