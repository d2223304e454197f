//! Clocks that jump: what operator and signer see as the time of day is shifted while they run.
//!
//! The library that does it (`clock.c`) is compiled by the C compiler that the product's own build needs anyway. Deadlines
//! and waits are on the forward-only clock, which nobody shifts, as on a machine whose time is set.

use super::cluster::{condition, is_ready, path, text};
use super::faults::until_ready;
use super::judge::{self, Faults};
use super::rig::{PATIENCE, Rig};
use super::scene::{authorities, certificate};
use super::signer_log::Account;
use super::view::{LOOK, settle, until_started};
use crate::assets::run;
use crate::{Error, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Past two thirds of a certificate's 90 days and before their end.
const JUMP: i64 = 70 * 24 * 3600;
/// Signatures for one object that a jump there and back may cost: its own, one for each edit, and what backoff lets through
/// in the seconds that the clocks differ.
const MOST_SIGNATURES: usize = 8;

/// The clocks of operator and signer.
pub(super) struct Clocks {
    pub(super) operator: Clock,
    pub(super) signer: Clock,
    _folder: TempDir,
}

/// One clock.
pub(super) struct Clock {
    library: PathBuf,
    path: PathBuf,
    file: File,
}

impl Clocks {
    /// Both right. Errors: there is no C compiler, or it fails.
    pub(super) fn new() -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::file("make", &std::env::temp_dir()))?;
        let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
        std::fs::write(&source, include_str!("clock.c")).map_err(Error::file("write", &source))?;
        run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source))?;
        let clock = |name: &str| {
            let path = folder.path().join(name);
            let file = OpenOptions::new().create_new(true).write(true).open(&path);
            let clock =
                Clock { library: library.clone(), file: file.map_err(Error::file("make", &path))?, path };
            clock.shift(0)?;
            Ok::<_, Error>(clock)
        };
        Ok(Self { operator: clock("operator")?, signer: clock("signer")?, _folder: folder })
    }
}

impl Clock {
    /// For the process that is to see it.
    pub(super) fn environment(&self) -> [(String, String); 2] {
        [
            ("LD_PRELOAD".into(), self.library.display().to_string()),
            ("KEYWRIGHT_PERTURB_CLOCK".into(), self.path.display().to_string()),
        ]
    }

    /// It jumps to this many seconds from the right time.
    fn shift(&self, seconds: i64) -> Result<(), Error> {
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).map_err(Error::file("write", &self.path))
    }
}

/// Which clock jumps; all of them come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jump {
    OperatorAhead,
    OperatorBehind,
    SignerAhead,
    SignerBehind,
    BothAhead,
    BothBehind,
}

impl Jump {
    pub(super) const ALL: [Self; 6] = [
        Self::OperatorAhead,
        Self::OperatorBehind,
        Self::SignerAhead,
        Self::SignerBehind,
        Self::BothAhead,
        Self::BothBehind,
    ];

    /// As in the name of its case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OperatorAhead => "clock/operator-ahead",
            Self::OperatorBehind => "clock/operator-behind",
            Self::SignerAhead => "clock/signer-ahead",
            Self::SignerBehind => "clock/signer-behind",
            Self::BothAhead => "clock/both-ahead",
            Self::BothBehind => "clock/both-behind",
        }
    }

    /// Seconds of the operator's clock, and of the signer's.
    fn shifts(self) -> (i64, i64) {
        match self {
            Self::OperatorAhead => (JUMP, 0),
            Self::OperatorBehind => (-JUMP, 0),
            Self::SignerAhead => (0, JUMP),
            Self::SignerBehind => (0, -JUMP),
            Self::BothAhead => (JUMP, JUMP),
            Self::BothBehind => (-JUMP, -JUMP),
        }
    }
}

