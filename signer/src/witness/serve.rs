//! The witness's HTTP service and its memory: one file for each log, replaced durably before a cosignature leaves.

use super::{Ask, Refused, Seen, WitnessKey, judge};
use crate::log::note::Verifier;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use keywright_ambient::Clock;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Longest body that is read, in bytes.
const MAX_BODY: usize = 64 << 10;

/// A witness at work.
pub struct Witness {
    folder: PathBuf,
    key: WitnessKey,
    logs: Vec<Verifier>,
    clock: Arc<dyn Clock>,
    /// One request at a time: what is judged must still be so when it is remembered.
    turn: Mutex<()>,
    /// One witness at a time, for the same reason; the system lets go of it when the process ends.
    _only: File,
}

impl Witness {
    /// A witness of these logs that remembers in `folder`, which it makes. Errors: the disk's; another witness has it.
    pub fn new(
        folder: PathBuf,
        key: WitnessKey,
        logs: Vec<Verifier>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let only = File::create(folder.join("lock"))?;
        only.try_lock()?;
        Ok(Self { folder, key, logs, clock, turn: Mutex::new(()), _only: only })
    }

    fn path(&self, log: &Verifier) -> PathBuf {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, log.name().as_bytes());
        self.folder.join(hex::encode(digest))
    }

    fn seen(&self, log: &Verifier) -> io::Result<Seen> {
        let text = match fs::read_to_string(self.path(log)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Seen::default()),
            Err(error) => return Err(error),
        };
        let parsed = || {
            let mut lines = text.lines();
            let (name, size, root) = (lines.next()?, lines.next()?, lines.next()?);
            let root = BASE64.decode(root).ok()?.try_into().ok()?;
            Some(Seen { size: size.parse().ok()?, root }).filter(|_| name == log.name())
        };
        parsed().ok_or_else(|| io::Error::other("what this witness remembers of the log does not parse"))
    }

    fn remember(&self, log: &Verifier, seen: &Seen) -> io::Result<()> {
        let path = self.path(log);
        let draft = path.with_extension("new");
        let mut file = File::create(&draft)?;
        writeln!(file, "{}\n{}\n{}", log.name(), seen.size, BASE64.encode(seen.root))?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Judges, remembers, cosigns. Errors: `Ok(Err)` the refusal, `Err` the disk's; nothing is cosigned then.
    pub fn add(&self, body: &[u8]) -> io::Result<Result<String, Refused>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(body) = std::str::from_utf8(body) else { return Ok(Err(Refused::Malformed)) };
        let ask = match Ask::parse(body) {
            Ok(ask) => ask,
            Err(refused) => return Ok(Err(refused)),
        };
        let origin = ask.note.lines().next().unwrap_or_default();
        let Some(log) = self.logs.iter().find(|log| log.name() == origin) else {
            return Ok(Err(Refused::UnknownOrigin));
        };
        let checkpoint = match judge(&ask, log, &self.seen(log)?) {
            Ok(checkpoint) => checkpoint,
            Err(refused) => return Ok(Err(refused)),
        };
        self.remember(log, &Seen { size: checkpoint.size, root: checkpoint.root })?;
        let time = u64::try_from(self.clock.now().as_second()).unwrap_or(0);
        Ok(self.key.cosign(ask.note, time).ok_or(Refused::Malformed))
    }
}

/// `POST /add-checkpoint`.
pub fn routes(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(witness)
}

async fn add(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    match tokio::task::spawn_blocking(move || witness.add(&body)).await {
        Ok(Ok(Ok(line))) => line.into_response(),
        Ok(Ok(Err(refused))) => answer(&refused),
        Ok(Err(error)) => {
            tracing::error!(%error, "the witness cannot remember; it cosigns nothing");
            (StatusCode::SERVICE_UNAVAILABLE, "the witness cannot remember, and cosigns nothing\n")
                .into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn answer(refused: &Refused) -> Response {
    let text = format!("{refused}\n");
    match refused {
        Refused::Malformed => (StatusCode::BAD_REQUEST, text).into_response(),
        Refused::UnknownOrigin => (StatusCode::NOT_FOUND, text).into_response(),
        Refused::Untrusted => (StatusCode::FORBIDDEN, text).into_response(),
        Refused::OtherSize(size) => {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response()
        }
        Refused::Inconsistent => (StatusCode::UNPROCESSABLE_ENTITY, text).into_response(),
    }
}
