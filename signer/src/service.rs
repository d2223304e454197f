//! The gRPC service: who is asking, may they, what do they ask, then the engine.
//!
//! The caller is authorised before the message is looked at; only then is it parsed and dispatched.

use crate::algorithm;
use crate::approval::ended::Reported;
use crate::authority_key::AuthorityKey;
use crate::engine::{Answer, Counting, Engine, Refused, Steps};
use crate::ids::{RequestId, Uid};
use crate::parse;
use crate::purpose;
use crate::rates::{Buckets, Rate, Verdict};
use crate::refusal::{Reason, Refusal};
use crate::trace;
use crate::transport::PeerPin;
use keywright_ambient::{Clock as _, SystemClock};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer_protocol::status_of;
use keywright_signer_protocol::tls::{Role, TlsFolder};
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_signer_protocol::v1alpha1::signer_server::Signer;
use keywright_telemetry::{Span, Tracer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tonic::{Request, Response, Status};

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    EnsureAuthority,
    EnsureKey,
    Issue,
    IssueBatch,
    LookUp,
    LogEndedApproval,
    GetStatus,
}

/// Requests of a batch that one task parses and proves: enough to spread a batch over the cores.
const CHUNK: usize = 8;

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::EnsureAuthority => "EnsureAuthority",
            Self::EnsureKey => "EnsureKey",
            Self::Issue => "Issue",
            Self::IssueBatch => "IssueBatch",
            Self::LookUp => "LookUp",
            Self::LogEndedApproval => "LogEndedApproval",
            Self::GetStatus => "GetStatus",
        }
    }

    fn open_to(self, role: Role) -> bool {
        match (self, role) {
            (
                Self::EnsureAuthority
                | Self::EnsureKey
                | Self::Issue
                | Self::IssueBatch
                | Self::LookUp
                | Self::LogEndedApproval,
                Role::Signer | Role::Observer,
            ) => false,
            (
                Self::EnsureAuthority
                | Self::EnsureKey
                | Self::Issue
                | Self::IssueBatch
                | Self::LookUp
                | Self::LogEndedApproval,
                Role::Operator,
            )
            | (Self::GetStatus, Role::Operator | Role::Signer | Role::Observer) => true,
        }
    }
}

/// The service over a running engine.
#[derive(Clone)]
pub struct Service {
    engine: Arc<Engine>,
    folder: TlsFolder,
    rate: Option<Rate>,
    tracer: Tracer,
    buckets: Arc<Mutex<Buckets>>,
    clock: SystemClock,
    start: Instant,
}

impl Service {
    /// Serves `engine` to the peers pinned in `folder`, each within `rate` and the key's own for each key.
    pub fn new(engine: Arc<Engine>, folder: TlsFolder, rate: Option<Rate>, tracer: Tracer) -> Self {
        let (buckets, start) = (Arc::default(), SystemClock.monotonic());
        Self { engine, folder, rate, tracer, buckets, clock: SystemClock, start }
    }

    /// Counts a request against the caller's rate for this key. Errors: it is over; the refusal is already logged.
    async fn within_rate(
        &self,
        caller: &str,
        operation: Operation,
        id: Option<RequestId>,
        key: Uid,
    ) -> Result<(), Refusal> {
        let own = self.engine.rate_of(&key);
        let Some(rate) = self.rate.map_or(own, |all| Some(own.map_or(all, |own| own.min(all)))) else {
            return Ok(());
        };
        let counted = if self.engine.knows(&key) { key } else { Uid::NIL };
        let now = self.clock.monotonic().duration_since(self.start);
        let taken =
            self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(caller, counted, rate, now);
        let count = match taken {
            Verdict::Within => return Ok(()),
            Verdict::Over(count) => count,
        };
        let rule = "this caller is over its rate for this key; nothing was signed";
        let refusal = Refusal::new(Reason::Unavailable, "authorityUid", rule, "try again a little later");
        if !Verdict::is_told(count) {
            return Err(refusal);
        }
        let (caller, operation) = (caller.to_owned(), operation.name());
        let refused = Refused { refusal, caller, operation, id, authority: Some(key), count };
        Err(self.engine.refuse(refused).await)
    }

