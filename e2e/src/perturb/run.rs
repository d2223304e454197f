//! Which cases there are, in which order they run, and what is printed.

use super::clock::{self, Clocks, Jump};
use super::crash::{Position, Reference, grouped, learn, strike};
use super::faults::{Storm, slow, storm};
use super::fuzz;
use super::judge::Faults;
use super::kinds::KINDS;
use super::proxy::Verdict;
use super::quiet::{Rest, broken};
use super::random::Random;
use super::rig::Rig;
use super::view::{self, View};
use crate::Error;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::{stream, try_join};
use keywright_ambient::{Clock, SystemClock};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many cases that touch only their own namespace run side by side.
const SIDE_BY_SIDE: usize = 12;
/// How long settled cases are watched at least before they count as at rest.
const REST: Duration = Duration::from_secs(3);

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Under two minutes: each position once, several in one run.
    Short,
    /// Everything.
    All,
}

impl Extent {
    fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::All => "all",
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much.
    pub extent: Extent,
    /// Determines all that is chosen.
    pub seed: u64,
    /// Only cases whose names begin so.
    pub case: Option<String>,
}

/// What became of a run.
struct Session {
    options: Options,
    namespaces: AtomicUsize,
    passed: AtomicUsize,
    failed: AtomicUsize,
    missed: AtomicUsize,
    rests: Mutex<Vec<Rest>>,
}

/// Plays a case in a namespace. Answers how many positions did not come by, and what was wrong.
type Play =
    dyn for<'a> Fn(&'a Rig, &'a Reference, String) -> LocalBoxFuture<'a, Result<(usize, Faults), Error>>;

/// One case.
struct Case {
    name: String,
    play: Box<Play>,
}

/// Runs the cases. Answers whether all passed.
///
/// Errors: the control plane or the product could not be brought up.
pub fn run(options: Options) -> LocalBoxFuture<'static, Result<bool, Error>> {
    Box::pin(async move {
        let begun = SystemClock.monotonic();
        let session = Session {
            options,
            namespaces: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            missed: AtomicUsize::new(0),
            rests: Mutex::default(),
        };
        let rig = Rig::start().await?;
        println!("control plane, signer and operator are up after {} s", begun.elapsed().as_secs());
        let cases = async {
            session.everything(&rig).await?;
            session.keep_logs_of(&rig)
        };
        try_join!(cases, session.upheavals())?;
        drop(rig);
        let failed = session.failed.load(Ordering::Acquire);
        let passed = session.passed.load(Ordering::Acquire);
        let missed = session.missed.load(Ordering::Acquire);
        if missed > 0 {
            println!("{missed} positions did not come by in the runs that were to strike them");
        }
        println!(
            "perturb-{}: {} cases, {passed} passed, {failed} failed, seed {}, {} s",
            session.options.extent.name(),
            passed + failed,
            session.options.seed,
            begun.elapsed().as_secs()
        );
        Ok(failed == 0)
    })
}

/// A case that could not be played to its end is a fault too.
fn faults_of(namespace: &str, played: Result<Faults, Error>) -> Faults {
    played.unwrap_or_else(|error| vec![format!("{namespace}: {error}")])
}

/// The faults of a case on a rig of its own, and what was written to it after it had settled without any.
async fn at_rest(rig: &Rig, case: &str, namespace: &str, mut faults: Faults) -> Result<Faults, Error> {
    if faults.is_empty() {
        let log = rig.plane.site().audit_log();
        let rest = Rest::from_now(case, namespace, &log)?;
        tokio::time::sleep(REST).await;
        faults.extend(
            broken(&[rest], &log)?.into_iter().map(|(_, words)| format!("after it had settled: {words}")),
        );
    }
    Ok(faults)
}

/// Copies what the processes and the API server wrote out of the folder that ends with this run.
fn keep_logs(rig: &Rig, seed: u64) -> Result<PathBuf, Error> {
    let site = rig.plane.site();
    let name = format!("keywright-perturb-{seed}-{}-{}", std::process::id(), site.ports.etcd);
    let kept = std::env::temp_dir().join(name);
    let mut copy = Command::new("cp");
    copy.arg("-r")
        .arg("--")
        .args([site.logs(), site.audit_log(), site.signer_state().join("log")])
        .arg(&kept);
    std::fs::create_dir_all(&kept).map_err(Error::file("make", &kept))?;
    crate::assets::run(&mut copy)?;
    Ok(kept)
}

