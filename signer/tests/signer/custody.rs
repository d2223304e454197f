//! Keys kept elsewhere: authorities in a token, the state under each custodian, and the way from one to the next.

use crate::hsm::{self, SoftHsm, private, with_soft_hsm};
use crate::support::{self, FixedClock, LEAF, NOW, child, foreign_log, leaf, new_key, root, uid};
use crate::vault;
use keywright_ambient::{Clock, SystemEntropy};
use keywright_custody::{KekSpec, KeyStoreSpec};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::certificate::Certificate;
use keywright_signer::authority_key::KeyStore;
use keywright_signer::custody::{self, KeepError};
use keywright_signer::engine::{Answer, Engine, Parts, Steps};
use keywright_signer::parse;
use keywright_signer::refusal::{Reason, Refusal};
use keywright_signer::store::StoreError;
use keywright_signer_protocol::v1alpha1 as wire;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_keywright-signer");
const NOW_SECONDS: u64 = 1_893_456_000;

fn engine(state: &Path, kek: &KekSpec, keys: KeyStore) -> Result<Engine, StoreError> {
    let kek = custody::open(kek, state, &SystemEntropy).unwrap();
    Engine::start(Parts {
        state: state.to_owned(),
        kek: Arc::new(kek),
        keys,
        clock: FixedClock::at(NOW) as Arc<dyn Clock>,
        entropy: Arc::new(SystemEntropy),
        signers: 2,
        gate: keywright_signer::approval::Gate::default(),
    })
}

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn ensure(engine: &Engine, request: &wire::EnsureAuthorityRequest) -> Result<Answer, Refusal> {
    let ask = parse::ensure(request)?;
    let key =
        if engine.knows(&ask.id.uid) { None } else { Some(engine.make_key(ask.id.uid, ask.algorithm)?) };
    now(engine.ensure(ask, key, "keywright-operator".into()))
}

fn issue(engine: &Engine, request: &wire::IssueRequest) -> Result<Answer, Refusal> {
    now(engine.issue(parse::issue(request)?, "keywright-operator".into(), Steps::default()))
}

fn is_sound(answer: &Answer) {
    let certificate = Certificate::from_der(&answer.certificate).unwrap();
    let issuer = answer.parents.first().unwrap_or(&answer.certificate);
    certificate.verify_signed_by(Certificate::from_der(issuer).unwrap().public_key()).unwrap();
}

fn file_kek(dir: &Path, name: &str) -> KekSpec {
    let spec = KekSpec::File(dir.join(name));
    custody::create(&spec, &SystemEntropy).unwrap();
    spec
}

fn token_store(hsm: &SoftHsm, label: &str) -> KeyStore {
    KeyStore::open(&KeyStoreSpec::Token(hsm.spec(label))).unwrap()
}