    /// The caller's name, if it may do this. Errors: the refusal, already logged.
    async fn authorise<T>(&self, request: &Request<T>, operation: Operation) -> Result<String, Status> {
        let peer = request
            .extensions()
            .get::<PeerPin>()
            .and_then(|PeerPin(pin)| self.folder.known_peers().find(pin).cloned());
        let (caller, refusal) = match peer {
            Some(peer) if operation.open_to(peer.role) => return Ok(peer.name),
            Some(peer) => {
                let refusal = Refusal::new(
                    Reason::Forbidden,
                    "",
                    format!("{} is not open to this caller's role", operation.name()),
                    "ask as a peer with the role operator",
                );
                (peer.name, refusal)
            }
            None => {
                let refusal = Refusal::new(
                    Reason::Unauthenticated,
                    "",
                    "this caller's key is no longer pinned",
                    "connect again with a pinned key",
                );
                (String::new(), refusal)
            }
        };
        let refusal = self.refused(refusal, caller, operation, None, None).await;
        Err(status_of(&refusal.to_wire()))
    }

    /// One leaf, from message to answer. Errors: the refusal, already logged.
    async fn issue_one(
        &self,
        message: &wire::IssueRequest,
        caller: String,
        operation: Operation,
        span: &Span,
    ) -> Result<wire::Issued, Refusal> {
        if let Ok(key) = message.authority_uid.parse() {
            self.within_rate(&caller, operation, id_of(message.request_key.as_ref()), key).await?;
        }
        match parse::issue(message) {
            Ok(ask) => {
                let answer = self.engine.issue(ask, caller, Steps::new(span.is_on())).await?;
                answer.steps.iter().for_each(|(name, from, to)| span.measured(name, from, to));
                Ok(issued(answer))
            }
            Err(refusal) => {
                let (id, uid) = (id_of(message.request_key.as_ref()), message.authority_uid.parse().ok());
                Err(self.refused(refusal, caller, operation, id, uid).await)
            }
        }
    }

    /// A fresh key, unless the signer has one of this name.
    async fn fresh_key(&self, uid: Uid, algorithm: KeyAlgorithm) -> Result<Option<AuthorityKey>, Refusal> {
        if self.engine.knows(&uid) {
            return Ok(None);
        }
        // RSA keys take seconds, tokens too: never on a thread that serves others.
        let engine = Arc::clone(&self.engine);
        let made = tokio::task::spawn_blocking(move || engine.make_key(uid, algorithm)).await;
        made.unwrap_or_else(|_| Err(Refusal::unavailable("the library could not make a key"))).map(Some)
    }

    /// A key of another purpose, from message to answer. Errors: the refusal, already logged.
    async fn key_one(
        &self,
        message: &wire::EnsureKeyRequest,
        caller: String,
        operation: Operation,
    ) -> Result<wire::Key, Refusal> {
        let parsed = purpose::parse(message);
        let uid = match &parsed {
            Ok(ask) => Some(ask.uid),
            Err(_) => message.key_uid.parse().ok(),
        };
        if let Some(uid) = uid {
            self.within_rate(&caller, operation, None, uid).await?;
        }
        let made = match parsed {
            Ok(ask) => self.fresh_key(ask.uid, ask.algorithm).await.map(|key| (ask, key)),
            Err(refusal) => Err(refusal),
        };
        let (ask, key) = match made {
            Ok(made) => made,
            Err(refusal) => return Err(self.refused(refusal, caller, operation, None, uid).await),
        };
        let uid = ask.uid;
        let answer = self.engine.ensure_key(ask, key, caller).await?;
        let Some(key) = self.engine.key(&uid) else {
            return Err(Refusal::internal("a key that was made is not there"));
        };
        Ok(wire::Key {
            uid: uid.to_string(),
            purpose: purpose::to_wire(key.purpose).into(),
            key_algorithm: algorithm::to_wire(key.algorithm).into(),
            public_key: key.key.public_key().spki_der().to_vec(),
            state: purpose::state_to_wire(key.state).into(),
            log_index: answer.log_index,
            created: answer.created,
        })
    }