/// One case: certificates exist, the clock jumps, people go on, the clock comes back.
pub(super) async fn play(rig: &Rig, clocks: &Clocks, namespace: &str, jump: Jump) -> Result<Faults, Error> {
    let (cluster, certificates) = (&rig.cluster, path(namespace, "certificates"));
    let create = async |name: &str| {
        cluster.create(&certificates, &certificate(namespace, name, "services", &json!({}))).await
    };
    cluster.namespace(namespace).await?;
    authorities(cluster, namespace).await?;
    until_ready(rig, &format!("{}/services", path(namespace, "issuers"))).await?;
    for name in ["kept", "edited"] {
        create(name).await?;
        until_ready(rig, &format!("{certificates}/{name}")).await?;
    }

    let kept = cluster.get(&format!("{certificates}/kept")).await?.unwrap_or_default();
    let (operator, signer) = jump.shifts();
    clocks.operator.shift(operator)?;
    clocks.signer.shift(signer)?;
    restarted(rig).await?;
    create("meanwhile").await?;
    let names = json!({ "spec": { "dnsNames": ["other.example.test"] } });
    cluster.merge(&format!("{certificates}/edited"), &names).await?;
    let mut faults = Faults::new();
    faults.extend(noticed(rig, namespace, jump, &kept).await?);
    tokio::time::sleep(2 * LOOK).await;
    clocks.operator.shift(0)?;
    clocks.signer.shift(0)?;
    restarted(rig).await?;

    let mut uids = BTreeMap::new();
    for name in ["kept", "edited", "meanwhile"] {
        let place = format!("{certificates}/{name}");
        until_ready(rig, &place).await?;
        uids.insert(name, cluster.get(&place).await?.unwrap_or_default()["metadata"]["uid"].clone());
    }
    settle(rig, namespace).await?;
    faults.extend(judge::judge(rig, namespace, None, None).await?);
    let account = Account::read(&rig.plane.site().signer_state())?;
    for (name, uid) in uids {
        let made = account.issued.iter().filter(|issued| uid == issued.uid.as_str()).count();
        if made > MOST_SIGNATURES {
            faults.push(format!("{name}: {made} signatures for a clock that jumped there and back"));
        }
    }
    Ok(faults)
}

/// Whether what was there before, and what was made meanwhile, show it.
type Seen<'a> = dyn Fn(&Value, &Value) -> bool + 'a;

/// Whether the jump shows as it should: clocks that differ are told of, and where both are past it a renewal is made.
async fn noticed(rig: &Rig, namespace: &str, jump: Jump, kept: &Value) -> Result<Option<String>, Error> {
    let place = |name: &str| format!("{}/{name}", path(namespace, "certificates"));
    let (what, seen): (_, Box<Seen>) = match jump {
        Jump::OperatorAhead | Jump::OperatorBehind | Jump::SignerAhead => (
            "nobody is told that the clocks differ",
            Box::new(|_, meanwhile| {
                condition(meanwhile, "Ready").is_some_and(|(_, _, message)| {
                    message.contains("compare the clocks") || message.contains("not valid")
                })
            }),
        ),
        Jump::BothAhead => (
            "nothing is renewed although it is due",
            Box::new(|now, _| is_ready(now) && now["status"]["revision"] != kept["status"]["revision"]),
        ),
        // It signs from the first second of its authority on, which is now, and counts the life from its own time.
        Jump::SignerBehind => (
            "a signer of yesterday signs for longer than it should",
            Box::new(|_, meanwhile| {
                is_ready(meanwhile)
                    && text(&meanwhile["status"]["notAfter"]) < text(&kept["status"]["notAfter"])
            }),
        ),
        // Everything is good for longer than before; an authority of tomorrow signs nothing yet.
        Jump::BothBehind => return Ok(None),
    };
    let noticed = wait_for("the jump shows", PATIENCE, async || {
        let now = rig.cluster.get(&place("kept")).await?.unwrap_or_default();
        let meanwhile = rig.cluster.get(&place("meanwhile")).await?.unwrap_or_default();
        Ok(seen(&now, &meanwhile).then_some(()))
    });
    match noticed.await {
        Ok(()) => Ok(None),
        Err(Error::TooLate { .. }) => {
            let meanwhile = rig.cluster.get(&place("meanwhile")).await?.unwrap_or_default();
            Ok(Some(format!("{what}; meanwhile says {}", meanwhile["status"]["conditions"])))
        }
        Err(error) => Err(error),
    }
}

/// A jump is no event: a new process looks at everything with the new time.
async fn restarted(rig: &Rig) -> Result<(), Error> {
    let starts = rig.worker.operator.starts();
    rig.worker.operator.kill()?;
    until_started(rig, starts).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(())
}
