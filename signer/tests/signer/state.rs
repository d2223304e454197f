//! The state folder under hostile hands and failing disks: refused at start, nothing signed, nothing half-true.

use crate::support::{self, Bench, LEAF, child, leaf, new_key, root, uid};
use keywright_ambient::SystemEntropy;
use keywright_pki::algorithm::KeyAlgorithm;
use keywright_signer::key_state::{StateError, change};
use keywright_signer::ledger::{Found, KeyState};
use keywright_signer::refusal::Reason;
use keywright_signer::seal::Kek;
use keywright_signer::store::{Store, StoreError};
use redb::{Database, ReadableTable as _, TableDefinition};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            // Of a folder in use: a file that was renamed or removed since it was listed.
            match fs::copy(file.path(), target) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

/// A stopped bench with two authorities and some leaves, and a copy of its state from before the leaves.
async fn grown() -> (Bench, tempfile::TempDir) {
    let mut bench = Bench::with_authorities().await;
    bench.close();
    let earlier = tempfile::tempdir().unwrap();
    copy(&bench.state(), earlier.path());
    bench.open().unwrap();
    for n in 0..150 {
        bench.issue(&leaf(&uid(n), &new_key(KeyAlgorithm::Ed25519))).await.unwrap();
    }
    bench.close();
    (bench, earlier)
}

#[tokio::test]
async fn a_reopened_signer_knows_everything() {
    let (mut bench, _) = grown().await;
    bench.open().unwrap();
    let status = bench.engine().status();
    assert_eq!((status.authorities, status.log_size, status.ready), (2, 306, true));
    assert!(bench.ensure(&root()).await.unwrap().repeated);
    bench.issue(&leaf(LEAF, &new_key(KeyAlgorithm::Ed25519))).await.unwrap();
    assert_eq!(bench.published(308).await.len(), 308);
}

#[tokio::test]
async fn a_log_that_was_cut_edited_or_put_back_is_refused_at_start() {
    let (mut bench, earlier) = grown().await;
    let log = bench.state().join("log");
    let sound = tempfile::tempdir().unwrap();
    copy(&log, sound.path());
    let restore = || {
        fs::remove_dir_all(&log).unwrap();
        copy(sound.path(), &log);
    };
    fs::remove_dir_all(&log).unwrap();
    assert!(matches!(bench.open(), Err(StoreError::Mixed(_))), "removed");
    copy(&earlier.path().join("log"), &log);
    assert!(matches!(bench.open(), Err(StoreError::Mixed(_))), "put back to an earlier time");
    for file in ["tile/0/001.p/50", "tile/1/000.p/1", "tile/entries/001.p/50"] {
        restore();
        let mut bytes = fs::read(log.join(file)).unwrap();
        bytes[20] ^= 1;
        fs::write(log.join(file), bytes).unwrap();
        assert!(matches!(bench.open(), Err(StoreError::Log(_))), "{file} edited");
        fs::remove_file(log.join(file)).unwrap();
        assert!(matches!(bench.open(), Err(StoreError::Log(_))), "{file} removed");
    }
    restore();
    let checkpoint = fs::read_to_string(log.join("checkpoint")).unwrap().replace("\n306\n", "\n305\n");
    fs::write(log.join("checkpoint"), checkpoint).unwrap();
    assert!(matches!(bench.open(), Err(StoreError::Log(_))), "checkpoint edited");
    restore();
    bench.open().unwrap();
}

#[tokio::test]
async fn a_ledger_that_was_put_back_or_lost_is_refused_at_start() {
    let (mut bench, earlier) = grown().await;
    let files = ["ledger.redb", "journal-0", "journal-1"];
    for file in files {
        fs::remove_file(bench.state().join(file)).unwrap();
    }
    assert!(matches!(bench.open(), Err(StoreError::Mixed(_))), "lost");
    for file in files {
        fs::copy(earlier.path().join(file), bench.state().join(file)).unwrap();
    }
    assert!(matches!(bench.open(), Err(StoreError::Mixed(_))), "put back");
}

const AUTHORITIES: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new("authorities");

