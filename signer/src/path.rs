//! The signing path: `Linted -> Recorded -> Signed -> Released`, each type moved into the next and made nowhere else.
//!
//! ```text
//! Linted::lint(template)            RFC 5280 and profile, on the whole certificate under a throwaway key
//! Turn::add(linted) .. Turn::commit the intent is durable ............ gives Recorded
//! Recorded::sign                    the key is used, the own signature verified, the bytes compared
//! Turn::add_signed .. Turn::commit  certificate and signature entry are durable ... gives Released
//! ```
//! Signing what was not linted or not first written down does not compile; nor does handing out a certificate that is
//! not in the log. Each token is moved, so it is used once.

use crate::approval::Approved;
use crate::approval::ended::Ended;
use crate::authority::{Authority, Current};
use crate::authority_key::AuthorityKey;
use crate::draft;
use crate::ids::{RequestId, Uid};
use crate::ledger::{AuthorityRow, Batch, Ledger, LedgerError, MarkRow, PlainRow, RequestRow, RequestState};
use crate::log::entry::{Entry, Kind, Value, commit, hexadecimal};
use crate::refusal::{Reason, Refusal};
use keywright_pki::certificate::{Certificate, TbsDer, Template, TemplateError, seal};
use keywright_pki::lint;
use std::sync::Arc;

/// What a certificate is made for, besides its own content.
pub struct Purpose {
    /// Names the waiting answer.
    pub ticket: u64,
    /// The request.
    pub id: RequestId,
    /// UID of the authority whose key signs.
    pub authority: Uid,
    /// That key.
    pub issuer: Arc<AuthorityKey>,
    /// The authority that the certificate is for, when its key is here.
    pub subject_authority: Option<Arc<Authority>>,
    /// Digest of what was asked for.
    pub effect: [u8; 32],
    /// Name of the profile that it comes under; none: the authority has none, or it is an authority's with its key here.
    pub profile: Option<String>,
    /// Who asked.
    pub caller: String,
    /// Under which fencing token.
    pub fencing: u64,
    /// Salt of the commitment to `plain`.
    pub salt: [u8; 16],
    /// Personal fields.
    pub plain: Vec<String>,
    /// Marks of the names that are certified once this is signed.
    pub names: Vec<[u8; 32]>,
}

/// A certificate to be, checked.
pub struct Linted {
    purpose: Purpose,
    tbs: TbsDer,
    row: RequestRow,
    intent: Entry,
    approved: Approved,
    salts: Vec<[u8; 16]>,
}

/// A certificate to be, whose intent is durable.
pub struct Recorded {
    purpose: Purpose,
    tbs: TbsDer,
    row: RequestRow,
}

/// A certificate that exists and verifies, and that nobody has seen.
pub struct Signed {
    purpose: Purpose,
    /// DER.
    certificate: Vec<u8>,
    /// The authority that it is for, when its key is here, and what it says.
    subject: Option<(Arc<Authority>, Certificate)>,
    row: RequestRow,
}

/// An intent that came to nothing.
pub struct Failed {
    purpose: Purpose,
    row: RequestRow,
    refusal: Refusal,
}

/// A certificate that may leave: it is in the log.
pub struct Released {
    /// Names the waiting answer.
    pub ticket: u64,
    /// The request.
    pub id: RequestId,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Index of the signature's entry.
    pub log_index: u64,
    /// The authority that the certificate is for, now certified, when its key is here.
    pub authority: Option<Arc<Authority>>,
}

fn template_refusal(error: &TemplateError) -> Refusal {
    match error {
        TemplateError::Name(name) => Refusal::new(
            Reason::Malformed,
            name.field.clone(),
            format!("{:?} {}", name.value, name.rule),
            name.fix,
        ),
        TemplateError::Inconsistent { field, rule } => {
            Refusal::new(Reason::Lint, *field, *rule, "change the request so that its fields agree")
        }
        TemplateError::Encoding => {
            Refusal::new(Reason::Lint, "", error.to_string(), "ask for fewer or shorter names")
        }
    }
}

