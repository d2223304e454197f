//! `kubectl keywright verify`: that a certificate stands in the signer's log, without asking the signer or the cluster.
//!
//! ```text
//! source   a folder, a URL                 read      checkpoint, entry and path of an index; search
//! check    what it all comes to (pure)     report    what is shown
//! ```
//! What is trusted is the log's verifier key and nothing else: not the folder, not the server, not the Secret.

mod check;
mod read;
mod report;
mod source;

use crate::Machine;
use crate::cli::{Global, Verify};
use crate::connect::connect;
use crate::exit::{Failure, NOT_AS_WANTED};
use crate::inspect::read_file;
use crate::log::note::{Checkpoint, KeyTextError, NoteError, VerifierKey, WitnessKey};
use crate::log::proof::Proof;
use crate::material::Material;
use check::{Evidence, Subject, check, check_intent, check_signature, check_superseded, check_witnesses};
use k8s_openapi::api::core::v1::Secret;
use keywright_controllers_core::certificate::mark;
use keywright_pki::certificate::Certificate;
use kube::ResourceExt;
use kube::api::Api;
use read::Log;
use report::{Report, Step};
use source::Source;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use zeroize::Zeroizing;

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &Verify, machine: &Machine) -> Result<ExitCode, Failure> {
    let trust = Trust::of(arguments)?;
    let report = match (&arguments.proof, &arguments.log) {
        (Some(path), _) => {
            let given = given(global, arguments).await?;
            of_proof(&read_file(path)?, given, arguments.issuer.as_deref(), &trust)?
        }
        (None, Some(log)) => {
            let source = Source::open(log, arguments.log_ca.as_deref(), global.request_timeout)?;
            of_log(&source, global, arguments, &trust, machine).await?
        }
        (None, None) => return Err(Failure::Usage("either --log or --proof is needed".to_owned())),
    };
    machine.terminal.show(global.output, &report, |page, _| report.write(page))?;
    Ok(if report.verified { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_WANTED) })
}

/// Whose word counts.
struct Trust {
    log: VerifierKey,
    witnesses: Vec<WitnessKey>,
    quorum: Option<usize>,
}

impl Trust {
    fn of(arguments: &Verify) -> Result<Self, Failure> {
        let text = match (&arguments.log_key, &arguments.log_key_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| Failure::Unreachable(format!("cannot read {}: {error}", path.display())))?,
            (None, None) => return Err(Failure::Usage("--log-key or --log-key-file is needed".to_owned())),
        };
        let wrong = |flag: &str, error: KeyTextError| Failure::Usage(format!("{flag}: {error}"));
        let witnesses = arguments.witness_key.iter().map(|text| WitnessKey::parse(text));
        let witnesses: Result<Vec<WitnessKey>, _> = witnesses.collect();
        Ok(Self {
            log: VerifierKey::parse(&text).map_err(|error| wrong("--log-key", error))?,
            witnesses: witnesses.map_err(|error| wrong("--witness-key", error))?,
            quorum: arguments.witness_quorum,
        })
    }

    /// What may be wrong with an entry that is not among those that witnesses saw.
    fn until_cosigned(&self) -> &'static str {
        if self.witnesses.is_empty() {
            return "";
        }
        "; a newer one counts once witnesses have cosigned: see `keywright-signer log cosign`"
    }

    fn witnessed(&self, note: &[u8]) -> Vec<Step> {
        check_witnesses(note, &self.witnesses, self.quorum)
    }
}

/// The certificate that was named, what stands beside it, and the index that goes with it.
struct Given {
    certificate: Certificate,
    beside: Vec<Certificate>,
    index: Option<u64>,
}

