//! The log under hostile hands, by the binary alone: refused at start, told by `log fsck`, nothing signed.

use crate::support::{ROOT, foreign_log, leaf, new_key, root, uid};
use crate::world::World;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer_protocol::v1alpha1 as wire;
use std::fs;
use std::path::{Path, PathBuf};

/// A stopped signer with a log of several full bundles, and the checkpoint it had before the last of them.
async fn grown() -> (World, PathBuf) {
    let mut world = World::new();
    world.start();
    let mut operator = world.client("operator-tls");
    operator.ensure_authority(root()).await.unwrap();
    let key = new_key(KeyAlgorithm::Ed25519);
    let mut issue = async |from: usize| {
        let request = |n| wire::IssueRequest { authority_uid: ROOT.into(), ..leaf(&uid(n), &key) };
        let requests = (from..from + 200).map(request).collect();
        operator.issue_batch(wire::IssueBatchRequest { requests }).await.unwrap();
    };
    issue(0).await;
    world.signal("-TERM");
    let earlier = world.path("earlier");
    fs::copy(world.path("state/log/checkpoint"), &earlier).unwrap();
    world.start();
    issue(200).await;
    issue(400).await;
    assert!(world.signal("-TERM").success());
    (world, earlier)
}

fn fsck(world: &World, more: &[&str]) -> (bool, String) {
    let state = world.path("state");
    let output = World::command(&[&["log", "fsck", "--state-dir", state.to_str().unwrap()], more].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// Whether the process ends by itself, with words about the log.
fn refuses_to_start(world: &World) -> bool {
    let output = world.run().output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    !output.status.success() && text.contains("log")
}

fn change(file: &Path, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let sound = fs::read(file).unwrap();
    let mut bytes = sound.clone();
    edit(&mut bytes);
    fs::write(file, bytes).unwrap();
    sound
}

/// Edits a file.
type Edit = fn(&mut Vec<u8>);

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_anywhere_in_the_log_is_refused_at_start_and_found_by_fsck() {
    let (mut world, earlier) = grown().await;
    let size = foreign_log(&world.path("state/log")).len();
    assert_eq!(size, 3 + 2 * 600);
    let earlier = earlier.to_str().unwrap();
    let (sound, text) = fsck(&world, &["--earlier", earlier]);
    assert!(sound, "{text}");
    let edits: [Edit; 4] = [
        |bytes| bytes[2000] ^= 1,
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.extend(*b"\0\x02{}"),
        // Another word of the same length: what a hostile administrator would do.
        |bytes| {
            let at = bytes.windows(9).position(|window| window == b"keywright").unwrap();
            bytes[at..at + 9].copy_from_slice(b"keywrites");
        },
    ];
    for file in ["tile/entries/000", "tile/entries/002", "tile/entries/003"] {
        let file = world.path("state/log").join(file);
        for edit in edits {
            let sound = change(&file, edit);
            assert!(refuses_to_start(&world), "{}", file.display());
            let (good, text) = fsck(&world, &[]);
            assert!(!good && text.contains("edited"), "{text}");
            fs::write(&file, sound).unwrap();
        }
    }
    for file in ["tile/0/001", "tile/0/003", "checkpoint"] {
        let file = world.path("state/log").join(file);
        let sound = change(&file, |bytes| bytes[50] ^= 1);
        assert!(refuses_to_start(&world) && !fsck(&world, &[]).0, "{}", file.display());
        fs::write(&file, sound).unwrap();
    }
    world.start();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_or_replaced_by_another_history_is_refused_and_told() {
    let (mut world, earlier) = grown().await;
    let log = world.path("state/log");
    let sound = fs::read(log.join("checkpoint")).unwrap();
    // The old checkpoint put back: all that it speaks of is there, so only memory of the longer log tells.
    fs::copy(&earlier, log.join("checkpoint")).unwrap();
    assert!(refuses_to_start(&world), "cut back to an earlier checkpoint");
    fs::write(world.path("newer"), &sound).unwrap();
    let newer = world.path("newer");
    let (good, text) = fsck(&world, &["--earlier", newer.to_str().unwrap()]);
    assert!(!good && text.contains("cut"), "{text}");
    fs::write(log.join("checkpoint"), &sound).unwrap();
    // The log of another signer, sound in itself.
    let (other, _) = grown().await;
    fs::rename(&log, world.path("aside")).unwrap();
    fs::rename(other.path("state/log"), &log).unwrap();
    assert!(refuses_to_start(&world), "another log");
    assert!(!fsck(&world, &[]).0, "another log");
    fs::remove_dir_all(&log).unwrap();
    assert!(refuses_to_start(&world), "no log");
    fs::rename(world.path("aside"), &log).unwrap();
    world.start();
}

#[test]
fn commands_by_hand_make_no_signer_where_none_was() {
    let world = World::new();
    let (state, kek) = (world.path("mistyped"), world.path("kek"));
    let places = ["--state-dir", state.to_str().unwrap(), "--kek-file", kek.to_str().unwrap()];
    for command in [&["key", "list"][..], &["key", "disable"], &["fencing", "reset"]] {
        let uid: &[&str] = if command[1] == "disable" { &[ROOT] } else { &[] };
        let output = World::command(&[command, &places, uid].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("holds no ledger"), "{command:?}: {said}");
        assert!(!state.exists(), "{command:?} made a state folder");
    }
}
