//! Walks through specs that nobody would write: mutations derived from the schemas of the resource definitions.
//!
//! After each accepted mutation the object must say where it stands: Ready, or why not, with a reason. Whatever it says,
//! what lies in the Secret of a certificate that was good stays a certificate with its key. And going back to the spec
//! of before leads back to Ready; of an authority it may also be refused, as a limit that was fixed stays.

use super::cluster::{Cluster, condition, is_observed, is_ready, path, text};
use super::judge::{Faults, opinion};
use super::random::Random;
use super::rig::{PATIENCE, Rig};
use super::sampler::Sample;
use super::scene::{authorities, certificate, object};
use crate::{Error, wait_for};
use futures::future::join_all;
use http::Method;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Mutations between two ways back.
const WALK: usize = 6;
/// Objects that are mutated side by side.
const WALKERS: usize = 8;
/// Texts of which each is right for some fields and wrong for most.
const TEXTS: [&str; 22] = [
    "a.example.test",
    "*.wild.example.test",
    "under_score.test",
    "-bad-",
    "",
    "UPPER.example.test",
    "192.0.2.7",
    "2001:db8::1",
    "10.0.0.0/8",
    "300.1.2.3",
    "spiffe://example.test/a",
    "https://example.test/x?y",
    "mailbox@example.test",
    ".example.test",
    "5m",
    "1h30m",
    "720h",
    "9000h",
    "900000h",
    "1s",
    "ÄÖ ü",
    "a string that is longer than the sixty-four characters which a common name may have",
];

/// Which kind is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    Issuer,
    ClusterIssuer,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Certificate, Self::Issuer, Self::ClusterIssuer];

    /// As in the API.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Certificate => "Certificate",
            Self::Issuer => "Issuer",
            Self::ClusterIssuer => "ClusterIssuer",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Certificate => "certificates",
            Self::Issuer => "issuers",
            Self::ClusterIssuer => "clusterissuers",
        }
    }
}