/// The log's entries once there are as many.
fn entries(state: &Path, least: usize) -> Vec<serde_json::Value> {
    for _ in 0..100 {
        let entries = foreign_log(&state.join("log"));
        if entries.len() >= least {
            return entries;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the log never reached {least} entries");
}

#[test]
fn an_authority_in_a_token_signs_is_found_again_and_is_told_apart_in_the_log() {
    with_soft_hsm("an_authority_in_a_token_signs_is_found_again_and_is_told_apart_in_the_log", |hsm| {
        hsm.token("ca");
        let (state, kek) = (hsm.dir.join("state"), file_kek(&hsm.dir, "kek"));
        let one = engine(&state, &kek, token_store(&hsm, "ca")).unwrap();
        is_sound(&ensure(&one, &root()).unwrap());
        let p384 =
            wire::EnsureAuthorityRequest { key_algorithm: wire::KeyAlgorithm::EcdsaP384.into(), ..child() };
        is_sound(&ensure(&one, &p384).unwrap());
        is_sound(&issue(&one, &leaf(LEAF, &new_key(KeyAlgorithm::EcdsaP256))).unwrap());
        drop(one);
        let made: Vec<_> =
            entries(&state, 8).into_iter().filter(|entry| entry["event"] == "created").collect();
        assert_eq!(made.len(), 2);
        assert!(made.iter().all(|entry| entry["custody"] == "pkcs11:ca"), "{made:?}");
        let again = engine(&state, &kek, token_store(&hsm, "ca")).unwrap();
        is_sound(&issue(&again, &leaf(&uid(1), &new_key(KeyAlgorithm::EcdsaP256))).unwrap());
        drop(again);
        let Err(error) = engine(&state, &kek, KeyStore::Memory) else { panic!("runs without its token") };
        assert!(error.to_string().contains("PKCS#11 token ca; start with --key-store"), "{error}");
        // No bytes of a private key are in the state: neither PKCS#8 nor anything but a short reference is sealed.
        hsm.token("other");
        let Err(error) = engine(&state, &kek, token_store(&hsm, "other")) else { panic!("another token") };
        assert!(error.to_string().contains("PKCS#11 token ca"), "{error}");
    });
}

#[test]
fn what_a_token_cannot_do_is_refused_with_field_rule_and_fix_and_leaves_no_key() {
    with_soft_hsm("what_a_token_cannot_do_is_refused_with_field_rule_and_fix_and_leaves_no_key", |hsm| {
        hsm.token("ca");
        let (state, kek) = (hsm.dir.join("state"), file_kek(&hsm.dir, "kek"));
        let engine = engine(&state, &kek, token_store(&hsm, "ca")).unwrap();
        for algorithm in
            [wire::KeyAlgorithm::MlDsa44, wire::KeyAlgorithm::MlDsa65, wire::KeyAlgorithm::MlDsa87]
        {
            let request = wire::EnsureAuthorityRequest { key_algorithm: algorithm.into(), ..root() };
            let refusal = ensure(&engine, &request).unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.field.as_str()),
                (Reason::Constraint, "privateKey.algorithm")
            );
            assert!(refusal.rule.contains("ML-DSA") && refusal.fix.contains("choose ECDSA"), "{refusal}");
        }
        let objects = || {
            let folder = std::fs::read_dir(hsm.dir.join("tokens")).unwrap().next().unwrap().unwrap().path();
            let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
            names.filter(|name| name.to_str().unwrap().ends_with(".object")).count()
        };
        let before = objects();
        ensure(&engine, &root()).unwrap();
        assert_eq!(objects(), before + 3 - 1, "a key pair");
        // Its parent allows no authority below: judged after the key was made, and the key is destroyed again.
        let bad = wire::EnsureAuthorityRequest {
            constraints: Some(wire::Constraints {
                path_length: Some(9),
                allow_ca: true,
                ..Default::default()
            }),
            ..child()
        };
        ensure(&engine, &bad).unwrap_err();
        assert_eq!(objects(), before + 2, "nothing of the refused one stays");
    });
}

#[test]
fn a_token_that_goes_while_it_signs_costs_an_abandoned_intent_and_nothing_leaves() {
    with_soft_hsm("a_token_that_goes_while_it_signs_costs_an_abandoned_intent_and_nothing_leaves", |hsm| {
        hsm.token("ca");
        let (state, kek) = (hsm.dir.join("state"), file_kek(&hsm.dir, "kek"));
        let engine = engine(&state, &kek, token_store(&hsm, "ca")).unwrap();
        ensure(&engine, &root()).unwrap();
        ensure(&engine, &child()).unwrap();
        let key = new_key(KeyAlgorithm::EcdsaP256);
        hsm.unplug();
        let refusal = issue(&engine, &leaf(LEAF, &key)).unwrap_err();
        assert_eq!(refusal.reason, Reason::Unavailable, "{refusal}");
        assert!(refusal.fix.contains("try again"), "{refusal}");
        hsm.plug();
        is_sound(&issue(&engine, &leaf(LEAF, &key)).unwrap());
        drop(engine);
        let entries = entries(&state, 10);
        let of = |kind: &str| entries.iter().filter(|entry| entry["kind"] == kind).count();
        assert_eq!((of("abandoned"), of("intent"), of("signature")), (1, 4, 3));
    });
}

