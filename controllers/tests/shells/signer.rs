//! A signer without a wire: real keys, real signatures, a ledger, and moods.

use futures::future::BoxFuture;
use jiff::SignedDuration;
use keywright_ambient::Clock;
use keywright_approvals::EffectDigest;
use keywright_controllers::signer::{Signer, SignerError, Told};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity, assemble};
use keywright_pki::csr::Csr;
use keywright_pki::key::{PrivateKey, PublicKey};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_testkit::TestClock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How the signer answers a request for a certificate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mood {
    Fine,
    Refuse,
    Unavailable,
    WrongKey,
    Expired,
    OtherNames,
    Slow(Duration),
}

/// One certificate that left.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) uid: String,
    pub(crate) step: u64,
    pub(crate) spki: Vec<u8>,
    pub(crate) serial: String,
    pub(crate) superseded: bool,
    der: Vec<u8>,
}

struct Authority {
    key: PrivateKey,
    subject: DistinguishedName,
    certificate: Certificate,
    parent: String,
    step: u64,
    /// Longest life of a leaf that its key allows: the one constraint that is kept here.
    longest: Option<u64>,
}

#[derive(Default)]
struct State {
    authorities: BTreeMap<String, Authority>,
    ledger: Vec<Issued>,
    asked: Vec<wire::IssueRequest>,
    moods: VecDeque<Mood>,
    serials: u64,
    down: bool,
    /// Class that has to agree before a certificate is signed.
    demands: Option<String>,
    ahead: SignedDuration,
}

pub(crate) struct TestSigner {
    clock: Arc<TestClock>,
    state: Mutex<State>,
}