impl Session {
    fn wants(&self, name: &str) -> bool {
        self.options.case.as_deref().is_none_or(|case| name.starts_with(case))
    }

    fn namespace(&self) -> String {
        format!("k{}", self.namespaces.fetch_add(1, Ordering::AcqRel))
    }

    fn tell(&self, name: &str, taken: Duration, faults: &[String]) {
        if faults.is_empty() {
            self.passed.fetch_add(1, Ordering::AcqRel);
            println!("  passed {name} ({:.1} s)", taken.as_secs_f32());
            return;
        }
        self.failed.fetch_add(1, Ordering::AcqRel);
        println!("  FAILED {name} ({:.1} s), seed {}", taken.as_secs_f32(), self.options.seed);
        for fault in faults {
            println!("         {fault}");
        }
        println!(
            "         again: target/release/keywright-perturb {} --seed {} --case {name}",
            self.options.extent.name(),
            self.options.seed
        );
    }

    async fn everything(&self, rig: &Rig) -> Result<(), Error> {
        let begun = SystemClock.monotonic();
        let (plain, scratch) = (self.namespace(), self.namespace());
        let (reference, faults) = learn(rig, &plain, &scratch).await?;
        self.tell("undisturbed", begun.elapsed(), &faults);
        self.rests("undisturbed", &plain, rig)?;
        self.rests("undisturbed", &scratch, rig)?;
        println!("{} writes and calls in an undisturbed run", reference.positions.len());

        for case in self.strikes("crash/operator", &reference.positions, &Verdict::Kill) {
            self.one(rig, &reference, &case).await?;
        }
        // A signer that falls concerns everybody too, but who waits for it only waits.
        let calls: Vec<Position> = reference.positions.iter().filter(|p| p.of_signer).cloned().collect();
        let mut beside = self.strikes("crash/signer", &calls, &Verdict::Fell);
        beside.extend(self.beside(&reference));
        self.side_by_side(rig, &reference, &beside).await?;
        for case in self.views() {
            self.one(rig, &reference, &case).await?;
        }
        self.quiescence(rig).await
    }

    /// Cases after which nothing is as it was, on rigs of their own, beside the others.
    async fn upheavals(&self) -> Result<(), Error> {
        let jumps: Vec<Jump> = Jump::ALL.into_iter().filter(|jump| self.wants(jump.name())).collect();
        if !jumps.is_empty() {
            let clocks = Clocks::new()?;
            let rig = Rig::with(Some(&clocks)).await?;
            for jump in jumps {
                let begun = SystemClock.monotonic();
                let namespace = self.namespace();
                let played = clock::play(&rig, &clocks, &namespace, jump).await;
                let faults = at_rest(&rig, jump.name(), &namespace, faults_of(&namespace, played)).await?;
                self.tell(jump.name(), begun.elapsed(), &faults);
            }
            self.keep_logs_of(&rig)?;
        }
        let restore = "restore/older-snapshot";
        if self.options.extent == Extent::All && self.wants(restore) {
            let mut rig = Rig::start().await?;
            let begun = SystemClock.monotonic();
            let namespace = self.namespace();
            let played = super::restore::play(&mut rig, &namespace).await;
            let faults = at_rest(&rig, restore, &namespace, faults_of(&namespace, played)).await?;
            self.tell(restore, begun.elapsed(), &faults);
            self.keep_logs_of(&rig)?;
        }
        Ok(())
    }

    fn keep_logs_of(&self, rig: &Rig) -> Result<(), Error> {
        if self.failed.load(Ordering::Acquire) > 0 {
            println!("logs are kept in {}", keep_logs(rig, self.options.seed)?.display());
        }
        Ok(())
    }

    async fn side_by_side(&self, rig: &Rig, reference: &Reference, cases: &[Case]) -> Result<(), Error> {
        let playing = stream::iter(cases).map(|case| self.one(rig, reference, case));
        let played: Vec<Result<(), Error>> = playing.buffer_unordered(SIDE_BY_SIDE).collect().await;
        played.into_iter().collect()
    }

    fn rests(&self, case: &str, namespace: &str, rig: &Rig) -> Result<(), Error> {
        let rest = Rest::from_now(case, namespace, &rig.plane.site().audit_log())?;
        self.rests.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(rest);
        Ok(())
    }