fn passphrase(dir: &Path, name: &str) -> KekSpec {
    private(&dir.join(name), &format!("{name} correct horse battery staple"));
    format!("passphrase-file:{}", dir.join(name).display()).parse().unwrap()
}

fn is_wrong_key(result: Result<impl Sized, KeepError>) -> bool {
    match result {
        Err(KeepError::Custody(error)) => error.kind == keywright_custody::Kind::WrongKey,
        Err(error) => panic!("{error}"),
        Ok(_) => false,
    }
}

#[test]
fn the_state_goes_from_each_custodian_to_the_next_and_only_the_last_opens_it() {
    with_soft_hsm("the_state_goes_from_each_custodian_to_the_next_and_only_the_last_opens_it", |hsm| {
        hsm.token("ca");
        let state = hsm.dir.join("state");
        let places = [
            passphrase(&hsm.dir, "first"),
            file_kek(&hsm.dir, "kek-1"),
            KekSpec::Token(hsm.spec("ca"), "kek".into()),
            KekSpec::Token(hsm.spec("ca"), "kek".into()),
            passphrase(&hsm.dir, "second"),
            passphrase(&hsm.dir, "third"),
            file_kek(&hsm.dir, "kek-2"),
        ];
        custody::create(&places[2], &SystemEntropy).unwrap();
        let [first, ..] = &places;
        let fresh = engine(&state, first, KeyStore::Memory).unwrap();
        ensure(&fresh, &root()).unwrap();
        ensure(&fresh, &child()).unwrap();
        drop(fresh);
        for (n, pair) in places.windows(2).enumerate() {
            let [from, to] = pair else { panic!("pairs") };
            let done = custody::rewrap(from, to, &state, NOW_SECONDS, &SystemEntropy).unwrap();
            assert_eq!(done.keys, 3, "two authorities and the log's key");
            if from != to {
                assert!(is_wrong_key(custody::open(from, &state, &SystemEntropy)), "{from} still opens");
                let again = custody::rewrap(from, to, &state, NOW_SECONDS, &SystemEntropy).unwrap();
                assert_eq!(again.keys, 0, "doing it again does nothing");
            }
            let engine = engine(&state, to, KeyStore::Memory).unwrap();
            is_sound(&issue(&engine, &leaf(&uid(n), &new_key(KeyAlgorithm::EcdsaP256))).unwrap());
            drop(engine);
            let status = custody::status(&state).unwrap();
            assert_eq!(status.under, Some(done.to));
            assert_eq!(status.envelopes.len(), usize::from(!matches!(to, KekSpec::File(_))));
        }
        let events: Vec<_> =
            entries(&state, 12).into_iter().filter(|entry| entry["event"] == "rewrapped").collect();
        assert_eq!(events.len(), places.len() - 1);
        let kinds: Vec<_> = events.iter().map(|entry| entry["custody"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["file", "pkcs11", "pkcs11", "passphrase", "passphrase", "file"]);
        assert!(events.iter().all(|entry| entry["keys"] == 3));
    });
}

#[test]
fn at_start_the_old_key_is_used_once_to_go_over_to_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let (state, old, new) =
        (dir.path().join("state"), file_kek(dir.path(), "old"), file_kek(dir.path(), "new"));
    let first = engine(&state, &old, KeyStore::Memory).unwrap();
    ensure(&first, &root()).unwrap();
    drop(first);
    let open =
        |old: Option<&KekSpec>| custody::open_or_rewrap(&new, old, &state, NOW_SECONDS, &SystemEntropy);
    assert!(is_wrong_key(open(None)), "not without the old one");
    let third = file_kek(dir.path(), "third");
    assert!(is_wrong_key(open(Some(&third))), "not with a third one");
    open(Some(&old)).unwrap();
    std::fs::remove_file(dir.path().join("old")).unwrap();
    open(Some(&old)).unwrap();
    open(None).unwrap();
}

