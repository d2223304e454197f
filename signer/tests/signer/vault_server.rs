//! A signer whose root key is kept by a real Vault: what the documents promise of it, from outside, with the policy that
//! they give. Run by `hack/vault.sh`, which builds the server and names it in `KEYWRIGHT_VAULT_SERVER`; without one these
//! tests fail, so an ordinary run leaves them out (`.config/nextest.toml`).

use crate::real_vault::{Vault, private};
use crate::support::{self, foreign_log, leaf, new_key, root, uid};
use crate::world::{BINARY, World};
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer_protocol::v1alpha1 as wire;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the binary said, and whether it was content. With as much locked memory as most systems allow by default.
fn call(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("prlimit");
    let ended = command.arg("--memlock=8388608").arg(BINARY).args(arguments).output().unwrap();
    let text = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (ended.status.success(), text.concat())
}

fn works(arguments: &[&str]) -> String {
    let (success, said) = call(arguments);
    assert!(success, "{arguments:?}: {said}");
    said
}

/// What it says when it fails, which must tell whether trying again helps, and no secret.
fn fails(arguments: &[&str], again: bool) -> String {
    let (success, said) = call(arguments);
    assert!(!success, "{arguments:?}: {said}");
    let words =
        if again { "(trying again can help)" } else { "(trying again without a change will not help)" };
    assert!(said.contains(words), "{said}");
    assert!(!said.contains("hvs."), "{said}");
    said
}

/// The state folder of a world, as an argument.
fn state(world: &World) -> String {
    world.path("state").display().to_string()
}

fn status(world: &World) -> String {
    works(&["kek", "status", "--state-dir", &state(world)])
}

/// Identifier of the root key in force.
fn in_force(world: &World) -> String {
    let said = status(world);
    let key = said.lines().find_map(|line| line.strip_prefix("sealed under key "));
    let key = key.unwrap_or_else(|| panic!("{said}")).to_owned();
    assert!(said.contains(&format!("key {key}: wrapped by")), "its envelope is there: {said}");
    key
}

fn rewrap<'a>(state: &'a str, from: &'a str, to: &'a str) -> [&'a str; 8] {
    ["kek", "rewrap", "--state-dir", state, "--from", from, "--to", to]
}

/// A world and a Vault with transit key `keywright`, whose token may no more than docs/custody.md gives it.
fn under_vault() -> (World, Vault) {
    let mut world = World::new();
    let vault = Vault::start(world.dir.path());
    vault.put("sys/policies/acl/keywright-signer", &json!({ "policy": documented_policy() }));
    vault.put("transit/keys/keywright", &json!({}));
    vault.hand_out("token", &json!({ "policies": ["keywright-signer"], "period": "72h" }));
    world.kek = Some(vault.place("keywright", "token"));
    (world, vault)
}

fn documented_policy() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/custody.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("<<'POLICY'\n").unwrap();
    rest.split_once("\nPOLICY").unwrap().0.to_owned()
}

async fn authority(world: &World) -> bool {
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap().into_inner().created
}