impl TestSigner {
    pub(crate) fn new(clock: Arc<TestClock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// The next requests for certificates meet these moods, then it is fine again.
    pub(crate) fn moods(&self, moods: impl IntoIterator<Item = Mood>) {
        self.lock().moods.extend(moods);
    }

    pub(crate) fn calm(&self) {
        self.lock().moods.clear();
    }

    /// Neither authorities nor certificates until it is back.
    pub(crate) fn down(&self, down: bool) {
        self.lock().down = down;
    }

    /// From now on a class has to agree to each certificate.
    pub(crate) fn demand(&self, class: &str) {
        self.lock().demands = Some(class.to_owned());
    }

    /// Longest life of a leaf that the key of this authority allows.
    pub(crate) fn longest(&self, uid: &str) -> Option<u64> {
        self.lock().authorities[uid].longest
    }

    /// Its clock goes ahead.
    pub(crate) fn ahead(&self, by: SignedDuration) {
        self.lock().ahead = by;
    }

    /// Every request for a certificate so far.
    pub(crate) fn asked(&self) -> Vec<wire::IssueRequest> {
        self.lock().asked.clone()
    }

    /// Every certificate that left.
    pub(crate) fn ledger(&self) -> Vec<Issued> {
        self.lock().ledger.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn ensure(&self, request: &wire::EnsureAuthorityRequest) -> Result<wire::Authority, SignerError> {
        let mut state = self.lock();
        if state.down {
            return Err(SignerError::Unavailable("connection refused".into()));
        }
        let key = request.request_key.clone().unwrap();
        let uid = key.object_uid;
        let created = !state.authorities.contains_key(&uid);
        if created && !request.expected_key_id.is_empty() {
            return Err(SignerError::KeyLost("it is not there.".into()));
        }
        if created {
            let pair = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
            let subject = name(request.subject.as_ref());
            let certificate = self.certify(&mut state, request, &subject, &pair, Some(&pair));
            let parent = request.parent_uid.clone();
            let made = Authority {
                key: pair,
                subject,
                certificate,
                parent,
                step: key.step,
                longest: longest(request),
            };
            state.authorities.insert(uid.clone(), made);
        } else if state.authorities[&uid].step < key.step {
            let mut known = state.authorities.remove(&uid).unwrap();
            known.certificate =
                self.certify(&mut state, request, &known.subject, &known.key, Some(&known.key));
            known.step = key.step;
            state.authorities.insert(uid.clone(), known);
        }
        if !request.keep_constraints {
            loosen(state.authorities.get_mut(&uid).unwrap(), request, &uid)?;
        }
        let known = &state.authorities[&uid];
        let mut parents = Vec::new();
        let mut above = &known.parent;
        while let Some(parent) = state.authorities.get(above) {
            parents.push(parent.certificate.der().to_vec());
            above = &parent.parent;
        }
        Ok(wire::Authority {
            uid: uid.clone(),
            certificate: known.certificate.der().to_vec(),
            parents,
            step: known.step,
            log_index: 1,
            created,
        })
    }

    fn certify(
        &self,
        state: &mut State,
        request: &wire::EnsureAuthorityRequest,
        subject: &DistinguishedName,
        key: &PrivateKey,
        itself: Option<&PrivateKey>,
    ) -> Certificate {
        state.serials += 1;
        let serial = state.serials;
        let parent = state.authorities.get(&request.parent_uid);
        let path_length = request.constraints.as_ref().and_then(|c| c.path_length);
        self.sign(Draft {
            serial,
            ahead: state.ahead,
            subject: subject.clone(),
            sans: SubjectAltNames::default(),
            public_key: key.public_key().clone(),
            seconds: request.duration_seconds,
            usages: Usages::authority(),
            ca: Some(CaProfile { path_length, ..CaProfile::default() }),
            by: parent.map(|p| (&p.certificate, &p.key)),
            itself,
        })
    }

    fn issue_now(&self, request: &wire::IssueRequest, mood: &Mood) -> Result<wire::Issued, SignerError> {
        let mut state = self.lock();
        state.asked.push(request.clone());
        match mood {
            Mood::Refuse => {
                return Err(SignerError::Refused("dnsNames: not this one; choose another".into()));
            }
            Mood::Unavailable => return Err(SignerError::Unavailable("connection refused".into())),
            Mood::Fine | Mood::WrongKey | Mood::Expired | Mood::OtherNames | Mood::Slow(_) => {}
        }
        if state.down {
            return Err(SignerError::Unavailable("connection refused".into()));
        }
        let key = request.request_key.clone().unwrap();
        let steps = state.ledger.iter().filter(|entry| entry.uid == key.object_uid).map(|entry| entry.step);
        if let Some(newest) = steps.max().filter(|newest| key.step < *newest) {
            let words = format!("requestKey.step: this object has used step {newest} already");
            return Err(SignerError::StaleStep { newest, words });
        }
        let csr = Csr::parse(&request.pkcs10).expect("a proof of possession");
        let spki = csr.public_key().spki_der().to_vec();
        let same = |entry: &&mut Issued| entry.uid == key.object_uid && entry.step == key.step;
        for entry in state.ledger.iter_mut().filter(same) {
            if entry.spki == spki && !entry.superseded {
                return Ok(answer(entry.der.clone(), true));
            }
            entry.superseded = true;
        }
        if let Some(class) = state.demands.clone().filter(|_| request.approvals.is_empty()) {
            return Err(SignerError::ApprovalRequired {
                classes: vec![class],
                effect: effect(request, csr.public_key()),
                authority: None,
                policies: String::new(),
                words: "approvals: people have to agree".into(),
            });
        }
        state.serials += 1;
        let serial = state.serials;
        let stranger = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let Some(authority) = state.authorities.get(&request.authority_uid) else {
            return Err(SignerError::KeyLost("it is not there.".into()));
        };
        let sans = request.sans.clone().unwrap_or_default();
        let dns = if *mood == Mood::OtherNames { vec!["other.example.com".into()] } else { sans.dns_names };
        let made = self.sign(Draft {
            serial,
            ahead: state.ahead,
            subject: name(request.subject.as_ref()),
            sans: SubjectAltNames::parse(&dns, &sans.ip_addresses, &sans.email_addresses, &sans.uris)
                .unwrap(),
            public_key: if *mood == Mood::WrongKey { stranger.public_key() } else { csr.public_key() }
                .clone(),
            seconds: if *mood == Mood::Expired { 0 } else { request.duration_seconds },
            usages: Usages::parse(&request.usages).unwrap(),
            ca: request.is_ca.then(CaProfile::default),
            by: Some((&authority.certificate, &authority.key)),
            itself: None,
        });
        state.ledger.push(Issued {
            uid: key.object_uid,
            step: key.step,
            spki,
            serial: made.serial().to_string(),
            superseded: false,
            der: made.der().to_vec(),
        });
        Ok(answer(made.der().to_vec(), false))
    }

    fn sign(&self, draft: Draft<'_>) -> Certificate {
        let now = self.clock.now() + draft.ahead;
        let wanted = now + SignedDuration::from_secs(i64::try_from(draft.seconds).unwrap());
        let end = draft.by.map_or(wanted, |(issuer, _)| wanted.min(issuer.validity().not_after()));
        let own_name = draft.subject.to_der().unwrap();
        let template = Template {
            serial: Serial::from_bytes(&(0x1000 + draft.serial).to_be_bytes()).unwrap(),
            subject: draft.subject,
            sans: draft.sans,
            public_key: draft.public_key,
            issuer_name: draft.by.map_or(own_name, |(issuer, _)| issuer.subject_der().to_vec()),
            authority_key_identifier: draft
                .by
                .and_then(|(issuer, _)| issuer.subject_key_identifier().map(<[u8]>::to_vec)),
            validity: Validity::new(now, end).unwrap(),
            usages: draft.usages,
            ca: draft.ca,
            crl_distribution_points: Vec::new(),
            ocsp_servers: Vec::new(),
            issuing_certificate_urls: Vec::new(),
        };
        let key = draft.by.map(|(_, key)| key).or(draft.itself).expect("a key to sign with");
        let tbs = template.tbs_der(key.algorithm()).expect("a template that encodes");
        let signature = key.sign(tbs.as_bytes()).unwrap();
        assemble(&tbs, &signature).unwrap()
    }
}

struct Draft<'a> {
    serial: u64,
    ahead: SignedDuration,
    subject: DistinguishedName,
    sans: SubjectAltNames,
    public_key: PublicKey,
    seconds: u64,
    usages: Usages,
    ca: Option<CaProfile>,
    by: Option<(&'a Certificate, &'a PrivateKey)>,
    itself: Option<&'a PrivateKey>,
}

impl Signer for TestSigner {
    fn ensure_authority(
        &self,
        request: wire::EnsureAuthorityRequest,
    ) -> BoxFuture<'_, Result<wire::Authority, SignerError>> {
        Box::pin(async move { self.ensure(&request) })
    }

