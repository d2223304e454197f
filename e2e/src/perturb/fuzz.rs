//! Walks through specs that nobody would write: mutations derived from the schemas of the resource definitions.
//!
//! After each accepted mutation the object must say where it stands: Ready, or why not, with a reason. Whatever it says,
//! what lies in the Secret of a certificate that was good stays a certificate with its key. And going back to the spec
//! of before leads back to Ready; of an authority it may also be refused, as a limit that was fixed stays. Before that, an
//! object that is made with the mutated spec from the start must come to say the same.
//!
//! Kinds that never change are made anew with each mutation. A class of approvals has no status: a request that is filed
//! under it says where it stands.

use super::cluster::{Cluster, condition, is_observed, is_ready, path, text};
use super::faults::until_ready;
use super::judge::{Faults, opinion};
use super::kinds::{Back, Change, Healthy, Kind, Told, request};
use super::mutate::mutation;
use super::random::Random;
use super::rig::{PATIENCE, Rig};
use super::sampler::Sample;
use super::scene::{authorities, certificate, object};
use crate::{Error, wait_for};
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Mutations between two ways back.
const WALK: usize = 6;
/// Objects that are mutated side by side.
const WALKERS: usize = 8;
/// Walks until `wanted` mutations were accepted.
pub(super) async fn walk(
    rig: &Rig,
    namespace: &str,
    kind: &Kind,
    wanted: usize,
    random: Random,
) -> Result<Faults, Error> {
    rig.cluster.namespace(namespace).await?;
    authorities(&rig.cluster, namespace).await?;
    let people = json!({ "groups": [{ "name": "security", "members": ["security"] }] });
    let people = object("ApprovalClass", namespace, &format!("{namespace}.people"), &people);
    rig.cluster.create(&path(namespace, "approvalclasses"), &people).await?;
    until_ready(rig, &format!("{}/services", path(namespace, "issuers"))).await?;
    let schema = schema(rig, kind)?;
    let accepted = AtomicUsize::new(0);
    let walkers = (0..WALKERS).map(|number| {
        let mut random = random.clone();
        for _ in 0..=number {
            random = Random::of(random.next(), kind.name);
        }
        let walker = Walker { rig, namespace, kind, schema: &schema, accepted: &accepted, wanted };
        async move { walker.go(number, random).await }
    });
    let mut faults = Faults::new();
    for walked in join_all(walkers).await {
        faults.extend(walked?);
    }
    Ok(faults)
}

fn schema(rig: &Rig, kind: &Kind) -> Result<Value, Error> {
    let file = format!("charts/keywright/files/crds/{}.keywright.dev.yaml", kind.plural);
    let file = rig.plane.site().assets.checkout.join(file);
    let text = std::fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let definition: Value = serde_saphyr::from_str(&text)
        .map_err(|error| Error::Garbled { path: file, problem: error.to_string() })?;
    Ok(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone())
}

struct Walker<'a> {
    rig: &'a Rig,
    namespace: &'a str,
    kind: &'a Kind,
    schema: &'a Value,
    accepted: &'a AtomicUsize,
    wanted: usize,
}

