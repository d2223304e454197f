//! One token: found by its label, logged in once, used through a few sessions.
//!
//! ```text
//! away --connect--> present --call fails with "lost"--> away        connect --PIN refused--> refused (for good)
//! ```
//! A call that finds its session or handle lost is repeated once after a new connect: making a signature again is
//! harmless. A PIN is sent to the token once; when it is refused, every later call fails here, without asking the token,
//! so that no number of retries can lock it.

use super::module::Module;
use crate::error::{CustodyError, Kind};
use crate::spec::TokenSpec;
use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait for a session that others use.
const PATIENCE: Duration = Duration::from_secs(10);

/// A token and the sessions on it.
pub struct Token {
    spec: TokenSpec,
    state: Mutex<State>,
    /// A session came back.
    freed: Condvar,
}

#[derive(Default)]
struct State {
    present: Option<Present>,
    /// Sessions that calls use now, of this and earlier connections.
    taken: usize,
    /// Counts connections: handles of an earlier one mean nothing.
    generation: u64,
    refused: Option<CustodyError>,
}

/// A token that is there and logged in.
struct Present {
    module: Arc<Module>,
    slot: Slot,
    idle: Vec<Session>,
    /// Keeps the login alive.
    anchor: Session,
}

/// Why a call within a session failed.
pub(super) enum Fault {
    /// The library's answer, to be judged.
    Token(Error),
    /// Judged already.
    Custody(CustodyError),
    /// Judged already, and not to be believed before a new connection says so too.
    Gone(CustodyError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Token(error)
    }
}

impl From<CustodyError> for Fault {
    fn from(error: CustodyError) -> Self {
        Self::Custody(error)
    }
}

/// A session for one call.
pub(super) struct Lease<'a> {
    token: &'a Token,
    module: Arc<Module>,
    session: Option<Session>,
    generation: u64,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.token.lock();
        if let Some(session) = self.session.take()
            && state.generation == self.generation
            && let Some(present) = &mut state.present
        {
            present.idle.push(session);
        }
        state.taken -= 1;
        self.token.freed.notify_all();
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.spec.token).finish()
    }
}

