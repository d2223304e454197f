//! What must hold after every case, judged by openssl, by the signer's log and by comparison.

use super::cluster::{is_ready, path, text};
use super::rig::Rig;
use super::sampler::Sample;
use super::scene::by_name;
use super::signer_log::Account;
use super::unread;
use crate::{Error, wait_for};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What was wrong, each a sentence.
pub(super) type Faults = Vec<String>;

/// Runs all oracles on one namespace that has settled.
pub(super) async fn judge(
    rig: &Rig,
    namespace: &str,
    wanted: Option<&Value>,
    steps: Option<&BTreeMap<String, usize>>,
) -> Result<Faults, Error> {
    let mut faults = Faults::new();
    let certificates = by_name(rig.cluster.list(&path(namespace, "certificates")).await?);
    let secrets = by_name(rig.cluster.list(&path(namespace, "secrets")).await?);
    let samples = until_sampled(rig, namespace, &certificates).await?;
    let opinions = opinions(samples).await;

    for (sample, opinion) in &opinions {
        if let Err(words) = opinion {
            faults.push(format!("a version of Secret {}: {words}", sample.name));
        }
    }
    for (name, certificate) in &certificates {
        let current = opinions
            .iter()
            .filter_map(|(sample, opinion)| Some((sample, opinion.as_ref().ok()?)))
            .find(|(_, opinion)| opinion.serial == text(&certificate["status"]["serialNumber"]));
        match current {
            None => {
                faults.push(format!("{name}: no Secret ever held the certificate of its status"));
            }
            Some((_, opinion)) => faults.extend(names(name, certificate, opinion)),
        }
        if !is_ready(certificate) {
            faults.push(format!("{name} is not Ready: {}", certificate["status"]["conditions"]));
        }
    }
    let targets: BTreeSet<String> = certificates.values().map(|c| text(&c["spec"]["secretName"])).collect();
    for orphan in secrets.keys().filter(|name| !targets.contains(*name)) {
        faults.push(format!("Secret {orphan} belongs to no Certificate"));
    }
    faults.extend(leases(rig).await?);
    faults.extend(account(rig, &certificates, &opinions, steps).await?);
    if let Some(wanted) = wanted {
        let got = normalised(rig, namespace).await?;
        if got != *wanted {
            faults.push(format!("the result depends on what happened: {}", difference("", wanted, &got)));
        }
    }
    Ok(faults)
}

/// The sampler hears of a Secret after the API server answered its writer.
async fn until_sampled(
    rig: &Rig,
    namespace: &str,
    certificates: &BTreeMap<String, Value>,
) -> Result<Vec<Sample>, Error> {
    let targets: BTreeSet<String> = certificates.values().map(|c| text(&c["spec"]["secretName"])).collect();
    let wait = Duration::from_secs(5);
    let sampled = wait_for("every Secret was sampled", wait, async || {
        let samples = rig.sampler.of(namespace);
        let names: BTreeSet<String> = samples.iter().map(|sample| sample.name.clone()).collect();
        Ok(names.is_superset(&targets).then_some(samples))
    });
    sampled.await
}

/// What openssl says of one version of a Secret.
#[derive(Debug)]
pub(super) struct Opinion {
    /// Lower-case hexadecimal, as in the log.
    pub(super) serial: String,
    /// The alternative names, "DNS:web.example.test, …".
    names: String,
}

async fn opinions(samples: Vec<Sample>) -> Vec<(Sample, Result<Opinion, String>)> {
    let asking = samples.into_iter().map(|sample| {
        tokio::task::spawn_blocking(move || {
            let opinion = opinion(&sample);
            (sample, opinion)
        })
    });
    let mut all = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        if let Ok(answer) = asked.await {
            all.push(answer);
        }
    }
    all
}

/// Chain to `ca.crt`, key to certificate, serial and names.
pub(super) fn opinion(sample: &Sample) -> Result<Opinion, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (name, bytes) in
        [("tls.crt", &sample.certificate), ("tls.key", &sample.key), ("ca.crt", &sample.root)]
    {
        std::fs::write(folder.path().join(name), bytes).map_err(|error| error.to_string())?;
    }
    let openssl = |args: &str| openssl(folder.path(), args);
    if unread::has_to_judge(folder.path(), sample) {
        unread::judge(folder.path(), sample)?;
    } else {
        openssl("verify -x509_strict -no_check_time -CAfile ca.crt -untrusted tls.crt tls.crt")?;
        let of_leaf = openssl("x509 -in tls.crt -noout -pubkey")?;
        if of_leaf != openssl("pkey -in tls.key -pubout")? {
            return Err("tls.key is not the key of tls.crt".into());
        }
    }
    let said = openssl("x509 -in tls.crt -noout -serial -ext subjectAltName")?;
    let serial =
        said.lines().find_map(|line| line.strip_prefix("serial=")).unwrap_or_default().to_lowercase();
    let names =
        said.lines().find(|line| line.trim_start().starts_with("DNS:")).unwrap_or_default().trim().to_owned();
    Ok(Opinion { serial: serial.trim_start_matches("00").to_owned(), names })
}