impl Linted {
    /// Builds the bytes to sign and lints them. `approved`: the leave to sign them; `salts`: one for each use of an
    /// approval. `now`: seconds since the Unix epoch.
    ///
    /// Errors: `Malformed` or `Lint`, naming field and rule.
    pub fn lint(
        template: &Template,
        mut purpose: Purpose,
        mut approved: Approved,
        salts: Vec<[u8; 16]>,
        now: u64,
    ) -> Result<Self, Refusal> {
        purpose.names = approved.take_names();
        let tbs = template.tbs_der(purpose.issuer.algorithm()).map_err(|error| template_refusal(&error))?;
        let draft = draft::of(&tbs)?;
        if let Some(finding) = lint::lint_certificate_of(&draft, &template.public_key).into_iter().next() {
            return Err(Refusal::new(
                Reason::Lint,
                finding.field,
                format!("{} ({}, {})", finding.message, finding.rule, finding.source),
                "change the request so that the certificate is well-formed",
            ));
        }
        let spki = template.public_key.spki_sha256();
        let (from, to) =
            (template.validity.not_before().as_second(), template.validity.not_after().as_second());
        let row = RequestRow {
            state: RequestState::Intent.into(),
            spki: spki.to_vec(),
            effect: purpose.effect.to_vec(),
            serial: template.serial.as_bytes().to_vec(),
            authority_spki: purpose.issuer.public_key().spki_sha256().to_vec(),
            authority: purpose.authority.0.to_vec(),
            not_after: to,
            ..RequestRow::default()
        };
        let usages = template.usages.names().into_iter().map(str::to_owned).collect();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, tbs.as_bytes());
        let mut intent = Entry::new(Kind::Intent, now)
            .with("authority", purpose.authority.to_string())
            .with("uid", purpose.id.uid.to_string())
            .with("step", purpose.id.step)
            .with("caller", purpose.caller.as_str())
            .with("fencing", purpose.fencing)
            .with("serial", hexadecimal(&row.serial))
            .with("spki", hexadecimal(spki))
            .with("notBefore", u64::try_from(from).unwrap_or(0))
            .with("notAfter", u64::try_from(to).unwrap_or(0))
            .with("usages", Value::List(usages))
            .with("isCa", template.ca.is_some())
            .with("tbs", hexadecimal(digest))
            .with("names", commit(&purpose.salt, &purpose.plain));
        if let Some(profile) = &purpose.profile {
            intent = intent.with("profile", profile.as_str());
        }
        Ok(Self { purpose, tbs, row, intent, approved, salts })
    }
}

impl Recorded {
    /// Uses the key, verifies the signature over the linted bytes, and compares what was made of them with them.
    ///
    /// Errors: `Failed`, to be recorded; nothing is released.
    pub fn sign(self) -> Result<Signed, Box<Failed>> {
        let Self { mut purpose, tbs, row } = self;
        match make(&mut purpose, &tbs) {
            Ok((certificate, subject)) => Ok(Signed { purpose, certificate, subject, row }),
            Err(refusal) => Err(Box::new(Failed { purpose, row, refusal })),
        }
    }

    /// Gives up before signing, because the process is ending or the store was reopened.
    pub fn ticket(&self) -> (u64, RequestId) {
        (self.purpose.ticket, self.purpose.id)
    }
}

/// A certificate, DER, and the authority that it is for when its key is here, with what the certificate says.
type Made = (Vec<u8>, Option<(Arc<Authority>, Certificate)>);