fn edit_authorities(path: &Path, edit: impl FnOnce(&mut Vec<([u8; 16], Vec<u8>)>)) {
    let db = Database::create(path).unwrap();
    let write = db.begin_write().unwrap();
    {
        let mut table = write.open_table(AUTHORITIES).unwrap();
        let mut rows: Vec<_> = table
            .iter()
            .unwrap()
            .map(|row| row.map(|(key, value)| (*key.value(), value.value().to_vec())).unwrap())
            .collect();
        edit(&mut rows);
        for (key, row) in rows {
            table.insert(&key, row.as_slice()).unwrap();
        }
    }
    write.commit().unwrap();
}

#[tokio::test]
async fn sealed_keys_can_neither_be_moved_nor_edited_nor_put_back() {
    let (mut bench, earlier) = grown().await;
    let ledger = bench.state().join("ledger.redb");
    let sound = fs::read(&ledger).unwrap();
    edit_authorities(&ledger, |rows| {
        let other = rows[1].1.clone();
        rows[0].1 = other;
    });
    assert!(bench.open().is_err(), "moved");
    fs::write(&ledger, &sound).unwrap();
    edit_authorities(&ledger, |rows| {
        let last = rows[0].1.len() / 2;
        rows[0].1[last] ^= 1;
    });
    assert!(bench.open().is_err(), "edited");
    fs::write(&ledger, &sound).unwrap();
    bench.open().unwrap();
    let mut tighter = child();
    tighter.constraints.as_mut().unwrap().max_leaf_seconds = Some(60);
    bench.ensure(&tighter).await.unwrap();
    bench.close();
    let mut looser = Vec::new();
    edit_authorities(&earlier.path().join("ledger.redb"), |rows| looser.clone_from(rows));
    edit_authorities(&ledger, |rows| *rows = looser);
    assert!(matches!(bench.open(), Err(StoreError::Ledger(_))), "put back to looser constraints");
}

/// Changes a key's state as the command does, with the signer stopped.
fn set_state(bench: &Bench, name: &str, to: KeyState) -> Result<(), StateError> {
    let kek = Arc::new(Kek::read(&bench.dir.path().join("kek")).unwrap());
    let (store, rows) = Store::open(&bench.state(), &kek, &SystemEntropy, 1_893_456_000)?;
    change(store, rows, name.parse().unwrap(), to, 1_893_456_000)
}

#[tokio::test]
async fn a_key_signs_only_in_the_states_that_allow_it_and_a_destroyed_one_never_comes_back() {
    let (mut bench, _) = grown().await;
    let renewal = |step| {
        let mut renewal = root();
        renewal.request_key = support::request_key(support::ROOT, step);
        renewal
    };
    let second = |name: &str| {
        let mut child = child();
        child.request_key = support::request_key(name, 1);
        child
    };
    set_state(&bench, support::ROOT, KeyState::Retiring).unwrap();
    bench.open().unwrap();
    assert_eq!(bench.ensure(&second(&uid(900))).await.unwrap_err().reason, Reason::Forbidden);
    bench.issue(&leaf(&uid(901), &new_key(KeyAlgorithm::Ed25519))).await.unwrap();
    bench.ensure(&renewal(2)).await.unwrap();
    bench.close();
    assert!(matches!(set_state(&bench, support::ROOT, KeyState::Destroyed), Err(StateError::Refused { .. })));
    set_state(&bench, support::ROOT, KeyState::Disabled).unwrap();
    bench.open().unwrap();
    assert_eq!(
        bench.issue(&leaf(&uid(902), &new_key(KeyAlgorithm::Ed25519))).await.unwrap_err().reason,
        Reason::Forbidden
    );
    assert_eq!(bench.ensure(&renewal(3)).await.unwrap_err().reason, Reason::Forbidden);
    bench.close();
    set_state(&bench, support::ROOT, KeyState::Active).unwrap();
    bench.open().unwrap();
    bench.issue(&leaf(&uid(903), &new_key(KeyAlgorithm::Ed25519))).await.unwrap();
    bench.close();
    set_state(&bench, support::CHILD, KeyState::Disabled).unwrap();
    set_state(&bench, support::CHILD, KeyState::Destroyed).unwrap();
    assert!(matches!(set_state(&bench, support::CHILD, KeyState::Active), Err(StateError::Refused { .. })));
    bench.open().unwrap();
    assert_eq!(bench.ensure(&child()).await.unwrap_err().reason, Reason::Forbidden);
    assert_eq!(
        bench.issue(&leaf(&uid(904), &new_key(KeyAlgorithm::Ed25519))).await.unwrap_err().reason,
        Reason::Forbidden
    );
    let size = usize::try_from(bench.engine().status().log_size).unwrap();
    let entries = bench.published(size).await;
    let events: Vec<_> =
        entries.iter().filter(|entry| entry["kind"] == "key").map(|entry| entry["event"].clone()).collect();
    assert_eq!(events[2..], ["retiring", "disabled", "active", "disabled", "destroyed"]);
}

