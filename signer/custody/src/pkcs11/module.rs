//! Vendor libraries: loaded once per process and never unloaded, as PKCS#11 allows one C_Initialize per process.

use crate::error::{CustodyError, Kind};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A loaded and initialised library.
#[derive(Debug)]
pub(super) struct Module {
    path: PathBuf,
    context: Pkcs11,
    /// Held for reading during each call, for writing while the library is initialised anew.
    pub(super) gate: RwLock<()>,
}

/// All that were loaded: unloading a vendor's library under its own threads is how processes crash.
static LOADED: Mutex<Vec<Arc<Module>>> = Mutex::new(Vec::new());

fn initialize(context: &Pkcs11) -> Result<(), Error> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}

impl Module {
    /// The library at this path. Errors: it does not load, or does not initialise.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, CustodyError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = loaded.iter().find(|module| module.path == path) {
            return Ok(Arc::clone(module));
        }
        let wrong = |error: Error| {
            CustodyError::new(
                Kind::NotFound,
                format!("PKCS#11 module {}", path.display()),
                format!("does not load: {error}"),
                "install the vendor's library and name its file in module=",
            )
        };
        let context = Pkcs11::new(path).map_err(wrong)?;
        initialize(&context).map_err(wrong)?;
        let module = Arc::new(Self { path: path.to_owned(), context, gate: RwLock::new(()) });
        loaded.push(Arc::clone(&module));
        Ok(module)
    }

    pub(super) fn context(&self) -> &Pkcs11 {
        &self.context
    }

    /// Finalises and initialises the library, so that it looks for tokens again.
    ///
    /// Precondition: no session of it is alive; a session's number may be given anew.
    pub(super) fn restart(&self) -> Result<(), Error> {
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        match self.context.clone().finalize() {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiNotInitialized, _)) => {}
            Err(error) => return Err(error),
        }
        initialize(&self.context)
    }
}
