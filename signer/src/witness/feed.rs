//! Asking witnesses to cosign a log's checkpoint: a process beside the signer, which itself never calls out.
//!
//! Reads the log's folder, sends each witness the checkpoint with the proof that it continues what that witness saw last,
//! and writes the checkpoint with all cosignatures as `checkpoint.cosigned` beside it.

use super::WitnessVerifier;
use crate::log::consistency::prove;
use crate::log::disk::{DiskError, LogDir};
use crate::log::note::{NoteError, Verifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A witness to ask.
#[derive(Debug, Clone)]
pub struct Place {
    /// `HOST:PORT`, spoken to over plain HTTP: a cosignature needs no secrecy, and is verified.
    pub address: String,
    /// Its key.
    pub key: WitnessVerifier,
}

/// Why a checkpoint was not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The log.
    #[error(transparent)]
    Log(#[from] DiskError),
    /// The log has no checkpoint yet.
    #[error("log: there is no checkpoint yet; start the signer first")]
    NoCheckpoint,
    /// The witness is not reached.
    #[error("witness {address}: {source}")]
    Unreached {
        /// Which.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The witness saw another history of this log.
    #[error(
        "witness {address} saw this log with other entries before: its key signed two histories, or the log was put back and grew again; keep this checkpoint and the witness's as proof, and find out before anybody relies on either"
    )]
    Forked {
        /// Which.
        address: String,
    },
    /// The witness saw more of this log than there is.
    #[error(
        "witness {address} saw {seen} entries of this log, which has {size} now: it was cut or put back; restore the newest state folder"
    )]
    Cut {
        /// Which.
        address: String,
        /// How many it saw.
        seen: u64,
        /// How many there are.
        size: u64,
    },
    /// The witness refused.
    #[error(
        "witness {address} answered {status}: {text}; see the witness's own log, and that it knows this log's key"
    )]
    Refused {
        /// Which.
        address: String,
        /// HTTP status.
        status: u16,
        /// Its words.
        text: String,
    },
    /// What it sent is not its cosignature of this checkpoint.
    #[error(
        "witness {0}: its answer is no valid cosignature of this checkpoint; look whether its key is right"
    )]
    Invalid(String),
}

/// Asks all witnesses and writes `checkpoint.cosigned`; returns what each said.
pub async fn feed(
    dir: &LogDir,
    log: &Verifier,
    witnesses: &[Place],
) -> Result<Vec<Result<u64, FeedError>>, FeedError> {
    let path = dir.root().join("checkpoint");
    let note = match tokio::fs::read_to_string(&path).await {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FeedError::NoCheckpoint),
        Err(source) => return Err(DiskError::Io { path, source }.into()),
    };
    let size = log.open(note.as_bytes()).map_err(|error: NoteError| FeedError::Log(error.into()))?.size;
    let (mut results, mut cosigned) = (Vec::new(), note.clone());
    for witness in witnesses {
        results.push(match ask(dir, &note, size, witness).await {
            Ok((time, lines)) => {
                cosigned.push_str(&lines);
                Ok(time)
            }
            Err(error) => Err(error),
        });
    }
    if results.iter().any(Result::is_ok) {
        dir.write(&[("checkpoint.cosigned".into(), cosigned.into_bytes())])?;
    }
    Ok(results)
}

