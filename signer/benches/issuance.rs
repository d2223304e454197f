//! How fast certificates are issued, against what their primitives alone would allow on the same cores.
//!
//! Starts the real binary, asks it through mutual TLS with durable logging, at several numbers of callers, one request a
//! call and 16 a call, for authorities of three algorithms; the caller runs on the same cores. Prints a table and writes
//! JSON. `ratio` is issuances per second over `cores / (proof of possession + signature + verification of the own
//! signature)`, the primitives measured in the same run on all cores at once. The certified keys are ECDSA P-256 throughout.
//! `signer_cpu_ratio` is the signer's processor time for each certificate over the same sum: other work on the machine
//! hardly changes it.
//!
//! All callers share one connection and one thread, as they would in a client that has other work than waiting: what they
//! do is form requests and read answers, and what it takes is printed beside the signer's own.
//!
//! Options: `--out FILE`, `--seconds N` per row (default 2), `--callers N` and `--algorithm NAME` to run a part,
//! `--start N` to measure, instead, the start with a log of N entries and the memory with 1,000 keys.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark ends at the first surprise")]

#[path = "../tests/support/mod.rs"]
mod support;

use keywright_pki::algorithm::KeyAlgorithm;
use keywright_pki::csr::Csr;
use keywright_signer_protocol::v1alpha1 as wire;
use keywright_signer_protocol::{SignerClient, Timeouts, connect};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Installation, leaf, new_key, root, uid};

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), request: Duration::from_mins(1) };
/// Requests in one call of the batched rows.
const BATCH: usize = 16;
const AUTHORITIES: [(KeyAlgorithm, wire::KeyAlgorithm, &str); 3] = [
    (KeyAlgorithm::EcdsaP256, wire::KeyAlgorithm::EcdsaP256, "ECDSA-P256"),
    (KeyAlgorithm::EcdsaP384, wire::KeyAlgorithm::EcdsaP384, "ECDSA-P384"),
    (KeyAlgorithm::MlDsa65, wire::KeyAlgorithm::MlDsa65, "ML-DSA-65"),
];

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Microseconds that `work` takes while all cores do it: the median of many runs. Cores that share their parts, as two threads
/// of one do, are slower together than one of them alone.
fn microseconds(work: impl Fn() + Sync) -> f64 {
    let timed = || -> Vec<f64> {
        let run = |_| {
            let start = now();
            work();
            start.elapsed().as_secs_f64() * 1e6
        };
        (0..400).map(run).collect()
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    let mut runs: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(timed)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}

/// Proof of possession, signature, verification of the own signature, in microseconds.
fn primitives(leaf: KeyAlgorithm, authority: KeyAlgorithm) -> [f64; 3] {
    let request = support::pkcs10(&new_key(leaf));
    let key = new_key(authority);
    let message = vec![7; 600];
    let signature = key.sign(&message).unwrap();
    [
        microseconds(|| drop(Csr::parse(&request).unwrap())),
        microseconds(|| drop(key.sign(&message).unwrap())),
        microseconds(|| key.public_key().verify(&message, &signature).unwrap()),
    ]
}

struct Options {
    out: Option<String>,
    seconds: f64,
    callers: Vec<usize>,
    algorithm: Option<String>,
    start: Option<usize>,
}

fn options() -> Options {
    let mut options =
        Options { out: None, seconds: 2.0, callers: vec![1, 16, 64, 256], algorithm: None, start: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--out" => options.out = arguments.next(),
            "--seconds" => options.seconds = arguments.next().unwrap().parse().unwrap(),
            "--callers" => options.callers = vec![arguments.next().unwrap().parse().unwrap()],
            "--algorithm" => options.algorithm = arguments.next(),
            "--start" => options.start = Some(arguments.next().unwrap().parse().unwrap()),
            _ => {} // cargo passes --bench
        }
    }
    options
}

