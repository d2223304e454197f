//! The harness itself: planes side by side, what survives a kill, and that nothing is left however a test ends.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use k8s_openapi::api::core::v1::ConfigMap;
use keywright_e2e::{ControlPlane, Identity, Process, wait_for};
use kube::Api;
use kube::api::{ListParams, PostParams};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONTROL_PLANE: [Process; 3] = [Process::Etcd, Process::KubeApiserver, Process::KubeControllerManager];

fn config_map(name: &str) -> ConfigMap {
    let mut object = ConfigMap::default();
    object.metadata.name = Some(name.into());
    object
}

async fn names(plane: &ControlPlane) -> Vec<String> {
    let maps: Api<ConfigMap> = Api::namespaced(plane.client(), "default");
    let list = maps.list(&ListParams::default()).await.unwrap();
    let names = list.items.into_iter().filter_map(|map| map.metadata.name);
    names.filter(|name| name != "kube-root-ca.crt").collect()
}

#[tokio::test]
async fn two_planes_run_side_by_side_and_know_nothing_of_each_other() {
    let (one, other) = tokio::join!(ControlPlane::start(), ControlPlane::start());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.kubectl(&["version"]).unwrap().contains("Server Version: v1.36"));

    let mark = one.audit().mark().unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(one.client(), "default");
    maps.create(&PostParams::default(), &config_map("only-here")).await.unwrap();
    assert_eq!(names(&one).await, ["only-here"]);
    assert_eq!(names(&other).await, Vec::<String>::new());

    let asked = wait_for("the request is in the audit log", Duration::from_secs(5), async || {
        let events = one.audit().since(mark)?;
        Ok(events.into_iter().find(|event| event.verb == "create" && event.user.username == "admin"))
    });
    let asked = asked.await.unwrap();
    assert!(asked.is_mutating());
    assert_eq!((asked.object_ref.resource.as_str(), asked.user.username.as_str()), ("configmaps", "admin"));
    assert_eq!(asked.response_status.code, 201);
}

#[tokio::test]
async fn a_killed_control_plane_comes_back_with_its_data_at_the_same_address() {
    let mut plane = ControlPlane::start().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client(), "default");
    maps.create(&PostParams::default(), &config_map("kept")).await.unwrap();
    for process in CONTROL_PLANE {
        plane.kill(process).unwrap();
        assert!(!plane.is_alive(process));
    }
    plane.recover().await.unwrap();
    assert_eq!(names(&plane).await, ["kept"]);
}

/// How a child test ends.
const ENDING: &str = "KEYWRIGHT_E2E_ENDING";
/// Where it writes the pids of its plane.
const PIDS: &str = "KEYWRIGHT_E2E_PIDS";

/// Run as a process of its own by the tests below; on its own it has nothing to do.
#[tokio::test]
async fn child_that_holds_a_plane() {
    let Ok(ending) = std::env::var(ENDING) else { return };
    let plane = ControlPlane::start().await.unwrap();
    let pids: Vec<String> =
        CONTROL_PLANE.into_iter().map(|process| plane.pid(process).unwrap().to_string()).collect();
    let path = PathBuf::from(std::env::var_os(PIDS).unwrap());
    std::fs::write(path.with_extension("new"), pids.join("\n")).unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
    assert_ne!(ending, "panic", "this panic is wanted: it must leave no process behind");
    std::future::pending::<()>().await;
}

/// A child test, ended with the test that started it.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the child and returns it with the processes of its plane once that is ready.
async fn child(ending: &str, folder: &Path) -> (KilledOnDrop, Vec<Identity>) {
    let path = folder.join("pids");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_holds_a_plane", "--nocapture"])
        .env(ENDING, ending)
        .env(PIDS, &path)
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = KilledOnDrop(child);
    let pids = wait_for("the child's plane is ready", Duration::from_mins(1), async || {
        Ok(std::fs::read_to_string(&path).ok())
    });
    let pids = pids.await.unwrap();
    (child, pids.lines().filter_map(|pid| Identity::of(pid.parse().unwrap())).collect())
}

async fn until_none_is_left(processes: &[Identity]) {
    wait_for("no process of the child's plane is left", Duration::from_secs(5), async || {
        Ok((!processes.iter().any(|process| process.is_alive())).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_killed_test_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, processes) = child("never", folder.path()).await;
    assert_eq!(processes.iter().filter(|process| process.is_alive()).count(), 3);
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    until_none_is_left(&processes).await;
}

#[tokio::test]
async fn an_interrupted_test_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, processes) = child("never", folder.path()).await;
    assert!(Identity::of(i32::try_from(child.0.id()).unwrap()).unwrap().signal(rustix::process::Signal::INT));
    child.0.wait().unwrap();
    until_none_is_left(&processes).await;
}

#[tokio::test]
async fn a_panicking_test_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, processes) = child("panic", folder.path()).await;
    assert!(!child.0.wait().unwrap().success());
    until_none_is_left(&processes).await;
}

#[test]
fn a_folder_of_ready_binaries_is_checked_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/build.sh");
    let ask =
        || Command::new(&script).arg("--where").env("KEYWRIGHT_KUBE_ASSETS", folder.path()).output().unwrap();
    let mut missing = vec!["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];
    while let Some(name) = missing.first() {
        let answer = ask();
        let words = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(!answer.status.success() && words.contains(&format!("has no executable {name}:")), "{words}");
        std::os::unix::fs::symlink("/bin/true", folder.path().join(name)).unwrap();
        missing.remove(0);
    }
    let answer = ask();
    assert!(answer.status.success(), "{answer:?}");
    let shown = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim_end());
    assert_eq!(shown.canonicalize().unwrap(), folder.path().canonicalize().unwrap());
}
