//! A signer without a wire: real keys, real signatures, a ledger, and moods.

use crate::agreement::Agreement;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use keywright_ambient::Clock;
use keywright_controllers::signer::{EndReport, Signer, SignerError};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::{CaProfile, Certificate, Serial, Template, Validity, assemble};
use keywright_pki::csr::Csr;
use keywright_pki::key::{PrivateKey, PublicKey};
use keywright_pki::name::{DistinguishedName, SubjectAltNames};
use keywright_pki::usage::Usages;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_telemetry::SpanContext;
use keywright_testkit::{FakeCluster, TestClock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How the signer answers a request for a certificate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mood {
    Fine,
    Refuse,
    PolicyDenied,
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
    generation: u64,
    held: wire::Constraints,
}

struct State {
    agreement: Agreement,
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
    pub(crate) fn new(clock: Arc<TestClock>, cluster: FakeCluster) -> Self {
        let state = State {
            agreement: Agreement::new(cluster),
            authorities: BTreeMap::new(),
            ledger: Vec::new(),
            asked: Vec::new(),
            moods: VecDeque::new(),
            serials: 0,
            down: false,
            demands: None,
            ahead: SignedDuration::ZERO,
        };
        Self { clock, state: Mutex::new(state) }
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

    /// Names of the profiles of this authority's key.
    pub(crate) fn profiles(&self, uid: &str) -> Vec<String> {
        let state = self.lock();
        state.authorities[uid].held.profiles.iter().map(|profile| profile.name.clone()).collect()
    }

    /// Longest life of a leaf that the key of this authority allows.
    pub(crate) fn longest(&self, uid: &str) -> Option<u64> {
        self.lock().authorities[uid].held.max_leaf_seconds
    }

    /// Whether it holds this authority.
    pub(crate) fn holds(&self, uid: &str) -> bool {
        self.lock().authorities.contains_key(uid)
    }

    /// Other policies are in force.
    pub(crate) fn policies(&self, digest: &str) {
        digest.clone_into(&mut self.lock().agreement.policies);
    }

    /// It has no access to the API server.
    pub(crate) fn reads_no_records(&self) {
        self.lock().agreement.ended = None;
    }

    /// Names of the votes that stood in its log when it told the end of this request.
    pub(crate) fn ended(&self, uid: &str) -> Option<Vec<String>> {
        self.lock().agreement.ended.as_ref()?.get(uid).cloned()
    }

    /// Its clock goes ahead.
    pub(crate) fn ahead(&self, by: SignedDuration) {
        self.lock().ahead = by;
    }

    /// Every request for a certificate so far.
    pub(crate) fn asked(&self) -> Vec<wire::IssueRequest> {
        self.lock().asked.clone()
    }

    /// Another leader was answered to this object's newest request with another key, and published nothing.
    pub(crate) fn answered_another(&self, uid: &str) {
        let mut state = self.lock();
        state.serials += 1;
        let serial = format!("{:x}", 0x1000 + state.serials);
        let of_object = state.ledger.iter_mut().filter(|entry| entry.uid == uid && !entry.superseded);
        let last = of_object.last().expect("a certificate that counts");
        last.superseded = true;
        let other = Issued { serial, superseded: false, spki: Vec::new(), ..last.clone() };
        state.ledger.push(other);
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
        let held = match state.authorities.get(&uid) {
            Some(known) if request.keep_constraints => known.held.clone(),
            Some(known) => {
                let (held, class) = (known.held.clone(), demands(&known.held).loosening);
                if is_looser(request, &held) {
                    if class.is_empty() {
                        return Err(SignerError::Loosening("maxLeafDuration: only tighter".into()));
                    }
                    state.agreement.use_for_loosening(&class, request, &held)?;
                }
                request.constraints.clone().unwrap_or_default()
            }
            None => request.constraints.clone().unwrap_or_default(),
        };
        if created || state.authorities[&uid].step < key.step {
            let parent = state.authorities.get(&request.parent_uid);
            let class = parent.map(|parent| demands(&parent.held).ca_certificates).unwrap_or_default();
            let generation = parent.map(|parent| parent.generation);
            if !class.is_empty() {
                state.agreement.use_for_authority(&class, request, generation)?;
            }
            let (pair, subject, parent) = if let Some(known) = state.authorities.remove(&uid) {
                (known.key, known.subject, known.parent)
            } else {
                let pair = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
                (pair, name(request.subject.as_ref()), request.parent_uid.clone())
            };
            let certificate = self.certify(&mut state, request, &subject, &pair, Some(&pair));
            let (step, generation) = (key.step, request.generation);
            let made = Authority {
                key: pair,
                subject,
                certificate,
                parent,
                step,
                generation,
                held: wire::Constraints::default(),
            };
            state.authorities.insert(uid.clone(), made);
        }
        let known = state.authorities.get_mut(&uid).unwrap();
        (known.held, known.generation) = (held, request.generation);
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
            Mood::PolicyDenied => {
                return Err(SignerError::PolicyDenied("policy names, rule deny: not ours".into()));
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
        let authority = state.authorities.get(&request.authority_uid);
        let generation = authority.map(|authority| authority.generation).unwrap_or_default();
        let of_authorities = authority.map(|authority| demands(&authority.held).ca_certificates);
        let of_authorities = of_authorities.filter(|class| request.is_ca && !class.is_empty());
        let held = authority.map(|authority| authority.held.profiles.clone()).unwrap_or_default();
        let profile = chosen(&held, &request.profile)?;
        let of_profile = profile.and_then(|one| one.approvals.clone()).map(|demands| demands.any_issuance);
        let of_profile = of_profile.filter(|class| !class.is_empty());
        if let Some(class) = state.demands.clone().or(of_authorities).or(of_profile) {
            let profile = profile.map(|profile| profile.name.as_str());
            state.agreement.use_for_leaf(&class, request, (csr.public_key(), generation, profile))?;
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

    fn issue(
        &self,
        request: wire::IssueRequest,
        _: Option<SpanContext>,
    ) -> BoxFuture<'_, Result<wire::Issued, SignerError>> {
        let mood = self.lock().moods.pop_front().unwrap_or(Mood::Fine);
        Box::pin(async move {
            let answer = self.issue_now(&request, &mood);
            if let Mood::Slow(wait) = mood {
                tokio::time::sleep(wait).await;
            }
            answer
        })
    }

    fn look_up(
        &self,
        request: wire::LookUpRequest,
    ) -> BoxFuture<'_, Result<wire::LookUpResponse, SignerError>> {
        let state = self.lock();
        let one = |key: &wire::RequestKey| {
            let counts = state
                .ledger
                .iter()
                .find(|entry| entry.uid == key.object_uid && entry.step == key.step && !entry.superseded);
            counts.map_or_else(wire::Counting::default, |entry| wire::Counting {
                serial: octets(&entry.serial),
                log_index: 7,
            })
        };
        let answer = if state.down {
            Err(SignerError::Unavailable("connection refused".into()))
        } else {
            Ok(wire::LookUpResponse { counting: request.request_keys.iter().map(one).collect() })
        };
        Box::pin(async move { answer })
    }

    fn log_ended_approval(
        &self,
        request: wire::LogEndedApprovalRequest,
    ) -> BoxFuture<'_, Result<EndReport, SignerError>> {
        let mut state = self.lock();
        let answer = if state.down {
            Err(SignerError::Unavailable("connection refused".into()))
        } else {
            state.agreement.tell_end(&request)
        };
        Box::pin(async move { answer })
    }
}

fn octets(serial: &str) -> Vec<u8> {
    let even = if serial.len().is_multiple_of(2) { serial.to_owned() } else { format!("0{serial}") };
    hex::decode(even).expect("a serial number")
}

fn answer(certificate: Vec<u8>, repeated_answer: bool) -> wire::Issued {
    wire::Issued { certificate, parents: Vec::new(), log_index: 7, repeated_answer }
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

fn demands(held: &wire::Constraints) -> wire::ApprovalDemands {
    held.approvals.clone().unwrap_or_default()
}

/// The profile that a request comes under.
fn chosen<'a>(held: &'a [wire::Profile], named: &str) -> Result<Option<&'a wire::Profile>, SignerError> {
    let name = if named.is_empty() { "default" } else { named };
    let found = held.iter().find(|profile| profile.name == name);
    if found.is_none() && !(held.is_empty() && named.is_empty()) {
        return Err(SignerError::Refused(format!(
            "profile: {name} is none of this authority's; name another"
        )));
    }
    Ok(found)
}

/// As far as these tests loosen: absent means any.
fn is_looser(request: &wire::EnsureAuthorityRequest, held: &wire::Constraints) -> bool {
    let asked = request.constraints.clone().unwrap_or_default();
    let grows = |held: Option<u64>, asked: Option<u64>| {
        held.is_some_and(|held| asked.is_none_or(|asked| asked > held))
    };
    let was = |name: &str| held.profiles.iter().any(|profile| profile.name == name);
    let more = !held.profiles.is_empty()
        && (asked.profiles.is_empty() || asked.profiles.iter().any(|profile| !was(&profile.name)));
    more || grows(held.max_leaf_seconds, asked.max_leaf_seconds)
        || grows(held.path_length.map(u64::from), asked.path_length.map(u64::from))
}