impl Token {
    /// A token that is not looked for yet.
    pub fn new(spec: TokenSpec) -> Self {
        Self { spec, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.spec.token
    }

    /// Looks for it and logs in, unless that was done. Errors: absent, or the PIN is refused.
    pub fn connect(&self) -> Result<(), CustodyError> {
        self.with("connect", |_, _| Ok(()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, kind: Kind, rule: impl Into<String>, fix: &str) -> CustodyError {
        CustodyError::new(kind, format!("PKCS#11 token {}", self.spec.token), rule, fix)
    }

    /// Whether the token has all of these mechanisms.
    pub(super) fn has(&self, wanted: &[MechanismType]) -> Result<bool, CustodyError> {
        self.with("ask for mechanisms", |session, lease| {
            let slot = session.get_session_info()?.slot_id();
            let found = lease.context().get_mechanism_list(slot)?;
            Ok(wanted.iter().all(|one| found.contains(one)))
        })
    }

    /// Does `work` in a session; once more after a new connect when the first try finds the token lost.
    pub(super) fn with<T>(
        &self,
        operation: &str,
        work: impl Fn(&Session, &Lease<'_>) -> Result<T, Fault>,
    ) -> Result<T, CustodyError> {
        let mut again = true;
        loop {
            let lease = self.take()?;
            let result = lease.call(&work);
            match result {
                Ok(value) => return Ok(value),
                Err(Fault::Custody(error)) => return Err(error),
                Err(Fault::Gone(error)) => self.again(lease, &mut again, error)?,
                Err(Fault::Token(error)) if is_lost(&error) => {
                    let rule = format!("{operation}: the token does not answer as it should: {error}");
                    let fix = "see that it is plugged in and its driver runs";
                    self.again(lease, &mut again, self.error(Kind::Unreachable, rule, fix))?;
                }
                Err(Fault::Token(error)) => {
                    let rule = format!("{operation}: {error}");
                    return Err(self.error(Kind::Unsupported, rule, "see the vendor's manual for this code"));
                }
            }
        }
    }

    /// Allows one more try, over a new connection. Errors: `error`, when that was done.
    fn again(&self, lease: Lease<'_>, again: &mut bool, error: CustodyError) -> Result<(), CustodyError> {
        let generation = lease.generation;
        drop(lease);
        self.lose(generation);
        if std::mem::take(again) { Ok(()) } else { Err(error) }
    }

    /// Forgets a connection that turned out to be lost.
    fn lose(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation && state.present.take().is_some() {
            state.generation += 1;
            tracing::warn!(token = self.spec.token, "token lost; connecting again with the next call");
        }
    }

    fn take(&self) -> Result<Lease<'_>, CustodyError> {
        let mut state = self.lock();
        loop {
            if let Some(error) = &state.refused {
                return Err(error.clone());
            }
            if state.present.is_none() {
                // A library that is initialised anew numbers its sessions anew: all old ones must be closed before.
                if state.taken > 0 {
                    state = self.wait(state)?;
                    continue;
                }
                match self.find(state.generation > 0) {
                    Ok(present) => state.present = Some(present),
                    Err(error) => {
                        if error.kind == Kind::Refused {
                            state.refused = Some(error.clone());
                        }
                        return Err(error);
                    }
                }
            }
            let (taken, generation) = (state.taken, state.generation);
            let Some(present) = &mut state.present else { continue };
            let session = match present.idle.pop() {
                Some(session) => Some(session),
                None if taken < self.spec.sessions => {
                    match present.module.context().open_rw_session(present.slot) {
                        Ok(session) => Some(session),
                        Err(Error::Pkcs11(RvError::SessionCount, _)) if taken > 0 => None,
                        Err(Error::Pkcs11(RvError::SessionCount, _)) => return Err(self.busy()),
                        Err(error) => {
                            drop(state);
                            self.lose(generation);
                            return Err(self.error(
                                Kind::Unreachable,
                                format!("opens no session: {error}"),
                                "see that it is plugged in and its driver runs",
                            ));
                        }
                    }
                }
                None => None,
            };
            let module = Arc::clone(&present.module);
            if session.is_some() {
                state.taken += 1;
                return Ok(Lease { token: self, module, session, generation });
            }
            state = self.wait(state)?;
        }
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, CustodyError> {
        let waited = self.freed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
        if waited.1.timed_out() { Err(self.busy()) } else { Ok(waited.0) }
    }

    fn busy(&self) -> CustodyError {
        self.error(
            Kind::Busy,
            format!("all its sessions are taken (sessions={})", self.spec.sessions),
            "raise sessions= if the token allows more, or close other users' sessions",
        )
    }

    /// Finds the token and logs in. `seen`: it was there before.
    fn find(&self, seen: bool) -> Result<Present, CustodyError> {
        let module = Module::load(&self.spec.module)?;
        let failed = |error: Error| {
            self.error(Kind::Unreachable, format!("its library fails: {error}"), "see that its driver runs")
        };
        // Libraries look for tokens when they are initialised, and some never again. Not while another token uses it.
        let restart = || if Arc::strong_count(&module) <= 2 { module.restart() } else { Ok(()) };
        if seen {
            restart().map_err(failed)?;
        }
        let mut slot = self.slot(module.context());
        if !seen && !matches!(slot, Ok(Some(_))) {
            restart().map_err(failed)?;
            slot = self.slot(module.context());
        }
        let Some(slot) = slot.map_err(failed)? else {
            let fix = "plug it in, or name the right label in token= (softhsm2-util --show-slots and the like list them)";
            let kind = if seen { Kind::Unreachable } else { Kind::NotFound };
            return Err(self.error(kind, "is in no slot of this module", fix));
        };
        let about = module.context().get_token_info(slot).map_err(failed)?;
        if about.user_pin_locked() {
            return Err(self.error(
                Kind::Refused,
                "its user PIN is locked",
                "have its security officer set a new one",
            ));
        }
        if about.user_pin_final_try() {
            return Err(self.error(
                Kind::Refused,
                "one more wrong PIN would lock it, so this signer does not try",
                "log in once with the vendor's tool and the right PIN, which resets the count",
            ));
        }
        let anchor = module.context().open_rw_session(slot).map_err(|error| match error {
            Error::Pkcs11(RvError::SessionCount, _) => self.busy(),
            other => failed(other),
        })?;
        let mut pin = self.spec.pin.read()?;
        let pin = AuthPin::from(std::mem::take(&mut *pin));
        match anchor.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                Ok(Present { module, slot, idle: Vec::new(), anchor })
            }
            Err(Error::Pkcs11(
                error @ (RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
                | RvError::UserPinNotInitialized),
                _,
            )) => Err(self.error(
                Kind::Refused,
                format!(
                    "refused the PIN from {}: {error}; it was tried once and is not tried again",
                    self.spec.pin
                ),
                "put the right PIN there and start again",
            )),
            Err(error) => Err(failed(error)),
        }
    }

    fn slot(&self, context: &Pkcs11) -> Result<Option<Slot>, Error> {
        for slot in context.get_slots_with_token()? {
            // Slots without an initialised token answer with an error or an empty label.
            if let Ok(about) = context.get_token_info(slot)
                && about.label() == self.spec.token
            {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        // Sessions before the anchor: with the last session the login ends.
        self.idle.clear();
        let _ = self.anchor.logout();
    }
}

impl Lease<'_> {
    /// Counts connections; a handle is good within one.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn context(&self) -> &Pkcs11 {
        self.module.context()
    }

    fn call<T>(&self, work: &impl Fn(&Session, &Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let _calling = self.module.gate.read().unwrap_or_else(PoisonError::into_inner);
        match &self.session {
            Some(session) => work(session, self),
            None => Err(Fault::Token(Error::Pkcs11(
                RvError::SessionClosed,
                cryptoki::context::Function::OpenSession,
            ))),
        }
    }
}

/// Whether the connection, not the request, is what failed.
fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::DeviceRemoved
                | RvError::DeviceError
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SlotIdInvalid
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::CryptokiNotInitialized
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::UserNotLoggedIn
                | RvError::GeneralError
                | RvError::FunctionFailed,
            _
        )
    )
}