struct World {
    dir: tempfile::TempDir,
    listen: SocketAddr,
    health: SocketAddr,
    process: Option<Child>,
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl World {
    fn new() -> Self {
        // On the disk that the build is on: a temporary folder may be memory, where fsync costs nothing.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let installation = Installation::new();
        let signer = installation.end("keywright-signer");
        let operator = installation.end("keywright-operator");
        installation.folder(&dir.path().join("s"), &signer, &[("keywright-operator", "operator", &operator)]);
        installation.folder(&dir.path().join("o"), &operator, &[("keywright-signer", "signer", &signer)]);
        let kek = dir.path().join("kek");
        let made = Command::new(binary()).args(["kek", "create"]).arg(kek).stdout(Stdio::null()).status();
        assert!(made.unwrap().success());
        Self { dir, listen: free_address(), health: free_address(), process: None }
    }

    /// Starts the process; how long until it is ready.
    fn start(&mut self) -> Duration {
        let path = |name: &str| self.dir.path().join(name);
        let mut command = Command::new(binary());
        command.arg("run").env("KEYWRIGHT_LOG", "warn");
        for (option, value) in [("--state-dir", "state"), ("--kek-file", "kek"), ("--tls-dir", "s")] {
            command.arg(option).arg(path(value));
        }
        command.args(["--listen", &self.listen.to_string(), "--health-listen", &self.health.to_string()]);
        let begun = now();
        self.process = Some(command.spawn().unwrap());
        loop {
            use std::io::{Read as _, Write as _};
            if let Ok(mut stream) = TcpStream::connect(self.health) {
                let _ = write!(stream, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                let mut answer = String::new();
                let _ = stream.read_to_string(&mut answer);
                if answer.starts_with("HTTP/1.1 200") {
                    return begun.elapsed();
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn stop(&mut self, signal: &str) {
        let mut process = self.process.take().unwrap();
        Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
        process.wait().unwrap();
    }

    fn client(&self) -> SignerClient {
        connect(&self.listen.to_string(), &self.dir.path().join("o"), TIMEOUTS).unwrap()
    }

    /// Seconds of processor time that the signer and this process have used.
    fn processor(&self) -> [f64; 2] {
        let of = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
        };
        [of(self.process.as_ref().unwrap().id()), of(std::process::id())]
    }

    /// Resident memory of the process, in MiB.
    fn resident(&self) -> f64 {
        let pid = self.process.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_keywright-signer")
}

struct Row {
    /// Processor time of the signer and of the caller per certificate, in microseconds.
    cpu: [f64; 2],
    per_second: f64,
    p50: f64,
    p99: f64,
}

/// Issues with so many callers for so long; each caller waits for its answer before it asks again.
async fn issue(
    world: &World,
    authority: &str,
    requests: &Arc<Vec<Vec<u8>>>,
    next: &Arc<AtomicUsize>,
    callers: usize,
    batched: bool,
    seconds: f64,
) -> Row {
    let client = world.client();
    let warm = now() + Duration::from_secs_f64(0.3);
    let end = warm + Duration::from_secs_f64(seconds);
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (mut client, requests, next, authority) =
                (client.clone(), Arc::clone(requests), Arc::clone(next), authority.to_owned());
            tokio::spawn(async move {
                let key = new_key(KeyAlgorithm::EcdsaP256);
                let template = leaf(&uid(0), &key);
                let ask = || {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    wire::IssueRequest {
                        request_key: support::request_key(&scattered(n), 1),
                        authority_uid: authority.clone(),
                        pkcs10: requests[n % requests.len()].clone(),
                        ..template.clone()
                    }
                };
                let mut times = Vec::new();
                while now() < end {
                    let begun = now();
                    let made = if batched {
                        let requests = (0..BATCH).map(|_| ask()).collect();
                        let answer = client.issue_batch(wire::IssueBatchRequest { requests }).await.unwrap();
                        let results = answer.into_inner().results;
                        assert!(
                            results
                                .iter()
                                .all(|one| matches!(one.result, Some(wire::issue_result::Result::Issued(_))))
                        );
                        results.len()
                    } else {
                        client.issue(ask()).await.unwrap();
                        1
                    };
                    let done = now();
                    if done >= warm && done < end {
                        times.push(((done - begun).as_secs_f64() * 1e3, made));
                    }
                }
                times
            })
        })
        .collect();
    tokio::time::sleep(warm - now()).await;
    let before = world.processor();
    tokio::time::sleep(end - now()).await;
    let after = world.processor();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let made: usize = times.iter().map(|(_, made)| made).sum();
    let mut times: Vec<f64> = times.into_iter().map(|(time, _)| time).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let made = made as f64;
    let cpu = [0, 1].map(|n| (after[n] - before[n]) * 1e6 / made);
    Row { cpu, per_second: made / seconds, p50: at(0.5), p99: at(0.99) }
}

/// UIDs in no order, as the API server's are.
fn scattered(n: usize) -> String {
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08x}-{:04x}-4{:03x}-a000-{n:012x}", mixed >> 32, (mixed >> 16) & 0xffff, mixed & 0xfff)
}

async fn rates(options: &Options) -> serde_json::Value {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rows = Vec::new();
    let mut costs = Vec::new();
    for (algorithm, number, name) in AUTHORITIES {
        if options.algorithm.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        for (leaf, _, leaf_name) in AUTHORITIES {
            let [proof, sign, verify] = primitives(leaf, algorithm);
            costs.push(serde_json::json!({"authority": name, "leaf": leaf_name, "proof_us": proof, "sign_us": sign, "verify_us": verify}));
        }
        let sum: f64 = primitives(KeyAlgorithm::EcdsaP256, algorithm).iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        let ideal = cores as f64 * 1e6 / sum;
        println!("{name}: primitives {sum:.0} us a certificate, {ideal:.0}/s on {cores} cores");
        let mut world = World::new();
        world.start();
        let ensure = wire::EnsureAuthorityRequest { key_algorithm: number.into(), ..root() };
        world.client().ensure_authority(ensure).await.unwrap();
        let requests: Vec<_> = (0..32).map(|_| support::pkcs10(&new_key(KeyAlgorithm::EcdsaP256))).collect();
        let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
        for batched in [false, true] {
            for &callers in &options.callers {
                let row =
                    issue(&world, support::ROOT, &requests, &next, callers, batched, options.seconds).await;
                let (mode, ratio) = (if batched { "batched" } else { "single" }, row.per_second / ideal);
                println!(
                    "{name:11} {mode:8} {callers:4} callers {:8.0}/s  p50 {:7.2} ms  p99 {:7.2} ms  ratio {ratio:.2}  cpu {:.0}+{:.0} us ({:.2} of the primitives)",
                    row.per_second,
                    row.p50,
                    row.p99,
                    row.cpu[0],
                    row.cpu[1],
                    row.cpu[0] / sum
                );
                rows.push(serde_json::json!({
                    "algorithm": name, "leaf": "ECDSA-P256", "callers": callers, "mode": mode,
                    "per_second": row.per_second, "p50_ms": row.p50, "p99_ms": row.p99, "ratio": ratio,
                    "signer_cpu_us": row.cpu[0], "caller_cpu_us": row.cpu[1], "primitives_us": sum,
                    "signer_cpu_ratio": row.cpu[0] / sum,
                }));
            }
        }
        let busy = world.resident();
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!(
            "{name:11} resident {busy:.1} MiB at the end of it, {:.1} MiB two seconds later",
            world.resident()
        );
        world.stop("-TERM");
    }
    serde_json::json!({"cores": cores, "batch": BATCH, "primitives": costs, "rows": rows})
}

/// Start with a long log, and memory with many keys.
async fn start(entries: usize) -> serde_json::Value {
    let mut world = World::new();
    world.start();
    let client = world.client();
    for n in 0..1000 {
        let request_key = support::request_key(&uid(n), 1);
        client
            .clone()
            .ensure_authority(wire::EnsureAuthorityRequest { request_key, ..root() })
            .await
            .unwrap();
    }
    let memory = world.resident();
    println!("resident {memory:.1} MiB with 1,000 keys");
    let requests = Arc::new(vec![support::pkcs10(&new_key(KeyAlgorithm::Ed25519))]);
    let next = Arc::new(AtomicUsize::new(0));
    let begun = now();
    while next.load(Ordering::Relaxed) * 2 < entries {
        issue(&world, &uid(0), &requests, &next, 16, true, 5.0).await;
    }
    let size = client.clone().get_status(wire::GetStatusRequest {}).await.unwrap().into_inner().log_size;
    println!(
        "{size} entries after {:.0} s, resident {:.1} MiB",
        begun.elapsed().as_secs_f64(),
        world.resident()
    );
    world.stop("-TERM");
    let clean = world.start().as_secs_f64();
    println!("ready {clean:.3} s after a clean stop, resident {:.1} MiB", world.resident());
    issue(&world, &uid(0), &requests, &next, 16, false, 0.5).await;
    world.stop("-KILL");
    let killed = world.start().as_secs_f64();
    println!("ready {killed:.3} s after kill -9");
    serde_json::json!({"entries": size, "resident_mib_with_1000_keys": memory, "start_s": clean, "start_after_kill_s": killed})
}

fn main() {
    let options = options();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = match options.start {
        Some(entries) => runtime.block_on(start(entries)),
        None => runtime.block_on(rates(&options)),
    };
    if let Some(out) = &options.out {
        if let Some(folder) = std::path::Path::new(out).parent() {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(out, serde_json::to_vec_pretty(&result).unwrap()).unwrap();
        println!("written to {out}");
    }
}