impl Walker<'_> {
    async fn go(&self, number: usize, mut random: Random) -> Result<Faults, Error> {
        let mut faults = Faults::new();
        // Most mutations are refused by the schema's own rules: a bound for a schema that refuses all.
        for round in 0..self.wanted * 4 {
            if self.accepted.load(Ordering::Acquire) >= self.wanted || !faults.is_empty() {
                break;
            }
            faults.extend(self.round(&format!("w{number}-{round}"), &mut random).await?);
        }
        Ok(faults)
    }

    /// A new object, some mutations, and the way back.
    async fn round(&self, name: &str, random: &mut Random) -> Result<Faults, Error> {
        let (place, leaf, base) = self.plant(name).await?;
        let mut story = Vec::new();
        let mut faults = Faults::new();
        for step in 0..WALK {
            let mutation = mutation(self.schema, random);
            let changed = match self.kind.change {
                Change::Edit => self.edit(&place, &mutation).await?,
                Change::Anew => self.anew(name, step, &base, &mutation).await?,
            };
            let Some(changed) = changed else { continue };
            story.push(mutation.to_string());
            self.accepted.fetch_add(1, Ordering::AcqRel);
            let stood = self.stands(&changed, name).await?;
            if changed != place {
                self.remove(&changed).await?;
            }
            if let Err(words) = stood {
                faults.push(format!("{place} after {}: {words}", story.join(", ")));
                return Ok(faults);
            }
            if let Err(words) = self.unbroken(&leaf).await? {
                faults.push(format!("Secret {leaf} after {}: {words}", story.join(", ")));
                return Ok(faults);
            }
        }
        if !story.is_empty()
            && self.kind.forgets
            && let Some(words) = self.remembers(&place, name).await?
        {
            faults.push(format!("{place} after {}: {words}", story.join(", ")));
        }
        if !story.is_empty()
            && let Err(words) = self.back(&place, name, &base).await?
        {
            faults.push(format!("{place} back from {}: {words}", story.join(", ")));
        }
        self.uproot(&place, &leaf).await?;
        Ok(faults)
    }

    /// Edits the object. `None`: the mutation is refused, or changes nothing.
    async fn edit(&self, place: &str, mutation: &Value) -> Result<Option<String>, Error> {
        let cluster = &self.rig.cluster;
        let before = generation(cluster, place).await?;
        match cluster.merge(place, &json!({ "spec": mutation })).await {
            Ok(_) => {}
            Err(Error::Api(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok((generation(cluster, place).await? != before).then(|| place.to_owned()))
    }

    /// Makes another object of the mutated spec; its path. `None`: it is refused.
    async fn anew(
        &self,
        name: &str,
        step: usize,
        base: &Value,
        mutation: &Value,
    ) -> Result<Option<String>, Error> {
        let (cluster, namespace, kind) = (&self.rig.cluster, self.namespace, self.kind);
        let name = format!("{name}-{step}");
        let mut spec = base.clone();
        json_patch::merge(&mut spec, mutation);
        let wanted = object(kind.name, namespace, &kind.named(namespace, &name), &spec);
        match cluster.create(&path(namespace, kind.plural), &wanted).await {
            Ok(_) => Ok(Some(kind.place(namespace, &name))),
            Err(Error::Api(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A good object of this kind and a good certificate that depends on it: path, name of the Secret, spec.
    async fn plant(&self, name: &str) -> Result<(String, String, Value), Error> {
        let (cluster, namespace, kind) = (&self.rig.cluster, self.namespace, self.kind);
        let place = kind.place(namespace, name);
        let named = kind.named(namespace, name);
        let wanted = object(kind.name, namespace, &named, &(kind.spec)(namespace, name));
        let made = cluster.create(&path(namespace, kind.plural), &wanted).await?;
        let certificates = path(namespace, "certificates");
        let by = match kind.healthy {
            Healthy::Itself => None,
            Healthy::Signed => Some(json!({ "issuerRef": { "kind": kind.name, "name": named } })),
            Healthy::Beside => Some(json!({})),
        };
        if let Some(by) = by {
            cluster.create(&certificates, &certificate(namespace, name, "services", &by)).await?;
        }
        if kind.told == Told::Ready {
            until_ready(self.rig, &place).await?;
        }
        until_ready(self.rig, &format!("{certificates}/{name}")).await?;
        Ok((place, name.to_owned(), made["spec"].clone()))
    }

    /// What it says after its history, against what an object with the same spec says that never had another.
    async fn remembers(&self, place: &str, name: &str) -> Result<Option<String>, Error> {
        let (cluster, namespace, kind) = (&self.rig.cluster, self.namespace, self.kind);
        let seen = cluster.get(place).await?.unwrap_or_default();
        let mut spec = seen["spec"].clone();
        let twin = format!("{name}-twin");
        if kind.healthy == Healthy::Itself {
            // Another name of the Secret may be one that is taken, or that an object of this kind keeps for itself.
            if spec["secretName"] != name {
                return Ok(None);
            }
            spec["secretName"] = json!(twin);
        }
        let wanted = object(kind.name, namespace, &kind.named(namespace, &twin), &spec);
        cluster.create(&path(namespace, kind.plural), &wanted).await?;
        let twin_place = kind.place(namespace, &twin);
        let said = |object: &Value| condition(object, "Ready").map(|(status, reason, _)| (status, reason));
        let wanted = said(&seen);
        let same = self.until(&twin_place, |seen| is_observed(seen) && said(seen) == wanted).await?;
        self.uproot(&twin_place, &twin).await?;
        Ok(same.err().map(|words| format!("it says {wanted:?}, one without a history: {words}")))
    }

    async fn uproot(&self, place: &str, leaf: &str) -> Result<(), Error> {
        let cluster = &self.rig.cluster;
        cluster.delete(&format!("{}/{leaf}", path(self.namespace, "certificates"))).await?;
        cluster.delete(&format!("{}/{leaf}", path(self.namespace, "secrets"))).await?;
        self.remove(place).await
    }

    /// Deletes an object and waits until it is gone: finalizers take their time.
    async fn remove(&self, place: &str) -> Result<(), Error> {
        let cluster = &self.rig.cluster;
        cluster.delete(place).await?;
        wait_for(&format!("{place} is gone"), PATIENCE, async || {
            Ok(cluster.get(place).await?.is_none().then_some(()))
        })
        .await
    }

    /// It says where it stands: Ready, or a reason.
    async fn stands(&self, place: &str, name: &str) -> Result<Result<(), String>, Error> {
        let told = |seen: &Value| {
            let Some((status, reason, message)) = condition(seen, "Ready") else { return false };
            is_observed(seen) && (status == "True" || !(reason.is_empty() || message.is_empty()))
        };
        match self.kind.told {
            Told::Ready | Told::Waiting => self.until(place, told).await,
            Told::ByRequest => {
                let request = self.file(name).await?;
                let stands = self.until(&request, told).await?;
                self.remove(&request).await?;
                Ok(stands)
            }
        }
    }

    /// Files a request under the class of this name; its path. Waits while the requester has too many that wait.
    async fn file(&self, name: &str) -> Result<String, Error> {
        let (cluster, requests) = (&self.rig.cluster, path(self.namespace, "approvalrequests"));
        let wanted = object("ApprovalRequest", self.namespace, name, &request(self.namespace, name, name));
        wait_for("a request can be filed", PATIENCE, async || {
            match cluster.create(&requests, &wanted).await {
                Ok(_) => Ok(Some(())),
                // One of before is not gone yet, or too many wait.
                Err(Error::Api(_)) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await?;
        Ok(format!("{requests}/{name}"))
    }

    async fn back(&self, place: &str, name: &str, base: &Value) -> Result<Result<(), String>, Error> {
        let cluster = &self.rig.cluster;
        loop {
            let mut now = cluster.get(place).await?.unwrap_or_default();
            now["spec"] = base.clone();
            match cluster.ask(Method::PUT, place, Some(("application/json", &now))).await {
                Ok(_) => break,
                // Its status was written meanwhile.
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                // An authority's rules refuse to change some fields at all, back included.
                Err(kube::Error::Api(_)) if self.kind.back == Back::Told => return Ok(Ok(())),
                Err(error) => return Err(error.into()),
            }
        }
        match self.kind.back {
            Back::Ready => self.until(place, is_ready).await,
            Back::Told => self.stands(place, name).await,
        }
    }

    /// What lies in the Secret is still a certificate with its key.
    async fn unbroken(&self, name: &str) -> Result<Result<(), String>, Error> {
        let Some(secret) =
            self.rig.cluster.get(&format!("{}/{name}", path(self.namespace, "secrets"))).await?
        else {
            return Ok(Err("it is gone".into()));
        };
        let entry = |entry: &str| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.decode(text(&secret["data"][entry])).unwrap_or_default()
        };
        let sample = Sample {
            namespace: self.namespace.to_owned(),
            name: name.to_owned(),
            certificate: entry("tls.crt"),
            key: entry("tls.key"),
            root: entry("ca.crt"),
        };
        let judged = tokio::task::spawn_blocking(move || opinion(&sample).map(|_| ()));
        Ok(judged.await.unwrap_or_else(|ended| Err(ended.to_string())))
    }

    async fn until(&self, place: &str, wanted: impl Fn(&Value) -> bool) -> Result<Result<(), String>, Error> {
        let mut last = String::new();
        let waiting = wait_for("it is as wanted", PATIENCE, async || {
            let seen = self.rig.cluster.get(place).await?.unwrap_or_default();
            last = seen["status"]["conditions"].to_string();
            Ok(wanted(&seen).then_some(()))
        });
        match waiting.await {
            Ok(()) => Ok(Ok(())),
            Err(Error::TooLate { seconds, .. }) => Ok(Err(format!("after {seconds} s it says {last}"))),
            Err(error) => Err(error),
        }
    }
}

async fn generation(cluster: &Cluster, place: &str) -> Result<Value, Error> {
    Ok(cluster.get(place).await?.unwrap_or_default()["metadata"]["generation"].clone())
}
