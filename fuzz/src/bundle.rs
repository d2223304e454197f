//! Bundles of policies: the archive, and the module in it, which is taken apart and put together again.

use keywright_policy_wasm::{Bundle, MODULE, UNPACKED, strict};

/// A bundle: what reads keeps within its limits and reads the same again; what is written of a guarded module reads back.
pub fn bundle(bytes: &[u8]) {
    let Ok(bundle) = Bundle::read(bytes) else { return };
    let sources: usize = bundle.sources.iter().map(|(_, source)| source.len()).sum();
    assert!(bundle.module.len() <= MODULE && sources <= UNPACKED);
    assert_eq!(Bundle::read(bytes).as_ref(), Ok(&bundle), "the same bytes are the same bundle");
    let Ok(guarded) = strict(&bundle.module) else { return };
    assert!(strict(&guarded).is_ok(), "what was written reads back");
}