    async fn one(&self, rig: &Rig, reference: &Reference, case: &Case) -> Result<(), Error> {
        if !self.wants(&case.name) {
            return Ok(());
        }
        let begun = SystemClock.monotonic();
        let namespace = self.namespace();
        let faults = match (case.play)(rig, reference, namespace.clone()).await {
            Ok((missed, faults)) => {
                self.missed.fetch_add(missed, Ordering::AcqRel);
                faults
            }
            Err(error) => vec![format!("{namespace}: {error}")],
        };
        self.tell(&case.name, begun.elapsed(), &faults);
        if faults.is_empty() { self.rests(&case.name, &namespace, rig) } else { Ok(()) }
    }

    /// Cases that spoil requests of their own namespace only.
    fn beside(&self, reference: &Reference) -> Vec<Case> {
        let mut cases = self.strikes("lost-answer", &reference.positions, &Verdict::Lose);
        let seed = self.options.seed;
        for kind in Storm::ALL {
            for (side, calls) in [("api", false), ("signer", true)] {
                if calls && matches!(kind, Storm::Conflicts | Storm::TooMany) {
                    continue;
                }
                let name = format!("storm/{side}/{}", kind.name());
                let random = Random::of(seed, &name);
                cases.push(Case {
                    name,
                    play: Box::new(move |rig, reference, namespace| {
                        let random = random.clone();
                        Box::pin(async move {
                            Ok((0, storm(rig, &namespace, reference, kind, calls, random).await?))
                        })
                    }),
                });
            }
        }
        let transitions = match self.options.extent {
            Extent::Short => 30,
            Extent::All => 1000,
        };
        for kind in &KINDS {
            let name = kind.case();
            let random = Random::of(seed, &name);
            cases.push(Case {
                name,
                play: Box::new(move |rig, _, namespace| {
                    let random = random.clone();
                    Box::pin(
                        async move { Ok((0, fuzz::walk(rig, &namespace, kind, transitions, random).await?)) },
                    )
                }),
            });
        }
        cases.push(Case {
            name: "slow/5s".into(),
            play: Box::new(|rig, _, namespace| {
                Box::pin(async move { Ok((0, slow(rig, &namespace, Duration::from_secs(5)).await?)) })
            }),
        });
        cases
    }

    fn views(&self) -> Vec<Case> {
        let expire = self.options.extent == Extent::All;
        let case = |view: View| Case {
            name: view.name().into(),
            play: Box::new(move |rig, _, namespace| {
                Box::pin(async move { Ok((0, view::play(rig, &namespace, view, expire).await?)) })
            }),
        };
        let views = match self.options.extent {
            Extent::Short => View::SHORT.to_vec(),
            Extent::All => View::ALL.to_vec(),
        };
        views.into_iter().map(case).collect()
    }

    fn strikes(&self, what: &str, positions: &[Position], verdict: &Verdict) -> Vec<Case> {
        let groups: Vec<(String, Vec<Position>)> = match self.options.extent {
            Extent::Short => {
                let numbered = grouped(positions).into_iter().enumerate();
                numbered.map(|(number, group)| (format!("{what}/{}", number + 1), group)).collect()
            }
            Extent::All => positions.iter().map(|p| (format!("{what}/{p}"), vec![p.clone()])).collect(),
        };
        let case = |(name, group): (String, Vec<Position>)| {
            let verdict = verdict.clone();
            Case {
                name,
                play: Box::new(move |rig, reference, namespace| {
                    let (group, verdict) = (group.clone(), verdict.clone());
                    Box::pin(async move {
                        let wanted = group.len();
                        let (struck, faults) = strike(rig, &namespace, reference, group, verdict).await?;
                        Ok((wanted - struck.min(wanted), faults))
                    })
                }),
            }
        };
        groups.into_iter().map(case).collect()
    }

    /// Nothing that settled was written to again.
    async fn quiescence(&self, rig: &Rig) -> Result<(), Error> {
        let begun = SystemClock.monotonic();
        tokio::time::sleep(REST).await;
        let rests =
            std::mem::take(&mut *self.rests.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let broken = broken(&rests, &rig.plane.site().audit_log())?;
        let faults: Vec<String> =
            broken.into_iter().map(|(case, words)| format!("after {case} had settled: {words}")).collect();
        self.tell("quiescence", begun.elapsed(), &faults);
        Ok(())
    }
}