async fn given(global: &Global, arguments: &Verify) -> Result<Option<Given>, Failure> {
    if let Some(path) = &arguments.file {
        let place = path.display().to_string();
        let (certificate, beside) = first(&place, Material::read(&place, &read_file(path)?))?;
        return Ok(Some(Given { certificate, beside, index: None }));
    }
    let Some(name) = &arguments.secret else { return Ok(None) };
    let cluster = connect(global).await?;
    let secret: Secret = Api::namespaced(cluster.client, &cluster.namespace)
        .get(name)
        .await
        .map_err(|error| Failure::of_api(&format!("read Secret {name:?}"), &error))?;
    let index = secret.annotations().get(mark::LOG_INDEX).and_then(|text| text.parse().ok());
    // The private key among them is of no use here; it is wiped with the rest.
    let data: BTreeMap<String, Zeroizing<Vec<u8>>> = secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(name, bytes)| (name, Zeroizing::new(bytes.0)))
        .collect();
    let entry = |entry: &str| {
        let bytes = data.get(entry).map(|bytes| bytes.as_slice()).unwrap_or_default();
        Material::read(&format!("{entry} of Secret {name}"), bytes)
    };
    let (certificate, mut beside) = first(&format!("tls.crt of Secret {name}"), entry("tls.crt"))?;
    beside.extend(entry("ca.crt").certificates);
    Ok(Some(Given { certificate, beside, index }))
}

/// The first certificate and the others; nothing may be unreadable, as the first could be what is.
fn first(place: &str, material: Material) -> Result<(Certificate, Vec<Certificate>), Failure> {
    if let Some(problem) = material.problems.into_iter().next() {
        return Err(Failure::NotAsWanted(problem));
    }
    let mut all = material.certificates.into_iter();
    let first = all.next().ok_or_else(|| Failure::NotAsWanted(format!("{place} holds no certificate")))?;
    Ok((first, all.collect()))
}

/// The signature's step: by what stands beside the certificate, and by the file of `--issuer`.
fn signature(
    certificate: &Certificate,
    mut beside: Vec<Certificate>,
    issuer: Option<&Path>,
) -> Result<Option<Step>, Failure> {
    if let Some(path) = issuer {
        let place = path.display().to_string();
        let (one, more) = first(&place, Material::read(&place, &read_file(path)?))?;
        beside = [one].into_iter().chain(more).collect();
        if beside.iter().all(|one| one.subject_der() != certificate.issuer_der()) {
            let words = format!("{place} does not hold the issuer that the certificate names");
            return Ok(Some(Step::of(false, "signature", &words)));
        }
    }
    Ok(check_signature(certificate, &beside))
}

fn of_proof(
    bytes: &[u8],
    given: Option<Given>,
    issuer: Option<&Path>,
    trust: &Trust,
) -> Result<Report, Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::NotAsWanted(error.to_string());
    let proof = Proof::parse(bytes).map_err(|error| refused(&error))?;
    let certificate = Certificate::from_der(&proof.certificate).map_err(|error| refused(&error))?;
    let mut steps = Vec::new();
    let mut beside = Vec::new();
    if let Some(given) = given {
        beside = given.beside;
        let same = given.certificate == certificate;
        steps.push(Step::of(
            same,
            "same",
            if same {
                "the proof is about the certificate that was given"
            } else {
                "the proof is about another certificate than the one given"
            },
        ));
    }
    let subject = Subject::of(&certificate);
    let evidence = Evidence {
        index: proof.index,
        entry: &proof.entry,
        path: &proof.path,
        checkpoint: &proof.checkpoint,
    };
    let (checked, facts) = check(&subject, &evidence, &trust.log);
    steps.extend(checked);
    steps.extend(trust.witnessed(&proof.checkpoint));
    steps.extend(signature(&certificate, beside, issuer)?);
    Ok(Report::new(&subject, Some(proof.index), facts, steps))
}

/// How often a checkpoint is read that does not cover a new certificate yet, and how long between: the signer publishes
/// what it has made durable ten times a second, a little after its answer.
const LOOKS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(100);