async fn issues(world: &World, n: usize) {
    let key = new_key(KeyAlgorithm::EcdsaP256);
    let request = wire::IssueRequest { authority_uid: support::ROOT.into(), ..leaf(&uid(n), &key) };
    world.client("operator-tls").issue(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_lives_under_a_transit_key_through_restarts_a_sealed_server_and_rotations() {
    let (mut world, vault) = under_vault();
    world.start();
    assert!(authority(&world).await);
    issues(&world, 1).await;
    assert!(world.signal("-TERM").success());

    // A start unwraps again; what runs needs the server no more.
    world.start();
    assert!(!authority(&world).await, "the same authority is there");
    vault.put("sys/seal", &json!({}));
    issues(&world, 2).await;
    assert!(world.signal("-TERM").success());
    let place = world.kek.clone().unwrap();
    let (folder, tls) = (state(&world), world.path("signer-tls").display().to_string());
    let run = ["run", "--state-dir", &folder, "--tls-dir", &tls, "--kek", &place];
    let said = fails(&run, true);
    assert!(said.contains("Vault is sealed"), "{said}");
    vault.unseal();
    world.start();
    issues(&world, 3).await;
    assert!(world.signal("-TERM").success());

    // Rotated, re-wrapped in place, and the old version trimmed.
    let old = fs::read_to_string(world.path("state/kek.json")).unwrap();
    let before = in_force(&world);
    vault.put("transit/keys/keywright/rotate", &json!({}));
    assert!(status(&world).contains("transit key transit/keywright (v1), in force"));
    works(&rewrap(&folder, &place, &place));
    assert!(status(&world).contains("transit key transit/keywright (v2), in force"), "{}", status(&world));
    assert_ne!(in_force(&world), before, "the root key is another one");
    vault.put("transit/keys/keywright/config", &json!({ "min_decryption_version": 2 }));
    world.start();
    issues(&world, 4).await;
    assert!(world.signal("-TERM").success());

    // An envelope of before is of no use any more: neither is its root key in force, nor does the server open it.
    let new = fs::read_to_string(world.path("state/kek.json")).unwrap();
    let of = |text: &str| serde_json::from_str::<Value>(text).unwrap()["envelopes"][0].clone();
    let mut stale = of(&old);
    stale["root"] = of(&new)["root"].clone();
    let forged = json!({ "version": 1, "envelopes": [stale] }).to_string();
    fs::write(world.path("state/kek.json"), forged).unwrap();
    let said = fails(&run, false);
    assert!(said.contains("too old") && said.contains("min_decryption_version"), "{said}");
    fs::write(world.path("state/kek.json"), new).unwrap();

    // To a file and back: each of them alone opens the state then.
    let file = format!("file:{}", world.path("kek").display());
    works(&rewrap(&folder, &place, &file));
    let said = fails(&run, false);
    assert!(said.contains("no envelope"), "{said}");
    works(&rewrap(&folder, &file, &place));
    world.start();
    issues(&world, 5).await;
    assert!(world.signal("-TERM").success());
    let entries = foreign_log(&world.path("state/log"));
    let moved: Vec<_> = entries.iter().filter(|entry| entry["event"] == "rewrapped").collect();
    let custody: Vec<_> = moved.iter().map(|entry| entry["custody"].as_str().unwrap()).collect();
    assert_eq!(custody, ["vault", "file", "vault"]);
}

#[test]
fn a_rewrap_that_is_killed_leaves_one_key_in_force_and_done_again_ends_under_the_newest_version() {
    let (world, vault) = under_vault();
    let (folder, place) = (state(&world), world.kek.clone().unwrap());
    works(&["fencing", "reset", "--state-dir", &folder, "--kek", &place]);
    let mut seen = BTreeSet::from([in_force(&world)]);
    let (mut before, mut after) = (0, 0);
    for round in 0_u64..16 {
        vault.put("transit/keys/keywright/rotate", &json!({}));
        let was = in_force(&world);
        let mut running =
            Command::new(BINARY).args(rewrap(&folder, &place, &place)).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3 + round * 23 % 160));
        let _ = running.kill();
        running.wait().unwrap();
        // Whatever was cut off, one key is in force and opens everything.
        let is = in_force(&world);
        works(&["key", "list", "--state-dir", &folder, "--kek", &place]);
        if is == was {
            before += 1;
        } else {
            after += 1;
            assert!(seen.insert(is), "round {round}: a root key came back");
        }
        works(&rewrap(&folder, &place, &place));
        let said = status(&world);
        assert!(said.contains(&format!("transit/keywright (v{}), in force", round + 2)), "{said}");
        assert_eq!(said.matches("transit/keywright").count(), 1, "{said}");
        assert!(seen.insert(in_force(&world)), "round {round}: a root key came back");
    }
    assert!(before > 0, "no kill came before the commit ({before} {after})");
}

