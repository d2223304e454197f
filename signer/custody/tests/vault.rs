//! Transit keys against the documented contract, and against answers that a real server gives at bad times only. What a
//! real server says otherwise is tested from the signer, by `hack/vault.sh`.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code outside #[test] functions")]

#[path = "support/mod.rs"]
mod support;
#[path = "support/vault.rs"]
mod vault;

use keywright_ambient::SystemEntropy;
use keywright_custody::{Custodian, CustodyError, Envelope, Keeper, KekSpec, Kind, Retry, RootKey, Wrapped};
use std::net::TcpListener;
use support::private;
use tempfile::TempDir;
use vault::{FakeVault, Mood, TOKEN};

fn custodian(spec: &str) -> Custodian {
    let spec: KekSpec = spec.parse().unwrap();
    let Keeper::Custodian(custodian) = Keeper::of(&spec) else { panic!("{spec} is a custodian") };
    custodian
}

struct World {
    dir: TempDir,
    vault: FakeVault,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap(), vault: FakeVault::start() };
        private(&world.dir.path().join("token"), TOKEN);
        world
    }

    fn custodian(&self, rest: &str) -> Custodian {
        let token = self.dir.path().join("token");
        custodian(&format!("vault:http://{};key=kw;token-file={}{rest}", self.vault.address, token.display()))
    }
}

fn wrap(custodian: &Custodian) -> Result<(RootKey, Envelope), CustodyError> {
    let root = RootKey::generate(&SystemEntropy).unwrap();
    custodian.wrap(&root, "aa", &SystemEntropy).map(|envelope| (root, envelope))
}

/// All that a signer does with a transit key whose name is new to the server.
fn whole_life(custodian: &Custodian, rotate: impl FnOnce()) {
    custodian.create(&SystemEntropy).unwrap();
    assert_eq!(custodian.create(&SystemEntropy).unwrap_err().kind, Kind::Ambiguous);
    let (root, first) = wrap(custodian).unwrap();
    assert_eq!(custodian.unwrap(&first).unwrap().as_bytes(), root.as_bytes());
    assert!(custodian.fits(&first.wrapped));
    rotate();
    let (root_again, second) = wrap(custodian).unwrap();
    assert_eq!(custodian.unwrap(&second).unwrap().as_bytes(), root_again.as_bytes());
    assert_eq!(custodian.unwrap(&first).unwrap().as_bytes(), root.as_bytes(), "older versions still open");
    let version = |envelope: &Envelope| match &envelope.wrapped {
        Wrapped::Vault { ciphertext, .. } => ciphertext.split(':').nth(1).unwrap().to_owned(),
        _ => panic!("is wrapped by the server"),
    };
    assert_eq!((version(&first), version(&second)), ("v1".into(), "v2".into()));
}

#[test]
fn a_root_key_is_wrapped_by_the_newest_version_and_older_ones_still_open() {
    let world = World::new();
    whole_life(&world.custodian(""), || {
        world.vault.mood().keys.insert("kw".into(), 2);
    });
    assert!(world.vault.mood().texts.values().all(|(key, _)| key == "kw"));
}

#[test]
fn a_renewable_token_is_renewed_on_each_visit_and_no_other() {
    let world = World::new();
    let custodian = world.custodian("");
    custodian.create(&SystemEntropy).unwrap();
    assert_eq!(world.vault.mood().renewed, 0);
    world.vault.mood().renewable = true;
    wrap(&custodian).unwrap();
    wrap(&custodian).unwrap();
    assert_eq!(world.vault.mood().renewed, 2);
}

/// Name, the server's mood, and the kind and words of the error.
type Case<'a> = (&'a str, &'a dyn Fn(&mut Mood), Kind, &'a str);