/// The newest checkpoint, as it was read and opened; where witnesses have to have cosigned it, the newest that some did.
/// `hint`: an index that it should cover, as the Secret says.
async fn newest(
    source: &Source,
    trust: &Trust,
    hint: Option<u64>,
) -> Result<(Vec<u8>, Result<Checkpoint, NoteError>), Failure> {
    let mut looks = 1;
    loop {
        let cosigned = if trust.witnesses.is_empty() { None } else { source.cosigned().await? };
        let note = match cosigned {
            Some(note) => note,
            None => source.checkpoint().await?,
        };
        let opened = trust.log.open(&note);
        let behind = opened.as_ref().is_ok_and(|checkpoint| hint.is_some_and(|hint| hint >= checkpoint.size));
        if !behind || looks == LOOKS {
            return Ok((note, opened));
        }
        looks += 1;
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn of_log(
    source: &Source,
    global: &Global,
    arguments: &Verify,
    trust: &Trust,
    machine: &Machine,
) -> Result<Report, Failure> {
    let Some(given) = given(global, arguments).await? else {
        return Err(Failure::Usage("name a file with the certificate, or --secret".to_owned()));
    };
    let subject = Subject::of(&given.certificate);
    let (note, opened) = newest(source, trust, given.index.filter(|_| arguments.log_index.is_none())).await?;
    let checkpoint = match opened {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let steps = vec![Step::of(false, "checkpoint", &error.to_string())];
            return Ok(Report::new(&subject, None, check::Facts::default(), steps));
        }
    };
    let mut log = Log::new(source, checkpoint.size);
    let mut steps = Vec::new();
    let index = match (arguments.log_index, given.index) {
        (Some(index), _) => Some(index),
        (None, Some(index)) if log.is_entry_of(index, &subject).await? => Some(index),
        (None, hint) => {
            machine.terminal.tell(&format!("searching {} entries", checkpoint.size));
            let found = log.search(&subject).await?;
            if let (Some(hint), Some(found)) = (hint, found) {
                let words = format!("the Secret says index {hint}, which is wrong; the entry is at {found}");
                steps.push(Step::skipped("index", &words));
            }
            found
        }
    };
    let Some(index) = index else {
        let words =
            format!("no entry among {} is about this certificate{}", checkpoint.size, trust.until_cosigned());
        steps.push(Step::of(false, "entry", &words));
        return Ok(Report::new(&subject, None, check::Facts::of(&checkpoint), steps));
    };
    if index >= checkpoint.size {
        let words = format!(
            "the log has {} entries, and index {index} lies behind them{}",
            checkpoint.size,
            trust.until_cosigned()
        );
        steps.push(Step::of(false, "entry", &words));
        return Ok(Report::new(&subject, Some(index), check::Facts::of(&checkpoint), steps));
    }
    let (entry, path) = (log.entry(index).await?, log.path(index).await?);
    let evidence = Evidence { index, entry: &entry, path: &path, checkpoint: &note };
    let (checked, facts) = check(&subject, &evidence, &trust.log);
    steps.extend(checked);
    if let Some(intent) = facts.intent.filter(|intent| *intent < checkpoint.size) {
        let (entry, path) = (log.entry(intent).await?, log.path(intent).await?);
        let evidence = Evidence { index: intent, entry: &entry, path: &path, checkpoint: &note };
        steps.push(check_intent(&subject, index, &evidence, &checkpoint));
        steps.push(check_superseded(&subject, log.later(index).await?, &checkpoint));
    }
    steps.extend(trust.witnessed(&note));
    steps.extend(signature(&given.certificate, given.beside, arguments.issuer.as_deref())?);
    let report = Report::new(&subject, Some(index), facts, steps);
    if let Some(file) = arguments.write_proof.as_ref().filter(|_| report.verified) {
        let proof =
            Proof { certificate: given.certificate.der().to_vec(), entry, index, path, checkpoint: note };
        let text = proof.write().map_err(|error| Failure::NotAsWanted(error.to_string()))?;
        std::fs::write(file, text)
            .map_err(|error| Failure::Unreachable(format!("cannot write {}: {error}", file.display())))?;
    }
    Ok(report)
}
