//! `verify` against logs that are sound, cut, edited, forked or about something else.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use axum::Router;
use axum::http::{StatusCode, Uri};
use common::{Ended, Pki, TestLog, entry, pki, run, write};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the certificate's intent stands; its signature is the next entry.
const AT: usize = 269;
const COUNT: usize = 600;

struct Scene {
    pki: Pki,
    log: TestLog,
    temp: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let pki = pki(1);
        let log = TestLog::about(&pki.leaf, COUNT, AT);
        let scene = Self { pki, log, temp: tempfile::tempdir().unwrap() };
        std::fs::write(scene.path("web.pem"), scene.pki.leaf.to_pem()).unwrap();
        std::fs::write(scene.path("log.vkey"), scene.log.vkey()).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Runs `verify web.pem` against these files.
    async fn verify(&self, files: &BTreeMap<String, Vec<u8>>, more: &[&str]) -> Ended {
        let folder = self.path("log");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        write(&folder, files);
        let (file, log, key) = (self.text("web.pem"), self.text("log"), self.text("log.vkey"));
        let words = ["verify", &file, "--log", &log, "--log-key-file", &key];
        run(&[&words, more].concat()).await
    }
}

#[tokio::test]
async fn a_certificate_in_the_log_is_verified_by_index_and_by_search() {
    let scene = Scene::new();
    let files = scene.log.files();
    for more in [&[][..], &["--log-index", "270"]] {
        let ended = scene.verify(&files, &[more, &["-o", "json"]].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let report = ended.json();
        assert_eq!(report["verified"], true);
        assert_eq!(report["logIndex"], 270);
        assert_eq!(report["signedAt"], "2030-03-17T17:46:41Z");
        let steps: Vec<&str> =
            report["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(steps, ["checkpoint", "entry", "inclusion", "intent", "superseded"]);
    }
    let text = scene.verify(&files, &[]).await;
    assert!(text.stdout.contains("Verified: this certificate stands in the log."), "{}", text.stdout);
}

#[tokio::test]
async fn every_size_of_log_works() {
    for (count, at) in [(2, 0), (3, 1), (255, 100), (256, 254), (257, 255), (512, 0), (1000, 998)] {
        let scene = Scene::new();
        let log = TestLog::about(&scene.pki.leaf, count, at);
        let ended = scene.verify(&log.files(), &[]).await;
        assert_eq!(ended.code, 0, "{count}: {ended:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_in_the_log_is_not_verified() {
    let scene = Scene::new();
    let other = TestLog::about(&pki(2).leaf, COUNT, AT);
    let ended = scene.verify(&other.files(), &[]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("no entry among 600"), "{}", ended.stdout);
    for (index, wanted) in [
        ("269", "of kind \"intent\" and not \"signature\""),
        ("5", "of kind \"refusal\""),
        ("600", "lies behind them"),
    ] {
        let ended = scene.verify(&scene.log.files(), &["--log-index", index]).await;
        assert_eq!(ended.code, 1, "{index}");
        assert!(ended.stdout.contains(wanted), "{index}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn every_edited_or_missing_file_is_noticed() {
    let scene = Scene::new();
    let sound = scene.log.files();
    // The place within the hash tile is one that the path of entry 270 needs.
    for (path, at) in [
        ("checkpoint", 5),
        ("checkpoint", 25),
        ("tile/0/001", 15 * 32),
        ("tile/1/000.p/2", 3),
        ("tile/entries/001", 30),
        ("tile/entries/002.p/88", 9),
    ] {
        let mut files = sound.clone();
        files.get_mut(path).unwrap()[at] ^= 1;
        assert_eq!(scene.verify(&files, &["--log-index", "270"]).await.code, 1, "{path} edited");
        let mut files = sound.clone();
        let cut = files.get_mut(path).unwrap();
        cut.truncate(cut.len() / 2);
        assert_eq!(scene.verify(&files, &["--log-index", "270"]).await.code, 1, "{path} cut");
        let mut files = sound.clone();
        files.remove(path);
        let wanted = if path == "checkpoint" { 3 } else { 1 };
        assert_eq!(scene.verify(&files, &["--log-index", "270"]).await.code, wanted, "{path} removed");
    }
    assert_eq!(scene.verify(&sound, &["--log-index", "270"]).await.code, 0);
}

#[tokio::test]
async fn a_checkpoint_by_another_key_or_of_another_log_is_refused() {
    let scene = Scene::new();
    let mut log = TestLog::about(&scene.pki.leaf, COUNT, AT);
    log.name = "example.com/other".to_owned();
    let ended = scene.verify(&log.files(), &[]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("it is of the log \"example.com/other\""), "{}", ended.stdout);
}

#[tokio::test]
async fn an_entry_that_was_swapped_in_is_noticed() {
    // Another log's certificate, its entry put where nothing of it was signed.
    let scene = Scene::new();
    let other = TestLog::about(&pki(2).leaf, COUNT, AT);
    let mut files = other.files();
    let forged = scene.log.files();
    for path in ["tile/entries/001", "tile/0/001"] {
        files.insert(path.to_owned(), forged[path].clone());
    }
    let ended = scene.verify(&files, &[]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("do not lead to the signed root"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_certificate_that_was_superseded_is_not_verified_and_hiding_it_is_noticed() {
    let scene = Scene::new();
    let mut log = TestLog::about(&scene.pki.leaf, COUNT, AT);
    let serial = scene.pki.leaf.serial().to_string();
    log.entries[500] = entry(json!({
        "at": 1_900_000_500, "kind": "superseded", "serial": serial, "step": 1, "v": 1, "why": "another key",
    }));
    let ended = scene.verify(&log.files(), &[]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("another certificate took its place at"), "{}", ended.stdout);
    assert!(ended.stdout.contains("another key"), "{}", ended.stdout);

    let mut hidden = log.files();
    hidden.insert("tile/entries/001".to_owned(), scene.log.files()["tile/entries/001"].clone());
    let ended = scene.verify(&hidden, &[]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("some were left out or edited"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_signature_without_its_intent_is_not_verified() {
    let scene = Scene::new();
    let mut log = TestLog::about(&scene.pki.leaf, COUNT, AT);
    log.entries[AT] = log.entries[0].clone();
    let ended = scene.verify(&log.files(), &[]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("not \"intent\""), "{}", ended.stdout);
}

#[tokio::test]
async fn a_proof_is_checked_with_nothing_but_the_key() {
    let scene = Scene::new();
    let proof = scene.text("web.tlog-proof");
    assert_eq!(scene.verify(&scene.log.files(), &["--write-proof", &proof]).await.code, 0);
    std::fs::remove_dir_all(scene.path("log")).unwrap();

    let key = scene.log.vkey();
    let check = ["verify", "--proof", &proof, "--log-key", &key, "-o", "json"];
    let ended = run(&check).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()["serialNumber"], scene.pki.leaf.serial().to_string());
    let file = scene.text("web.pem");
    assert_eq!(run(&["verify", &file, "--proof", &proof, "--log-key", &key]).await.code, 0);

    let other = scene.text("other.pem");
    std::fs::write(&other, pki(2).leaf.to_pem()).unwrap();
    let ended = run(&["verify", &other, "--proof", &proof, "--log-key", &key]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("about another certificate"), "{}", ended.stdout);

    let text = std::fs::read_to_string(&proof).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for number in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(number);
        std::fs::write(&proof, fewer.join("\n") + "\n").unwrap();
        assert_eq!(run(&check).await.code, 1, "without line {number}: {}", lines[number]);
    }
    std::fs::write(&proof, text.replace("index 270", "index 271")).unwrap();
    assert_eq!(run(&check).await.code, 1);
}

#[tokio::test]
async fn what_was_not_verified_leaves_no_proof() {
    let scene = Scene::new();
    let proof = scene.text("web.tlog-proof");
    let mut files = scene.log.files();
    files.get_mut("tile/0/001").unwrap()[15 * 32] ^= 1;
    assert_eq!(scene.verify(&files, &["--write-proof", &proof]).await.code, 1);
    assert!(!scene.path("web.tlog-proof").exists());
}

#[tokio::test]
async fn a_log_on_a_server_is_read_below_its_url() {
    let scene = Scene::new();
    let files = scene.log.files();
    let app = Router::new().fallback(move |uri: Uri| {
        let found = uri.path().strip_prefix("/a/log/").and_then(|path| files.get(path)).cloned();
        async move { found.ok_or(StatusCode::NOT_FOUND) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (file, key) = (scene.text("web.pem"), scene.log.vkey());
    let good = run(&["verify", &file, "--log", &format!("{base}/a/log/"), "--log-key", &key]).await;
    assert_eq!(good.code, 0, "{good:?}");
    let elsewhere = run(&["verify", &file, "--log", &base, "--log-key", &key]).await;
    assert_eq!(elsewhere.code, 3, "{elsewhere:?}");
}

#[tokio::test]
async fn the_signature_is_checked_by_two_implementations_when_the_issuer_is_at_hand() {
    let scene = Scene::new();
    let files = scene.log.files();
    let (root, other) = (scene.text("root.pem"), scene.text("other.pem"));
    std::fs::write(&root, scene.pki.root.to_pem()).unwrap();
    std::fs::write(&other, pki(2).root.to_pem()).unwrap();
    let good = scene.verify(&files, &["--issuer", &root]).await;
    assert_eq!(good.code, 0, "{good:?}");
    assert!(
        good.stdout.contains("CN=Test root signed the certificate, say aws-lc and p384"),
        "{}",
        good.stdout
    );
    let bad = scene.verify(&files, &["--issuer", &other]).await;
    assert_eq!(bad.code, 1);
    assert!(bad.stdout.contains("and did not sign the certificate"), "{}", bad.stdout);
    let leaf = scene.text("web.pem");
    assert_eq!(scene.verify(&files, &["--issuer", &leaf]).await.code, 1);
    std::fs::write(&leaf, format!("{}{}", scene.pki.leaf.to_pem(), scene.pki.root.to_pem())).unwrap();
    assert!(scene.verify(&files, &[]).await.stdout.contains("say aws-lc and p384"));
}

#[tokio::test]
async fn witnesses_that_are_named_have_to_have_cosigned() {
    let scene = Scene::new();
    let mut files = scene.log.files();
    let (one, line) = TestLog::witness("one.example/w", 3).cosign(&files["checkpoint"], 1_900_000_000);
    let (two, _) = TestLog::witness("two.example/w", 4).cosign(&files["checkpoint"], 1_900_000_000);
    files.get_mut("checkpoint").unwrap().extend(line.bytes());
    let good = scene.verify(&files, &["--witness-key", &one]).await;
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.stdout.contains("one.example/w cosigned the checkpoint at 2030-03-17T17:46:40Z"));
    let both = ["--witness-key", &one, "--witness-key", &two];
    let missing = scene.verify(&files, &both).await;
    assert_eq!(missing.code, 1);
    assert!(missing.stdout.contains("1 of 2 witnesses that are needed cosigned"), "{}", missing.stdout);
    assert_eq!(scene.verify(&files, &[&both[..], &["--witness-quorum", "1"]].concat()).await.code, 0);
    let twice = ["--witness-key", &one, "--witness-key", &one, "--witness-quorum", "2"];
    assert_eq!(scene.verify(&files, &twice).await.code, 1, "one witness counts once");
}

/// As `keywright-signer log cosign` leaves a log: the newest checkpoint bare, an older one beside it with the cosignatures.
#[tokio::test]
async fn a_checkpoint_that_was_cosigned_beside_the_newest_counts_where_witnesses_are_named() {
    let scene = Scene::new();
    let mut files = scene.log.files();
    let older = |entries: usize| {
        let log = TestLog::new(scene.log.entries[..entries].to_vec()).files().remove("checkpoint").unwrap();
        let (key, line) = TestLog::witness("one.example/w", 3).cosign(&log, 1_900_000_000);
        (key, [log, line.into_bytes()].concat())
    };
    let (key, cosigned) = older(AT + 100);
    files.insert("checkpoint.cosigned".into(), cosigned);
    let good = scene.verify(&files, &["--witness-key", &key]).await;
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.stdout.contains("one.example/w cosigned the checkpoint at"), "{}", good.stdout);
    assert!(good.stdout.contains(&format!("{} entries", AT + 100)), "{}", good.stdout);
    assert!(scene.verify(&files, &[]).await.stdout.contains(&format!("{COUNT} entries")), "the newest");
    // What the witness has not seen is not vouched for by it.
    files.insert("checkpoint.cosigned".into(), older(AT).1);
    for more in [&[][..], &["--log-index", "270"]] {
        let unseen = scene.verify(&files, &[&["--witness-key", &key][..], more].concat()).await;
        assert_eq!(unseen.code, 1, "{unseen:?}");
        assert!(unseen.stdout.contains("once witnesses have cosigned"), "{}", unseen.stdout);
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_wrong_usage() {
    let scene = Scene::new();
    write(&scene.path("log"), &scene.log.files());
    let (file, log) = (scene.text("web.pem"), scene.text("log"));
    let ended = run(&["verify", &file, "--log", &log, "--log-key", "nonsense"]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("name+hash+base64"), "{}", ended.stderr);
}