#[test]
fn what_the_server_refuses_is_told_with_rule_fix_and_whether_trying_again_helps() {
    let world = World::new();
    let ours = world.custodian("");
    ours.create(&SystemEntropy).unwrap();
    let (_, envelope) = wrap(&ours).unwrap();
    let edited = |ciphertext: &str| Envelope {
        wrapped: match envelope.wrapped.clone() {
            Wrapped::Vault { address, namespace, mount, key, .. } => {
                Wrapped::Vault { address, namespace, mount, key, ciphertext: ciphertext.into() }
            }
            other => other,
        },
        ..envelope.clone()
    };
    let set = |change: &dyn Fn(&mut Mood)| {
        let mut mood = world.vault.mood();
        (mood.sealed, mood.broken, mood.namespace) = (false, None, None);
        change(&mut mood);
    };
    let broken = |status, body: &str| {
        let body = body.to_owned();
        move |mood: &mut Mood| mood.broken = Some((status, body.clone()))
    };
    let cases: [Case<'_>; 8] = [
        ("sealed", &|mood| mood.sealed = true, Kind::Unreachable, "Vault is sealed"),
        ("other namespace", &|mood| mood.namespace = Some("team".into()), Kind::Refused, "permission denied"),
        ("standby", &broken(429, "{\"errors\":[]}"), Kind::Unreachable, "status 429"),
        ("internal", &broken(500, "{\"errors\":[\"internal error\"]}"), Kind::Unreachable, "internal error"),
        ("gateway", &broken(502, "<html>bad gateway</html>"), Kind::Unreachable, ""),
        ("no mount", &broken(404, "{\"errors\":[\"no handler for route\"]}"), Kind::NotFound, "no handler"),
        ("not the api", &broken(200, "<html>hello</html>"), Kind::Unsupported, ""),
        ("empty", &broken(200, "{}"), Kind::Unsupported, ""),
    ];
    for (name, change, kind, words) in cases {
        set(change);
        let error = ours.unwrap(&envelope).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
        let backoff = kind == Kind::Unreachable;
        assert_eq!(error.retry() == Retry::Backoff, backoff, "{name}: {error}");
        assert!(!error.to_string().contains(TOKEN), "{name}: {error}");
    }
    set(&|_| ());
    for (ciphertext, kind) in [("vault:v1:AAAA", Kind::WrongKey), ("nonsense", Kind::WrongKey)] {
        assert_eq!(ours.unwrap(&edited(ciphertext)).map(|_| ()).unwrap_err().kind, kind);
    }
    let token = world.dir.path().join("token");
    private(&token, "hvs.expired");
    let error = ours.unwrap(&envelope).map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::Refused, Retry::OnChange), "{error}");
    assert!(
        error.to_string().contains("transit/decrypt/kw") && !error.to_string().contains("hvs."),
        "{error}"
    );
    private(&token, TOKEN);
    world.vault.mood().keys.clear();
    assert_eq!(ours.unwrap(&envelope).map(|_| ()).unwrap_err().kind, Kind::NotFound);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spec = format!("vault:http://{nobody};key=kw;token-file={}", token.display());
    let error = wrap(&custodian(&spec)).map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::Unreachable, Retry::Backoff), "{error}");
}

#[test]
fn a_key_that_is_not_there_is_not_made_by_wrapping_under_it() {
    let world = World::new();
    let error = wrap(&world.custodian("")).map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::NotFound, Retry::OnChange), "{error}");
    assert!(!world.vault.mood().seen.iter().any(|seen| seen.contains("encrypt")), "it is not asked to");
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    let world = World::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let token = world.dir.path().join("token");
    let address = silent.local_addr().unwrap();
    let spec = format!("vault:http://{address};key=kw;token-file={};timeout-seconds=1", token.display());
    let error = wrap(&custodian(&spec)).map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.retry()), (Kind::Unreachable, Retry::Backoff), "{error}");
}

#[test]
fn the_namespace_is_sent_and_is_part_of_what_an_envelope_fits() {
    let world = World::new();
    world.vault.mood().namespace = Some("team/ca".into());
    let within = world.custodian(";namespace=team/ca");
    within.create(&SystemEntropy).unwrap();
    let (_, envelope) = wrap(&within).unwrap();
    within.unwrap(&envelope).unwrap();
    assert!(!world.custodian("").fits(&envelope.wrapped));
}

#[test]
fn tls_is_checked_against_the_named_authority() {
    let dir = tempfile::tempdir().unwrap();
    let vault = FakeVault::start_tls();
    private(&dir.path().join("token"), TOKEN);
    private(&dir.path().join("ca.pem"), vault.ca.as_deref().unwrap());
    let token = dir.path().join("token").display().to_string();
    let port = vault.address.port();
    let spec = |host: &str, ca: &str| format!("vault:https://{host}:{port};key=kw;token-file={token}{ca}");
    let ca = format!(";ca-file={}", dir.path().join("ca.pem").display());
    whole_life(&custodian(&spec("localhost", &ca)), || {
        vault.mood().keys.insert("kw".into(), 2);
    });
    let seen = vault.mood().seen.len();
    for (host, ca) in [("localhost", ""), ("127.0.0.1", ca.as_str())] {
        let error = wrap(&custodian(&spec(host, ca))).map(|_| ()).unwrap_err();
        assert_eq!((error.kind, error.retry()), (Kind::Untrusted, Retry::OnChange), "{host}{ca}: {error}");
        assert!(error.to_string().contains("certificate is not trusted"), "{error}");
    }
    assert_eq!(
        vault.mood().seen.len(),
        seen,
        "a server that is not trusted sees no request, and so no token"
    );
}