fn make(purpose: &mut Purpose, tbs: &TbsDer) -> Result<Made, Refusal> {
    let signature = purpose.issuer.sign(tbs.as_bytes()).map_err(|error| error.refusal())?;
    let verified = purpose.issuer.verify(tbs.as_bytes(), &signature);
    verified.map_err(|_| Refusal::internal("the own signature does not verify"))?;
    let not_ours = |_| Refusal::internal("the signed certificate is not the linted one");
    let certificate = seal(tbs, &signature).map_err(not_ours)?;
    let subject = match purpose.subject_authority.take() {
        None => None,
        Some(authority) => {
            let read = Certificate::from_der(&certificate);
            Some((authority, read.map_err(|_| Refusal::internal("the signed certificate does not parse"))?))
        }
    };
    Ok((certificate, subject))
}

impl Signed {
    /// Whose answer waits for it.
    pub fn ticket(&self) -> (u64, RequestId) {
        (self.purpose.ticket, self.purpose.id)
    }
}

impl Failed {
    /// Whose answer waits for it, and why there is none.
    pub fn ticket(&self) -> (u64, RequestId, &Refusal) {
        (self.purpose.ticket, self.purpose.id, &self.refusal)
    }
}

/// Everything that one commit makes true.
pub struct Turn {
    batch: Batch,
    base: u64,
    now: u64,
    pending: Vec<Linted>,
    signed: Vec<(Signed, u64)>,
}

/// What a commit brought about.
pub struct Committed {
    /// The entries, for the log's files.
    pub entries: Vec<Vec<u8>>,
    /// To be signed.
    pub recorded: Vec<Recorded>,
    /// To be handed out.
    pub released: Vec<Released>,
}