    /// A request for approval that is said to have ended. Errors: the refusal, already logged.
    async fn ended_one(
        &self,
        message: &wire::LogEndedApprovalRequest,
        caller: String,
        operation: Operation,
    ) -> Result<wire::LogEndedApprovalResponse, Refusal> {
        let parsed = Reported::parse(message);
        let id = parsed.as_ref().ok().map(|reported| RequestId { uid: reported.uid, step: 0 });
        self.within_rate(&caller, operation, id, Uid::NIL).await?;
        let reported = match parsed {
            Ok(reported) => reported,
            Err(refusal) => return Err(self.refused(refusal, caller, operation, None, None).await),
        };
        let Answer { log_index, repeated, .. } = self.engine.log_ended(reported, caller).await?;
        Ok(wire::LogEndedApprovalResponse { log_index, repeated_answer: repeated })
    }

    async fn refused(
        &self,
        refusal: Refusal,
        caller: String,
        operation: Operation,
        id: Option<RequestId>,
        authority: Option<Uid>,
    ) -> Refusal {
        let refused = Refused { refusal, caller, operation: operation.name(), id, authority, count: 1 };
        self.engine.refuse(refused).await
    }
}

fn id_of(key: Option<&wire::RequestKey>) -> Option<RequestId> {
    let key = key?;
    Some(RequestId { uid: key.object_uid.parse().ok()?, step: key.step })
}

fn issued(answer: Answer) -> wire::Issued {
    let Answer { certificate, parents, log_index, repeated, .. } = answer;
    wire::Issued { certificate, parents, log_index, repeated_answer: repeated }
}

#[tonic::async_trait]
impl Signer for Service {
    async fn ensure_authority(
        &self,
        request: Request<wire::EnsureAuthorityRequest>,
    ) -> Result<Response<wire::Authority>, Status> {
        let operation = Operation::EnsureAuthority;
        let caller = self.authorise(&request, operation).await?;
        let message = request.into_inner();
        let ask = match parse::ensure(&message) {
            Ok(ask) => ask,
            Err(refusal) => {
                let id = id_of(message.request_key.as_ref());
                let refusal = self.refused(refusal, caller, operation, id, id.map(|id| id.uid)).await;
                return Err(status_of(&refusal.to_wire()));
            }
        };
        let uid = ask.id.uid;
        let made = match self.within_rate(&caller, operation, Some(ask.id), uid).await {
            Err(refusal) => return Err(status_of(&refusal.to_wire())),
            Ok(()) if ask.expected_key_id.is_some() => Ok(None),
            Ok(()) => self.fresh_key(uid, ask.algorithm).await,
        };
        let key = match made {
            Ok(key) => key,
            Err(refusal) => {
                let refusal = self.refused(refusal, caller, operation, Some(ask.id), Some(uid)).await;
                return Err(status_of(&refusal.to_wire()));
            }
        };
        let answer =
            self.engine.ensure(ask, key, caller).await.map_err(|refusal| status_of(&refusal.to_wire()))?;
        let Answer { certificate, parents, step, log_index, created, .. } = answer;
        Ok(Response::new(wire::Authority {
            uid: uid.to_string(),
            certificate,
            parents,
            step,
            log_index,
            created,
        }))
    }

    async fn ensure_key(
        &self,
        request: Request<wire::EnsureKeyRequest>,
    ) -> Result<Response<wire::Key>, Status> {
        let operation = Operation::EnsureKey;
        let caller = self.authorise(&request, operation).await?;
        let message = request.into_inner();
        let answer = self.key_one(&message, caller, operation).await;
        answer.map(Response::new).map_err(|refusal| status_of(&refusal.to_wire()))
    }

    async fn issue(&self, request: Request<wire::IssueRequest>) -> Result<Response<wire::Issued>, Status> {
        let operation = Operation::Issue;
        let caller = self.authorise(&request, operation).await?;
        let mut span = trace::begin(&self.tracer, &request);
        let answer = self.issue_one(&request.into_inner(), caller, operation, &span).await;
        trace::outcome(&mut span, &answer);
        span.end();
        answer.map(Response::new).map_err(|refusal| status_of(&refusal.to_wire()))
    }