#[test]
fn a_rewrap_that_is_killed_at_any_moment_leaves_one_key_in_force_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let specs = [passphrase(dir.path(), "pw"), file_kek(dir.path(), "a"), file_kek(dir.path(), "b")];
    let [pw, a, b] = &specs;
    let fresh = engine(&state, a, KeyStore::Memory).unwrap();
    for n in 0..10 {
        let request =
            wire::EnsureAuthorityRequest { request_key: support::request_key(&uid(n), 1), ..root() };
        ensure(&fresh, &request).unwrap();
    }
    drop(fresh);
    let argument = |spec: &KekSpec| match spec {
        KekSpec::File(path) => format!("file:{}", path.display()),
        _ => format!("passphrase-file:{}", dir.path().join("pw").display()),
    };
    let mut from = a;
    let (mut before, mut after) = (0, 0);
    for round in 0_u64..14 {
        let to = if round % 5 == 2 {
            pw
        } else if from == a {
            b
        } else {
            a
        };
        let mut command = Command::new(BINARY);
        command.args(["kek", "rewrap", "--state-dir", state.to_str().unwrap()]);
        command.args(["--from", &argument(from), "--to", &argument(to)]);
        let mut running = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + round * 37 % 200));
        let _ = running.kill();
        running.wait().unwrap();
        let opens = |spec: &KekSpec| !is_wrong_key(custody::open(spec, &state, &SystemEntropy));
        match (opens(from), opens(to)) {
            (true, false) => before += 1,
            (false, true) => after += 1,
            both => panic!("round {round}: {both:?}"),
        }
        custody::rewrap(from, to, &state, NOW_SECONDS, &SystemEntropy).unwrap();
        assert_eq!((opens(from), opens(to)), (false, true), "round {round}");
        let status = custody::status(&state).unwrap();
        assert_eq!(status.envelopes.len(), usize::from(to == pw), "round {round}");
        from = to;
    }
    assert!(before > 0, "no kill came before the commit ({before} {after})");
    let engine = engine(&state, from, KeyStore::Memory).unwrap();
    assert_eq!(engine.status().authorities, 10);
}

#[test]
fn a_rewrap_in_place_never_goes_back_to_a_root_key_that_was_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (state, pw) = (dir.path().join("state"), passphrase(dir.path(), "pw"));
    drop(engine(&state, &pw, KeyStore::Memory).unwrap());
    let file = state.join("kek.json");
    let envelopes =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["envelopes"][0].clone();
    let before = std::fs::read_to_string(&file).unwrap();
    let first = custody::rewrap(&pw, &pw, &state, NOW_SECONDS, &SystemEntropy).unwrap();
    let after = std::fs::read_to_string(&file).unwrap();
    // As a crash leaves it between the commit and the removal of the old envelope.
    let both = serde_json::json!({ "version": 1, "envelopes": [envelopes(&before), envelopes(&after)] });
    std::fs::write(&file, both.to_string()).unwrap();
    custody::open(&pw, &state, &SystemEntropy).unwrap();
    let second = custody::rewrap(&pw, &pw, &state, NOW_SECONDS, &SystemEntropy).unwrap();
    assert_eq!(second.from, first.to);
    assert!(second.to != first.from && second.to != first.to, "a root key of its own: {first:?} {second:?}");
    assert_eq!(custody::status(&state).unwrap().envelopes.len(), 1);
    drop(engine(&state, &pw, KeyStore::Memory).unwrap());
}