impl Turn {
    /// A turn that goes on after the ledger's last commit.
    pub fn new(ledger: &Ledger, now: u64) -> Self {
        Self {
            batch: Batch::default(),
            base: ledger.next_index(),
            now,
            pending: Vec::new(),
            signed: Vec::new(),
        }
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Index that the next entry will have.
    pub fn next_index(&self) -> u64 {
        self.base + self.batch.entries.len() as u64
    }

    /// Appends an entry and returns its index. Errors: it is too long for the log.
    pub fn enter(&mut self, entry: &Entry) -> Result<u64, Refusal> {
        let index = self.next_index();
        let bytes = entry.encode().ok_or_else(|| {
            Refusal::new(
                Reason::Malformed,
                "",
                "the request makes a log entry of over 65,535 bytes",
                "ask for less",
            )
        })?;
        self.batch.entries.push(bytes);
        Ok(index)
    }

    /// A new entry of this kind.
    pub fn entry(&self, kind: Kind) -> Entry {
        Entry::new(kind, self.now)
    }

    /// Raises (or by hand forgets) the highest fencing token.
    pub fn fence(&mut self, token: u64) {
        self.batch.fencing = Some(token);
    }

    /// Stores an authority whose state was changed by hand.
    pub fn store_row(&mut self, uid: Uid, row: AuthorityRow) {
        self.batch.authorities.push((uid, row));
    }

    /// Stores a new or tightened authority.
    pub fn store(&mut self, authority: &Authority) {
        self.batch.authorities.push((authority.uid, authority.row().clone()));
    }

    /// Records that an approval is used up, in the same commit as what it allows. Errors: an entry is too long.
    pub fn use_up(&mut self, approved: &Approved, salts: &[[u8; 16]]) -> Result<(), Refusal> {
        let mut index = self.next_index();
        for ((entry, fields), salt) in approved.entries(self.now, salts).into_iter().zip(salts) {
            index = self.enter(&entry)?;
            self.batch.plain.push((index, PlainRow { salt: salt.to_vec(), fields }));
        }
        self.batch.marks.extend(approved.rows(index));
        Ok(())
    }

    /// Records that a request for approval ended, with all that is behind its entry; gives the entry's index. Errors: the
    /// entry is too long.
    pub fn tell_end(&mut self, of: [u8; 32], ended: &Ended, salt: &[u8; 16]) -> Result<u64, Refusal> {
        let (entry, fields) = ended.entry(salt);
        let index = self.enter(&entry)?;
        self.batch.plain.push((index, PlainRow { salt: salt.to_vec(), fields }));
        self.batch.marks.push((of, ended.row(index)));
        Ok(index)
    }

    /// A mark of this turn, not yet committed.
    pub fn mark(&self, key: &[u8; 32]) -> Option<MarkRow> {
        self.batch.marks.iter().find(|(known, _)| known == key).map(|(_, row)| row.clone())
    }

    /// Records the intent. Errors: its entry is too long.
    pub fn add(&mut self, mut linted: Linted) -> Result<(), Refusal> {
        self.use_up(&linted.approved, &linted.salts)?;
        linted.row.intent = self.enter(&linted.intent)?;
        let fields = std::mem::take(&mut linted.purpose.plain);
        let plain = PlainRow { salt: linted.purpose.salt.to_vec(), fields };
        self.batch.plain.push((linted.row.intent, plain));
        self.batch.requests.push((linted.purpose.id, linted.row.clone()));
        self.pending.push(linted);
        Ok(())
    }

    /// Records the signature. Errors: its entry is too long, which it never is.
    pub fn add_signed(&mut self, mut signed: Signed) -> Result<(), Refusal> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &signed.certificate);
        let entry = self
            .entry(Kind::Signature)
            .with("intent", signed.row.intent)
            .with("serial", hexadecimal(&signed.row.serial))
            .with("certificate", hexadecimal(digest));
        let index = self.enter(&entry)?;
        signed.row.state = RequestState::Signed.into();
        signed.row.certificate.clone_from(&signed.certificate);
        signed.row.log_index = index;
        self.batch.requests.push((signed.purpose.id, std::mem::take(&mut signed.row)));
        for name in std::mem::take(&mut signed.purpose.names) {
            let row = MarkRow { request: signed.purpose.id.key().to_vec(), index, ..MarkRow::default() };
            self.batch.marks.push((name, row));
        }
        if let Some((authority, certificate)) = signed.subject.take() {
            let current = Current { certificate, step: signed.purpose.id.step, log_index: index };
            let certified = Arc::new(authority.certified(current));
            self.store(&certified);
            signed.purpose.subject_authority = Some(certified);
        }
        self.signed.push((signed, index));
        Ok(())
    }

    /// Records that an intent came to nothing. Errors: its entry is too long, which it never is.
    pub fn add_failed(&mut self, failed: Failed) -> Result<(), Refusal> {
        self.abandon(failed.purpose.id, failed.row, &failed.refusal.rule)
    }

    /// Records that the intent of this row came to nothing.
    pub fn abandon(&mut self, id: RequestId, mut row: RequestRow, why: &str) -> Result<(), Refusal> {
        let entry = self
            .entry(Kind::Abandoned)
            .with("intent", row.intent)
            .with("serial", hexadecimal(&row.serial))
            .with("why", why);
        self.enter(&entry)?;
        row.state = RequestState::Abandoned.into();
        self.batch.requests.push((id, row));
        Ok(())
    }

    /// Makes all of it durable. `published`: how many entries the log's checkpoint covers.
    ///
    /// Errors: nothing is known to be true, nothing may be signed or handed out.
    pub fn commit(self, ledger: &mut Ledger, published: u64) -> Result<Committed, LedgerError> {
        let Self { batch, pending, signed, .. } = self;
        let entries = ledger.commit(batch, published)?;
        let recorded = pending
            .into_iter()
            .map(|Linted { purpose, tbs, row, .. }| Recorded { purpose, tbs, row })
            .collect();
        let released = signed
            .into_iter()
            .map(|(Signed { purpose, certificate, .. }, log_index)| Released {
                ticket: purpose.ticket,
                id: purpose.id,
                certificate,
                log_index,
                authority: purpose.subject_authority,
            })
            .collect();
        Ok(Committed { entries, recorded, released })
    }
}