    async fn issue_batch(
        &self,
        request: Request<wire::IssueBatchRequest>,
    ) -> Result<Response<wire::IssueBatchResponse>, Status> {
        let operation = Operation::IssueBatch;
        let caller = self.authorise(&request, operation).await?;
        let requests = request.into_inner().requests;
        if let Err(refusal) = parse::batch("requests", requests.len()) {
            let refusal = self.refused(refusal, caller, operation, None, None).await;
            return Err(status_of(&refusal.to_wire()));
        }
        let mut chunks = Vec::with_capacity(requests.len().div_ceil(CHUNK));
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let chunk: Vec<_> = requests.by_ref().take(CHUNK).collect();
            let (service, caller) = (self.clone(), caller.clone());
            chunks.push(tokio::spawn(async move {
                let untraced = Span::off();
                let answers = chunk
                    .iter()
                    .map(|message| service.issue_one(message, caller.clone(), operation, &untraced));
                futures::future::join_all(answers).await
            }));
        }
        let mut results = Vec::new();
        for chunk in chunks {
            let answers = chunk.await.map_err(|_| {
                status_of(&Refusal::internal("a part of the batch was lost; ask for it again").to_wire())
            })?;
            results.extend(answers.into_iter().map(|answer| wire::IssueResult {
                result: Some(match answer {
                    Ok(issued) => wire::issue_result::Result::Issued(issued),
                    Err(refusal) => wire::issue_result::Result::Refusal(refusal.to_wire()),
                }),
            }));
        }
        Ok(Response::new(wire::IssueBatchResponse { results }))
    }

    async fn look_up(
        &self,
        request: Request<wire::LookUpRequest>,
    ) -> Result<Response<wire::LookUpResponse>, Status> {
        let operation = Operation::LookUp;
        let caller = self.authorise(&request, operation).await?;
        let over = self.within_rate(&caller, operation, None, Uid::NIL).await;
        over.map_err(|refusal| status_of(&refusal.to_wire()))?;
        let answer = match parse::look_up(&request.into_inner()) {
            Ok(ask) => self.engine.look_up(ask, caller).await,
            Err(refusal) => Err(self.refused(refusal, caller, operation, None, None).await),
        };
        let answer = answer.map_err(|refusal| status_of(&refusal.to_wire()))?;
        let counting = answer.counting.into_iter().map(|one| match one {
            Some(Counting { serial, log_index }) => wire::Counting { serial, log_index },
            None => wire::Counting::default(),
        });
        Ok(Response::new(wire::LookUpResponse { counting: counting.collect() }))
    }

    async fn log_ended_approval(
        &self,
        request: Request<wire::LogEndedApprovalRequest>,
    ) -> Result<Response<wire::LogEndedApprovalResponse>, Status> {
        let operation = Operation::LogEndedApproval;
        let caller = self.authorise(&request, operation).await?;
        let answer = self.ended_one(&request.into_inner(), caller, operation).await;
        answer.map(Response::new).map_err(|refusal| status_of(&refusal.to_wire()))
    }

    async fn get_status(
        &self,
        request: Request<wire::GetStatusRequest>,
    ) -> Result<Response<wire::SignerStatus>, Status> {
        self.authorise(&request, Operation::GetStatus).await?;
        let status = self.engine.status();
        Ok(Response::new(wire::SignerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_size: status.log_size,
            authorities: status.authorities,
            highest_fencing_token: status.fencing,
            log_verifier_key: status.verifier,
            ready: status.ready,
            problem: status.problem,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_operators_may_ask_for_credentials() {
        for role in [Role::Signer, Role::Observer] {
            for operation in [
                Operation::EnsureAuthority,
                Operation::EnsureKey,
                Operation::Issue,
                Operation::IssueBatch,
                Operation::LookUp,
                Operation::LogEndedApproval,
            ] {
                assert!(!operation.open_to(role), "{operation:?} {role:?}");
            }
            assert!(Operation::GetStatus.open_to(role));
        }
        assert!(Operation::Issue.open_to(Role::Operator));
    }
}