#[tokio::test]
async fn another_key_encryption_key_opens_nothing() {
    let (mut bench, _) = grown().await;
    fs::write(bench.dir.path().join("kek"), [7; 32]).unwrap();
    assert!(bench.open().is_err());
}

#[tokio::test]
async fn one_state_folder_serves_one_signer() {
    let mut bench = Bench::with_authorities().await;
    let first = bench.engine.take();
    assert!(matches!(bench.open(), Err(StoreError::Ledger(_))));
    drop(first);
    bench.open().unwrap();
}

#[tokio::test]
async fn a_log_behind_its_ledger_is_completed_at_start() {
    let mut bench = Bench::with_authorities().await;
    bench.close();
    let log = bench.state().join("log");
    let earlier = tempfile::tempdir().unwrap();
    copy(&log, earlier.path());
    bench.open().unwrap();
    bench.issue(&leaf(LEAF, &new_key(KeyAlgorithm::Ed25519))).await.unwrap();
    // What a crash right after the commit leaves: the ledger new, the log's files old. The copy is taken while the
    // engine runs, as a crash would.
    let crashed = tempfile::tempdir().unwrap();
    copy(&bench.state(), crashed.path());
    bench.close();
    fs::remove_dir_all(bench.state()).unwrap();
    copy(crashed.path(), &bench.state());
    fs::remove_dir_all(&log).unwrap();
    copy(earlier.path(), &log);
    bench.open().unwrap();
    let entries = bench.published(8).await;
    assert_eq!(Bench::kinds(&entries)[6..], ["intent", "signature"]);
}