/// Walks until `wanted` mutations were accepted.
pub(super) async fn walk(
    rig: &Rig,
    namespace: &str,
    kind: Kind,
    wanted: usize,
    random: Random,
) -> Result<Faults, Error> {
    rig.cluster.namespace(namespace).await?;
    authorities(&rig.cluster, namespace).await?;
    super::faults::until_ready(rig, &format!("{}/services", path(namespace, "issuers"))).await?;
    let schema = schema(rig, kind)?;
    let accepted = AtomicUsize::new(0);
    let walkers = (0..WALKERS).map(|number| {
        let mut random = random.clone();
        for _ in 0..=number {
            random = Random::of(random.next(), kind.name());
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

fn schema(rig: &Rig, kind: Kind) -> Result<Value, Error> {
    let file = format!("charts/keywright/files/crds/{}.keywright.dev.yaml", kind.plural());
    let file = rig.plane.site().assets.checkout.join(file);
    let text = std::fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let definition: Value = serde_saphyr::from_str(&text)
        .map_err(|error| Error::Garbled { path: file, problem: error.to_string() })?;
    Ok(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone())
}

struct Walker<'a> {
    rig: &'a Rig,
    namespace: &'a str,
    kind: Kind,
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
        let cluster = &self.rig.cluster;
        let (place, leaf, base) = self.plant(name).await?;
        let mut story = Vec::new();
        let mut faults = Faults::new();
        for _ in 0..WALK {
            let mutation = mutation(self.schema, random);
            let patch = json!({ "spec": mutation });
            let before = generation(cluster, &place).await?;
            match cluster.merge(&place, &patch).await {
                Ok(_) => {}
                Err(Error::Api(_)) => continue,
                Err(error) => return Err(error),
            }
            if generation(cluster, &place).await? == before {
                continue;
            }
            story.push(mutation.to_string());
            self.accepted.fetch_add(1, Ordering::AcqRel);
            if let Err(words) = self.stands(&place).await? {
                faults.push(format!("{place} after {}: {words}", story.join(", ")));
                return Ok(faults);
            }
            if let Err(words) = self.unbroken(&leaf).await? {
                faults.push(format!("Secret {leaf} after {}: {words}", story.join(", ")));
                return Ok(faults);
            }
        }
        if !story.is_empty()
            && let Err(words) = self.back(&place, &base).await?
        {
            faults.push(format!("{place} back from {}: {words}", story.join(", ")));
        }
        self.uproot(&place, &leaf).await?;
        Ok(faults)
    }

    /// A good object of this kind and a good certificate that depends on it: path, name of the Secret, spec.
    async fn plant(&self, name: &str) -> Result<(String, String, Value), Error> {
        let (cluster, namespace) = (&self.rig.cluster, self.namespace);
        let certificates = path(namespace, "certificates");
        let named = match self.kind {
            Kind::Certificate | Kind::Issuer => name.to_owned(),
            Kind::ClusterIssuer => format!("{namespace}.{name}"),
        };
        let place = format!("{}/{named}", path(namespace, self.kind.plural()));
        let made = match self.kind {
            Kind::Certificate => {
                cluster.create(&certificates, &certificate(namespace, name, "services", &json!({}))).await?
            }
            Kind::Issuer | Kind::ClusterIssuer => {
                let parent = json!({ "kind": "ClusterIssuer", "name": format!("{namespace}.root") });
                let spec =
                    json!({ "authority": { "commonName": name, "duration": "720h", "issuerRef": parent } });
                let issuer = object(self.kind.name(), namespace, &named, &spec);
                let issuer = cluster.create(&path(namespace, self.kind.plural()), &issuer).await?;
                let by = json!({ "issuerRef": { "kind": self.kind.name(), "name": named } });
                cluster.create(&certificates, &certificate(namespace, name, "services", &by)).await?;
                issuer
            }
        };
        super::faults::until_ready(self.rig, &place).await?;
        super::faults::until_ready(self.rig, &format!("{certificates}/{name}")).await?;
        Ok((place, name.to_owned(), made["spec"].clone()))
    }

    async fn uproot(&self, place: &str, leaf: &str) -> Result<(), Error> {
        let cluster = &self.rig.cluster;
        cluster.delete(&format!("{}/{leaf}", path(self.namespace, "certificates"))).await?;
        cluster.delete(&format!("{}/{leaf}", path(self.namespace, "secrets"))).await?;
        cluster.delete(place).await
    }

    /// It says where it stands: Ready, or a reason.
    async fn stands(&self, place: &str) -> Result<Result<(), String>, Error> {
        self.until(place, |seen| {
            let Some((status, reason, message)) = condition(seen, "Ready") else { return false };
            is_observed(seen) && (status == "True" || !(reason.is_empty() || message.is_empty()))
        })
        .await
    }

    async fn back(&self, place: &str, base: &Value) -> Result<Result<(), String>, Error> {
        let cluster = &self.rig.cluster;
        loop {
            let mut now = cluster.get(place).await?.unwrap_or_default();
            now["spec"] = base.clone();
            match cluster.ask(Method::PUT, place, Some(("application/json", &now))).await {
                Ok(_) => break,
                // Its status was written meanwhile.
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                // An authority's rules refuse to change some fields at all, back included.
                Err(kube::Error::Api(_)) if self.kind != Kind::Certificate => return Ok(Ok(())),
                Err(error) => return Err(error.into()),
            }
        }
        match self.kind {
            Kind::Certificate => self.until(place, is_ready).await,
            Kind::Issuer | Kind::ClusterIssuer => self.stands(place).await,
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

/// A merge patch for one field of a schema, at any depth.
fn mutation(schema: &Value, random: &mut Random) -> Value {
    let Some(properties) = schema["properties"].as_object() else { return value(schema, random) };
    let names: Vec<&String> = properties.keys().collect();
    let Some(name) = random.pick(&names) else { return json!({}) };
    let field = &properties[name.as_str()];
    let required =
        schema["required"].as_array().is_some_and(|all| all.iter().any(|field| field == name.as_str()));
    let new = match field["properties"].is_object() {
        true if random.chance(85) => mutation(field, random),
        _ if !required && random.chance(25) => Value::Null,
        _ => value(field, random),
    };
    json!({ name.as_str(): new })
}

/// Any value of a schema's type, sometimes just outside its bounds.
fn value(schema: &Value, random: &mut Random) -> Value {
    if let Some(choices) = schema["enum"].as_array() {
        return random.pick(choices).cloned().unwrap_or(Value::Null);
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(random.chance(50)),
        Some("integer") => {
            let bound = |name: &str, otherwise: i64| schema[name].as_i64().unwrap_or(otherwise);
            let (least, most) = (bound("minimum", 0), bound("maximum", 10_000));
            let usual = [256, 384, 2048, 3072, 44, 87];
            let choices = [least, most, least - 1, most + 1, usual[random.below(usual.len())]];
            json!(choices[random.below(choices.len())])
        }
        Some("array") => (0..random.below(4)).map(|_| value(&schema["items"], random)).collect(),
        Some("object") => {
            let mut all = Map::new();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if random.chance(50) {
                    all.insert(name.clone(), value(field, random));
                }
            }
            if schema["additionalProperties"].is_object() {
                all.insert(text(&pick_text(random)), value(&schema["additionalProperties"], random));
            }
            Value::Object(all)
        }
        _ => pick_text(random),
    }
}

fn pick_text(random: &mut Random) -> Value {
    json!(TEXTS[random.below(TEXTS.len())])
}