#[test]
fn what_a_real_server_refuses_is_told_with_the_fix_and_whether_trying_again_helps() {
    let (world, mut vault) = under_vault();
    let (folder, place) = (state(&world), world.kek.clone().unwrap());
    let open = |place: &str| ["key", "list", "--state-dir", &folder, "--kek", place].map(str::to_owned);
    let fails = |place: &str, again: bool| {
        let arguments = open(place);
        fails(&arguments.each_ref().map(String::as_str), again)
    };
    works(&["fencing", "reset", "--state-dir", &folder, "--kek", &place]);

    // Tokens: without the right, revoked, wrong. Those that were never looked at by the server say the same.
    vault.hand_out("powerless", &json!({ "policies": ["default"] }));
    let said = fails(&vault.place("keywright", "powerless"), false);
    assert!(said.contains("permission denied") && said.contains("transit/decrypt/keywright"), "{said}");
    vault.hand_out("revoked", &json!({ "policies": ["keywright-signer"] }));
    works(&["key", "list", "--state-dir", &folder, "--kek", &vault.place("keywright", "revoked")]);
    vault.revoke("revoked");
    let said = fails(&vault.place("keywright", "revoked"), false);
    assert!(said.contains("permission denied") && said.contains("put a valid token in"), "{said}");
    private(&world.path("made-up"), "hvs.CAESIJmade-up");
    assert!(fails(&vault.place("keywright", "made-up"), false).contains("permission denied"));

    // Keys: another one, none, and none for a token that may make keys, which wrapping must not.
    vault.put("transit/keys/other", &json!({}));
    let said = fails(&place.replace("key=keywright", "key=other"), false);
    assert!(said.contains("is kept by transit key transit/keywright"), "{said}");
    let edited = world.path("state/kek.json");
    let text = fs::read_to_string(&edited).unwrap();
    fs::write(&edited, text.replace("\"keywright\"", "\"other\"")).unwrap();
    private(&world.path("root"), &vault.root_token);
    let said = fails(&vault.place("other", "root"), false);
    assert!(said.contains("message authentication failed"), "{said}");
    fs::write(&edited, &text).unwrap();
    for (token, words) in [("token", "see that the key exists"), ("root", "nothing is there")] {
        let absent = vault.place("absent", token);
        let (success, said) = call(&rewrap(&folder, &place, &absent));
        assert!(!success && said.contains(words), "{token}: {said}");
    }
    assert_eq!(vault.get("transit/keys/absent").0, 404, "it was not made by the way");
    let elsewhere = format!("{};mount=nowhere", vault.place("keywright", "root"));
    let (success, said) = call(&rewrap(&folder, &place, &elsewhere));
    assert!(!success && said.contains("see that a transit engine is mounted at nowhere"), "{said}");
    let other = vault.place("other", "root");
    let (success, said) = call(&["kek", "create", &other]);
    assert!(!success && said.contains("exists already"), "{said}");
    works(&["kek", "create", &vault.place("made", "root")]);
    let (_, made) = vault.get("transit/keys/made");
    assert_eq!((&made["data"]["type"], &made["data"]["exportable"]), (&json!("aes256-gcm96"), &json!(false)));

    // TLS: another authority, and another name. The server sees no request, and so no token.
    let before = vault.requests_seen();
    let other = support::Installation::new();
    private(&world.path("other-ca.pem"), &other.pem);
    let wrong = place.replace("vault-ca.pem", "other-ca.pem");
    for place in [&wrong, &place.replace("localhost", "127.0.0.1")] {
        let said = fails(place, false);
        assert!(said.contains("the server's certificate is not trusted"), "{said}");
    }
    assert_eq!(vault.requests_seen(), before);

    // Away, back and sealed, unsealed.
    vault.stop();
    let said = fails(&place, true);
    assert!(said.contains("the server gave no answer"), "{said}");
    vault.start_again();
    assert!(fails(&place, true).contains("Vault is sealed"));
    vault.unseal();
    works(&["key", "list", "--state-dir", &folder, "--kek", &place]);
}

#[test]
fn a_visit_renews_its_token_and_nothing_of_the_root_key_is_in_the_servers_own_log() {
    let (world, vault) = under_vault();
    let (folder, place) = (state(&world), world.kek.clone().unwrap());
    works(&["fencing", "reset", "--state-dir", &folder, "--kek", &place]);
    let log = vault.audit_log();
    let count = |path: &str| {
        let request = |line: &&Value| line["type"] == "request" && line["request"]["path"] == path;
        log.iter().filter(request).count()
    };
    let visits = count("transit/encrypt/keywright") + count("transit/decrypt/keywright");
    assert_eq!((visits, count("auth/token/renew-self")), (2, 2), "each visit renews: {log:?}");
    let plain = log.iter().filter(|line| {
        let text = line.to_string();
        text.contains("\"plaintext\"") && !text.contains("\"plaintext\":\"hmac-sha256:")
    });
    assert_eq!(plain.count(), 0);
    assert!(!log.iter().any(|line| line.to_string().contains(&vault.token("token"))));
}