pub(super) fn openssl(folder: &Path, args: &str) -> Result<String, String> {
    let output = Command::new("openssl").args(args.split(' ')).current_dir(folder).output();
    let output = output.map_err(|error| format!("openssl does not start: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(out.into_owned()) } else { Err(format!("openssl {args}: {out}{err}")) }
}

fn names(name: &str, certificate: &Value, opinion: &Opinion) -> Option<String> {
    let wanted = certificate["spec"]["dnsNames"].as_array()?;
    let wanted: BTreeSet<String> = wanted.iter().map(|name| format!("DNS:{}", text(name))).collect();
    let got: BTreeSet<String> =
        opinion.names.split(", ").filter(|name| name.starts_with("DNS:")).map(str::to_owned).collect();
    (wanted != got).then(|| format!("{name}: wanted {wanted:?}, the certificate says {got:?}"))
}

/// Exactly one Lease, and it is the leader's.
async fn leases(rig: &Rig) -> Result<Faults, Error> {
    let all = rig.cluster.list("/apis/coordination.k8s.io/v1/namespaces/keywright-system/leases").await?;
    let names: Vec<String> = all.iter().map(|lease| text(&lease["metadata"]["name"])).collect();
    Ok(if names == ["keywright-operator"] { Faults::new() } else { vec![format!("leases are {names:?}")] })
}

/// The signer's account against what was seen.
async fn account(
    rig: &Rig,
    certificates: &BTreeMap<String, Value>,
    opinions: &[(Sample, Result<Opinion, String>)],
    steps: Option<&BTreeMap<String, usize>>,
) -> Result<Faults, Error> {
    let serials: BTreeSet<&str> =
        opinions.iter().filter_map(|(_, opinion)| Some(opinion.as_ref().ok()?.serial.as_str())).collect();
    let state = rig.plane.site().signer_state();
    // What was answered is durable; the public files follow within a moment.
    let complete = wait_for("the log tells of every certificate", Duration::from_secs(5), async || {
        let account = Account::read(&state)?;
        let logged: BTreeSet<&str> = account.issued.iter().map(|issued| issued.serial.as_str()).collect();
        Ok(serials.iter().all(|serial| logged.contains(serial)).then_some(account))
    });
    let mut faults = Faults::new();
    let account = match complete.await {
        Ok(account) => account,
        Err(Error::TooLate { .. }) => {
            faults.push("a certificate that was in a Secret is not in the signer's log".into());
            Account::read(&state)?
        }
        Err(error) => return Err(error),
    };
    for (uid, step) in account.doubles() {
        faults.push(format!("two certificates count for request ({uid}, {step})"));
    }
    for (name, certificate) in certificates {
        let uid = text(&certificate["metadata"]["uid"]);
        let live = account.live(&uid);
        let serial = text(&certificate["status"]["serialNumber"]);
        // One that was made and never published may count too, until the next is asked for: its key died with its maker.
        // And a Certificate that was applied again takes over the Secret of the one before it.
        if !account.issued.iter().any(|issuance| issuance.serial == serial && !issuance.superseded) {
            faults.push(format!("{name}: the certificate {serial} that is published does not count"));
        }
        if let Some(most) = steps.and_then(|steps| steps.get(name))
            && live.len() > *most
        {
            faults
                .push(format!("{name}: {} certificates count, the undisturbed run made {most}", live.len()));
        }
    }
    Ok(faults)
}

/// How many certificates count for each name of a namespace.
pub(super) async fn steps(rig: &Rig, namespace: &str) -> Result<BTreeMap<String, usize>, Error> {
    let account = Account::read(&rig.plane.site().signer_state())?;
    let certificates = by_name(rig.cluster.list(&path(namespace, "certificates")).await?);
    let count = |certificate: &Value| account.live(&text(&certificate["metadata"]["uid"])).len();
    Ok(certificates.iter().map(|(name, certificate)| (name.clone(), count(certificate))).collect())
}

/// All objects of a namespace without what differs between any two runs: names of the run, serials, times, versions.
pub(super) async fn normalised(rig: &Rig, namespace: &str) -> Result<Value, Error> {
    let mut all = json!({});
    for plural in ["certificates", "issuers"] {
        for (name, object) in by_name(rig.cluster.list(&path(namespace, plural)).await?) {
            let conditions: BTreeMap<String, String> = object["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|c| (text(&c["type"]), format!("{} {}", text(&c["status"]), text(&c["reason"]))))
                .collect();
            all[plural][&name] = json!({
                "spec": object["spec"],
                "conditions": conditions,
                "finalizers": object["metadata"]["finalizers"],
                "observed": object["status"]["observedGeneration"] == object["metadata"]["generation"],
                "says": object["status"].as_object().map(|status| status.keys().cloned().collect::<Vec<_>>()),
            });
        }
    }
    for (name, secret) in by_name(rig.cluster.list(&path(namespace, "secrets")).await?) {
        let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
        let owners: Vec<String> = secret["metadata"]["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|owner| format!("{} {}", text(&owner["kind"]), text(&owner["name"])))
            .collect();
        let mut labels = secret["metadata"]["labels"].clone();
        if let Some(uid) = labels.get_mut("keywright.dev/certificate-uid") {
            *uid = "…".into();
        }
        all["secrets"][&name] = json!({
            "type": secret["type"], "data": keys(&secret["data"]), "labels": labels, "owners": owners,
            "annotations": keys(&secret["metadata"]["annotations"]),
        });
    }
    let text = all.to_string().replace(&format!("\"{namespace}."), "\"");
    serde_json::from_str(&text)
        .map_err(|error| Error::Garbled { path: rig.plane.site().root.clone(), problem: error.to_string() })
}

/// The first place where two values differ.
fn difference(at: &str, wanted: &Value, got: &Value) -> String {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            let keys: BTreeSet<&String> = wanted.keys().chain(got.keys()).collect();
            let place = keys.into_iter().find(|key| wanted.get(*key) != got.get(*key));
            place.map_or_else(String::new, |key| {
                let none = Value::Null;
                difference(
                    &format!("{at}/{key}"),
                    wanted.get(key).unwrap_or(&none),
                    got.get(key).unwrap_or(&none),
                )
            })
        }
        _ => format!("{at}: from scratch {wanted}, here {got}"),
    }
}