    fn issue(&self, request: wire::IssueRequest) -> BoxFuture<'_, Result<wire::Issued, SignerError>> {
        let mood = self.lock().moods.pop_front().unwrap_or(Mood::Fine);
        Box::pin(async move {
            let answer = self.issue_now(&request, &mood);
            if let Mood::Slow(wait) = mood {
                tokio::time::sleep(wait).await;
            }
            answer
        })
    }
}

fn answer(certificate: Vec<u8>, repeated_answer: bool) -> wire::Issued {
    wire::Issued { certificate, parents: Vec::new(), log_index: 7, repeated_answer }
}

/// The effect of a request under an issuer that was never edited, from what is on the wire alone.
fn effect(request: &wire::IssueRequest, key: &PublicKey) -> String {
    let (id, object) = (request.request_key.clone().unwrap(), request.object.clone().unwrap());
    let mut sans = request.sans.clone().unwrap_or_default();
    sans.dns_names.sort();
    let mut names = serde_json::Map::new();
    if !sans.dns_names.is_empty() {
        names.insert("dnsNames".into(), serde_json::json!(sans.dns_names));
    }
    let mut usages = request.usages.clone();
    usages.sort();
    let effect = serde_json::json!({
        "action": "IssueCertificate", "step": id.step, "subject": {}, "sans": names,
        "certificate": {"uid": id.object_uid, "namespace": object.namespace, "name": object.name},
        "publicKeySha256": hex::encode(key.spki_sha256()), "durationSeconds": request.duration_seconds,
        "usages": usages, "isCA": request.is_ca, "policyDigest": "",
        "issuer": {"uid": request.authority_uid, "generation": 1},
    });
    EffectDigest::of(&effect).unwrap().to_string()
}

fn name(subject: Option<&wire::DistinguishedName>) -> DistinguishedName {
    let s = subject.cloned().unwrap_or_default();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    DistinguishedName {
        common_name: some(s.common_name),
        organizations: s.organizations,
        organizational_units: s.organizational_units,
        countries: s.countries,
        localities: s.localities,
        provinces: s.provinces,
        street_addresses: s.street_addresses,
        postal_codes: s.postal_codes,
        serial_number: some(s.serial_number),
    }
}

fn longest(request: &wire::EnsureAuthorityRequest) -> Option<u64> {
    request.constraints.as_ref().and_then(|constraints| constraints.max_leaf_seconds)
}

/// What the signer does about one constraint: tighter at once, looser only with an approval.
fn loosen(
    known: &mut Authority,
    request: &wire::EnsureAuthorityRequest,
    uid: &str,
) -> Result<(), SignerError> {
    let asked = longest(request);
    let looser = known.longest.is_some_and(|held| asked.is_none_or(|asked| asked > held));
    if looser && request.approvals.is_empty() {
        let demands = request.constraints.as_ref().and_then(|constraints| constraints.approvals.clone());
        let class = demands.unwrap_or_default().loosening;
        if class.is_empty() {
            return Err(SignerError::Loosening("maxLeafDuration: only tighter".into()));
        }
        let effect = serde_json::json!({
            "action": "LoosenAuthority", "authorityKeyId": "00",
            "constraints": {"maxLeafSeconds": asked},
            "issuer": {"generation": request.generation, "uid": uid},
        });
        return Err(SignerError::ApprovalRequired {
            classes: vec![class],
            effect: EffectDigest::of(&effect).unwrap().to_string(),
            authority: Some(Box::new(Told {
                effect: effect.to_string(),
                constraints: serde_json::json!({"maxLeafSeconds": known.longest}).to_string(),
            })),
            policies: String::new(),
            words: "approvals: people have to agree".into(),
        });
    }
    known.longest = asked;
    Ok(())
}