/// Asks one witness; where it saw another size than none, asks again from that size.
async fn ask(dir: &LogDir, note: &str, size: u64, witness: &Place) -> Result<(u64, String), FeedError> {
    let address = &witness.address;
    let mut old = 0;
    for _ in 0..3 {
        let mut body = format!("old {old}\n");
        for hash in prove(dir, old, size, size)? {
            // Writing to a string never fails.
            let _ = writeln!(body, "{}", BASE64.encode(hash));
        }
        let _ = write!(body, "\n{note}");
        let unreached = |source| FeedError::Unreached { address: address.clone(), source };
        let sent = tokio::time::timeout(PATIENCE, post(address, &body)).await;
        let (status, text) =
            sent.map_err(|_| unreached(io::ErrorKind::TimedOut.into()))?.map_err(unreached)?;
        match (status, text.trim().parse::<u64>()) {
            (200, _) => {
                let time = witness.key.time_of(note, &text);
                return time.map(|time| (time, text)).ok_or_else(|| FeedError::Invalid(address.clone()));
            }
            (409, Ok(seen)) if seen <= size && seen != old => old = seen,
            (409, Ok(seen)) if seen > size => {
                return Err(FeedError::Cut { address: address.clone(), seen, size });
            }
            (422, _) => return Err(FeedError::Forked { address: address.clone() }),
            (status, _) => {
                let text = text.trim_end().to_owned();
                return Err(FeedError::Refused { address: address.clone(), status, text });
            }
        }
    }
    Err(FeedError::Invalid(address.clone()))
}

/// One HTTP/1.1 request; status and body of the answer.
async fn post(address: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).await?;
    let malformed = || io::Error::other("its answer is no HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status =
        head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::note::LogKey;
    use crate::log::publisher::Log;
    use crate::log::tile::Edge;
    use crate::witness::WitnessKey;
    use crate::witness::serve::{Witness, routes};
    use keywright_ambient::SystemClock;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn log_key() -> LogKey {
        LogKey::from_seed("keywright.dev/signer/test".into(), &[3; 32]).unwrap()
    }

    fn witness_key() -> WitnessKey {
        WitnessKey::from_seed("witness.example/w", &[5; 32]).unwrap()
    }

    async fn witness(folder: PathBuf) -> Place {
        let logs = vec![log_key().verifier().clone()];
        let witness = Witness::new(folder, witness_key(), logs, Arc::new(SystemClock)).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, routes(Arc::new(witness))).await });
        Place { address, key: WitnessVerifier::parse(&witness_key().text()).unwrap() }
    }

    #[tokio::test]
    async fn a_growing_log_is_cosigned_again_and_again_and_a_forked_one_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let dir = LogDir::new(temp.path().join("log"));
        let place = witness(temp.path().join("memory")).await;
        let mut log = Log::new(dir.clone(), log_key(), Edge::default(), Vec::new());
        let verifier = log_key().verifier().clone();
        for lot in [1, 5, 300, 700] {
            let entries: Vec<Vec<u8>> = (0..lot).map(|n: u32| n.to_be_bytes().to_vec()).collect();
            log.publish(&entries).unwrap();
            let results = feed(&dir, &verifier, std::slice::from_ref(&place)).await.unwrap();
            assert!(results[0].is_ok(), "{results:?}");
            let cosigned = std::fs::read_to_string(dir.root().join("checkpoint.cosigned")).unwrap();
            assert_eq!(verifier.open(cosigned.as_bytes()).unwrap().size, log.size());
            assert!(place.key.time_of(&cosigned, &cosigned).is_some());
        }
        // A second history of the same log, told by the same key.
        let fork = LogDir::new(temp.path().join("fork"));
        let mut other = Log::new(fork.clone(), log_key(), Edge::default(), Vec::new());
        other.publish(&vec![b"other".to_vec(); 2000]).unwrap();
        let results = feed(&fork, &verifier, std::slice::from_ref(&place)).await.unwrap();
        assert!(matches!(results[0], Err(FeedError::Forked { .. })), "{results:?}");
        // The same log, put back.
        let back = LogDir::new(temp.path().join("back"));
        Log::new(back.clone(), log_key(), Edge::default(), Vec::new()).publish(&[vec![0; 4]]).unwrap();
        let results = feed(&back, &verifier, &[place]).await.unwrap();
        assert!(matches!(results[0], Err(FeedError::Cut { seen: 1006, size: 1, .. })), "{results:?}");
    }

    #[tokio::test]
    async fn one_folder_is_the_memory_of_one_witness_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let of = || Witness::new(temp.path().to_owned(), witness_key(), Vec::new(), Arc::new(SystemClock));
        let first = of().unwrap();
        assert_eq!(of().err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
        drop(first);
        of().unwrap();
    }
}