#[tokio::test]
async fn an_intent_without_an_outcome_is_abandoned_at_start_and_the_request_signed_anew() {
    let mut bench = Bench::with_authorities().await;
    let request = leaf(LEAF, &new_key(KeyAlgorithm::Rsa2048));
    let mut authority = root();
    authority.key_algorithm = 7;
    authority.request_key = support::request_key(&uid(1), 1);
    bench.ensure(&authority).await.unwrap();
    let request = keywright_signer_protocol::v1alpha1::IssueRequest { authority_uid: uid(1), ..request };
    let mut cut = None;
    let kek = Arc::new(Kek::read(&bench.dir.path().join("kek")).unwrap());
    // An RSA-4096 signature takes milliseconds: copies catch the moment in between. The log is copied before the ledger,
    // so that it is behind, as after a crash.
    for n in 0..200 {
        let mut request = request.clone();
        request.request_key = support::request_key(&uid(100 + n), 1);
        let earlier = tempfile::tempdir().unwrap();
        bench.published(usize::try_from(bench.engine().status().log_size).unwrap()).await;
        copy(&bench.state().join("log"), earlier.path());
        let (answer, copies) = tokio::join!(bench.issue(&request), async {
            let mut copies = Vec::new();
            for _ in 0..8 {
                let dir = tempfile::tempdir().unwrap();
                copy(earlier.path(), &dir.path().join("log"));
                for file in ["ledger.redb", "journal-0", "journal-1"] {
                    fs::copy(bench.state().join(file), dir.path().join(file)).unwrap();
                }
                copies.push(dir);
                tokio::task::yield_now().await;
            }
            copies
        });
        answer.unwrap();
        let found = copies.into_iter().find(|copied| {
            let probe = tempfile::tempdir().unwrap();
            copy(copied.path(), probe.path());
            let found = Found::open(probe.path(), Arc::clone(&kek)).unwrap();
            found.open_intents().unwrap().len() == 1
        });
        if let Some(copied) = found {
            cut = Some((copied, request));
            break;
        }
    }
    let Some((copied, request)) = cut else {
        panic!("the moment between intent and signature was never caught")
    };
    bench.close();
    fs::remove_dir_all(bench.state()).unwrap();
    copy(copied.path(), &bench.state());
    bench.open().unwrap();
    let size = usize::try_from(bench.engine().status().log_size).unwrap();
    assert_eq!(bench.published(size).await.last().unwrap()["kind"], "abandoned");
    assert!(!bench.issue(&request).await.unwrap().repeated);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_signing_until_it_can() {
    let bench = Bench::with_authorities().await;
    bench.published(6).await;
    let log = bench.state().join("log");
    let aside = bench.state().join("aside");
    fs::rename(&log, &aside).unwrap();
    // A file where the folder was: every write fails, for root too.
    fs::write(&log, b"").unwrap();
    let mut refusal = None;
    for n in 0..100 {
        match bench.issue(&leaf(&uid(n), &new_key(KeyAlgorithm::Ed25519))).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(refused) => {
                refusal = Some(refused);
                break;
            }
        }
    }
    assert_eq!(refusal.map(|refusal| refusal.reason), Some(Reason::Unavailable));
    assert!(!bench.engine().status().ready);
    fs::remove_file(&log).unwrap();
    fs::rename(&aside, &log).unwrap();
    for _ in 0..100 {
        if bench.issue(&leaf(LEAF, &new_key(KeyAlgorithm::Ed25519))).await.is_ok() {
            let status = bench.engine().status();
            assert!(status.ready);
            let size = usize::try_from(status.log_size).unwrap();
            bench.published(size).await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never signed again");
}

/// A small file system of its own, gone with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(at).stderr(std::process::Stdio::null());
        mount.status().ok().filter(std::process::ExitStatus::success).map(|_| Self(at.to_owned()))
    }

    fn remount(&self, option: &str) {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(&self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Asks until a request is answered, which it has to be within some seconds of trouble.
async fn signs_again(bench: &Bench, n: usize) {
    for _ in 0..100 {
        if bench.issue(&leaf(&uid(n), &new_key(KeyAlgorithm::Ed25519))).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never signed again");
}

#[tokio::test]
async fn nothing_is_signed_on_a_full_or_read_only_disk_and_signing_goes_on_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("state")) else {
        println!("skipped: this user may not mount a small disk");
        return;
    };
    Kek::create(&dir.path().join("kek"), &SystemEntropy).unwrap();
    let mut bench = Bench {
        dir,
        clock: support::FixedClock::at(support::NOW),
        engine: None,
        gate: keywright_signer::approval::Gate::default(),
    };
    bench.open().unwrap();
    bench.ensure(&root()).await.unwrap();
    bench.ensure(&child()).await.unwrap();
    let filler = bench.state().join("filler");
    let refused = |n: usize| {
        let bench = &bench;
        async move {
            for attempt in 0..200 {
                match bench.issue(&leaf(&uid(n + attempt), &new_key(KeyAlgorithm::Ed25519))).await {
                    Ok(_) => {}
                    Err(refusal) => return refusal.reason,
                }
            }
            panic!("it went on signing");
        }
    };
    let mut block = 1 << 20;
    let mut file = fs::File::create(&filler).unwrap();
    while block > 0 {
        if std::io::Write::write_all(&mut file, &vec![7; block]).is_err() {
            block /= 2;
        }
    }
    assert_eq!(refused(1000).await, Reason::Unavailable, "full");
    assert!(!bench.engine().status().ready);
    drop(file);
    fs::remove_file(&filler).unwrap();
    signs_again(&bench, 1).await;
    // A disk can only be made read-only while nothing is open for writing: the engine is stopped for that moment.
    bench.close();
    disk.remount("ro");
    assert!(bench.open().is_err(), "a read-only volume");
    disk.remount("rw");
    bench.open().unwrap();
    signs_again(&bench, 2).await;
    let size = usize::try_from(bench.engine().status().log_size).unwrap();
    bench.published(size).await;
    bench.close();
    drop(disk);
}