#[test]
fn the_binary_goes_over_to_a_transit_key_and_does_not_start_while_the_server_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let (state, file) = (state_of(dir.path()), file_kek(dir.path(), "kek"));
    let first = engine(&state, &file, KeyStore::Memory).unwrap();
    ensure(&first, &root()).unwrap();
    drop(first);
    let server = vault::FakeVault::start_tls();
    private(&dir.path().join("token"), vault::TOKEN);
    private(&dir.path().join("ca.pem"), server.ca.as_deref().unwrap());
    let at = |name: &str| dir.path().join(name).display().to_string();
    let port = server.address.port();
    let place =
        format!("vault:https://localhost:{port};key=kw;token-file={};ca-file={}", at("token"), at("ca.pem"));
    let (state, kek) = (state.display().to_string(), format!("file:{}", at("kek")));
    // As much locked memory as most systems allow by default.
    let call = |arguments: &[&str]| {
        let mut command = Command::new("prlimit");
        let ended = command.arg("--memlock=8388608").arg(BINARY).args(arguments).output().unwrap();
        let text = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (ended.status.success(), text.concat())
    };
    let works = |arguments: &[&str]| {
        let (success, said) = call(arguments);
        assert!(success, "{arguments:?}: {said}");
        said
    };
    works(&["kek", "create", &place]);
    let rewrap = |from: &str, to: &str| {
        works(&["kek", "rewrap", "--state-dir", &state, "--from", from, "--to", to]);
    };
    rewrap(&kek, &place);
    assert!(
        works(&["kek", "status", "--state-dir", &state]).contains("transit key transit/kw (v1), in force")
    );
    server.mood().keys.insert("kw".into(), 2);
    rewrap(&place, &place);
    assert!(
        works(&["kek", "status", "--state-dir", &state]).contains("transit key transit/kw (v2), in force")
    );
    works(&["fencing", "reset", "--state-dir", &state, "--kek", &place]);
    server.mood().sealed = true;
    let (success, said) = call(&["fencing", "reset", "--state-dir", &state, "--kek", &place]);
    assert!(!success && said.contains("Vault is sealed") && said.contains("trying again can help"), "{said}");
    assert!(!said.contains(vault::TOKEN), "{said}");
}

fn state_of(dir: &Path) -> PathBuf {
    dir.join("state")
}

#[test]
fn a_signer_without_its_key_does_not_start_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (state, pw) = (state_of(dir.path()), passphrase(dir.path(), "pw"));
    drop(engine(&state, &pw, KeyStore::Memory).unwrap());
    passphrase(dir.path(), "other");
    file_kek(dir.path(), "kek");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let vault = |rest: &str| format!("vault:http://127.0.0.1:1;key=k;token-file={}{rest}", at("pw"));
    let module = hsm::module().display().to_string();
    for (kek, words) in [
        ("nothing".to_owned(), "--kek: must begin with"),
        (format!("file:{}", at("kek")), "the state folder is sealed under key"),
        (format!("file:{}", at("absent")), "no such file; make one with"),
        (format!("passphrase-file:{}", at("other")), "does not open the root key"),
        (format!("passphrase-file:{}", at("absent")), "no such file"),
        ("passphrase-env:KEYWRIGHT_NO_SUCH".to_owned(), "is not set"),
        (vault(""), "is kept by passphrase"),
        (format!("pkcs11:module={module};token=t;key=k;pin=1234"), "secrets are never arguments"),
        (format!("pkcs11:module=/no.so;token=t;key=k;pin-file={}", at("pw")), "is kept by passphrase"),
    ] {
        let mut command = Command::new(BINARY);
        command.args(["run", "--state-dir", state.to_str().unwrap(), "--tls-dir", "/nowhere", "--kek", &kek]);
        let ended = command.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{kek}: {said}");
        assert!(said.contains(words), "{kek}: {said}");
        assert!(!said.contains("correct horse") && !said.contains("1234"), "{said}");
    }
    for (new, words) in [
        (format!("pkcs11:module=/no.so;token=t;key=k;pin-file={}", at("pw")), "PKCS#11 module /no.so"),
        (vault(""), "the server gave no answer"),
        (vault(";ca-file=/absent"), "the server gave no answer"),
    ] {
        let other = dir.path().join("new-state");
        let mut command = Command::new(BINARY);
        command.args(["run", "--state-dir", other.to_str().unwrap(), "--tls-dir", "/nowhere", "--kek", &new]);
        let ended = command.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(1) && said.contains(words), "{new}: {said}");
        assert!(!other.join("ledger.redb").exists(), "{new}: nothing was begun");
    }
}
