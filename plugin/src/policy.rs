//! `kubectl keywright policy`: what policies would say, without asking anybody.
//!
//! `test` and `explain -f` need files alone; the bundle of a policy is a file among them, known by its digest, or in a
//! ConfigMap among their objects. An input is an input document of docs/policy.md, or an object of ours, which is
//! asked about as if it were created. `explain KIND NAME` takes policies and object from the cluster.

use crate::Machine;
use crate::cli::{Global, Policy as Command, PolicyExplain, PolicyTest};
use crate::connect::connect;
use crate::exit::{Failure, NOT_AS_WANTED};
use crate::page::Tone;
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_crds::{GROUP, VERSION, bundle_bytes};
use keywright_policy::{
    BundleRef, Decision, Denial, Finding, Found, Input, Issuer, Member, Outcome, PolicySet, User,
};
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// What one input got.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tested {
    input: String,
    outcome: &'static str,
    expected: &'static str,
    classes: Vec<String>,
    denials: Vec<Denial>,
    warnings: Vec<Finding>,
    audited: Vec<Finding>,
    /// Policies that were asked.
    asked: Vec<String>,
    /// Policies that are about something else.
    not_asked: Vec<String>,
    decision: String,
}

/// Runs the command.
pub(crate) async fn run(global: &Global, command: &Command, machine: &Machine) -> Result<ExitCode, Failure> {
    match command {
        Command::Test(PolicyTest { files }) => {
            let (set, cases) = read(files, machine)?;
            report(global, machine, &set, cases, true)
        }
        Command::Explain(PolicyExplain { files, object, system_namespace }) => {
            let (set, cases) = match (files.as_slice(), object.as_slice()) {
                ([_, ..], []) => read(files, machine)?,
                ([], [kind, name]) => live(global, kind, name, system_namespace, machine).await?,
                (_, _) => {
                    return Err(Failure::Usage(
                        "give files with -f, or KIND and NAME of an object of the cluster".to_owned(),
                    ));
                }
            };
            report(global, machine, &set, cases, false)
        }
    }
}

/// An input and what is expected of it.
struct Case {
    name: String,
    input: Input,
    expected: &'static str,
}

const OUTCOMES: [&str; 3] = ["Allow", "Deny", "RequireApproval"];

fn read(files: &[PathBuf], machine: &Machine) -> Result<(PolicySet, Vec<Case>), Failure> {
    let (mut written, mut cases) = (Vec::new(), Vec::new());
    let mut bundles = Bundles::default();
    for path in files {
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::Unreachable(format!("{} cannot be read: {error}", path.display())))?;
        // As gzip and WebAssembly begin.
        if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(b"\0asm") {
            bundles.files.push(bytes);
            continue;
        }
        for document in documents(path, bytes)? {
            match document.get("kind").and_then(Value::as_str) {
                Some("Policy") => written.push(document),
                Some("ConfigMap") => bundles.config_maps.push(document),
                Some(_) | None => {
                    let number = cases.len() + 1;
                    cases.push(case(path, number, document, machine)?);
                }
            }
        }
    }
    let policies: Vec<Arc<Member>> = written.iter().map(|policy| bundles.member(policy)).collect();
    if policies.is_empty() || cases.is_empty() {
        return Err(Failure::Usage(
            "the files must hold at least one object of kind Policy and one input".to_owned(),
        ));
    }
    let broken = policies.iter().find_map(|policy| Some((policy.name(), policy.problem()?)));
    if let Some((name, problem)) = broken {
        return Err(Failure::NotAsWanted(format!("policy {name}: {problem}")));
    }
    let set = PolicySet::new(policies).map_err(|same| Failure::Usage(same.to_string()))?;
    Ok((set, cases))
}

/// Bundles that are given with policies.
#[derive(Default)]
struct Bundles {
    /// As they are.
    files: Vec<Vec<u8>>,
    /// Objects that may hold some.
    config_maps: Vec<Value>,
}

impl Bundles {
    /// A policy, with its bundle if it has one.
    fn member(&self, policy: &Value) -> Arc<Member> {
        let name = policy.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let spec = policy.get("spec").unwrap_or(&Value::Null);
        let found = BundleRef::of(spec).map(|at| self.find(&at));
        Arc::new(Member::read(name, spec, found.as_ref()))
    }

    /// A file with the digest that is named; else what the ConfigMap has; else the only file, whose digest is then told.
    fn find(&self, at: &BundleRef) -> Found {
        if let Some(file) = self.files.iter().find(|file| at.is_of(file)) {
            return Found::Bytes(file.clone());
        }
        match (Found::among(&self.config_maps, at), self.files.as_slice()) {
            (Found::Nothing(_), [only]) => Found::Bytes(only.clone()),
            (found, _) => found,
        }
    }
}

fn documents(path: &Path, bytes: Vec<u8>) -> Result<Vec<Value>, Failure> {
    let shown = path.display();
    let text = String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{shown} is no UTF-8")))?;
    serde_saphyr::from_multiple(&text)
        .map_err(|error| Failure::Usage(format!("{shown} holds no YAML documents: {error}")))
}

fn case(path: &Path, number: usize, mut document: Value, machine: &Machine) -> Result<Case, Failure> {
    let shown = path.display();
    let wanted = document.as_object_mut().and_then(|fields| fields.remove("expect"));
    let wanted = wanted.as_ref().map_or(Some("Allow"), Value::as_str);
    let expected = OUTCOMES
        .into_iter()
        .find(|one| Some(*one) == wanted)
        .ok_or_else(|| Failure::Usage(format!("{shown}: expect must be one of {}", OUTCOMES.join(", "))))?;
    let now = machine.clock.now().to_string();
    let input = if document.get("kind").is_some() {
        created(document, now)
    } else {
        let fields = document.as_object_mut();
        let fields = fields.ok_or_else(|| Failure::Usage(format!("{shown}: an input is an object")))?;
        fields.entry("time").or_insert_with(|| json!(now));
        fields.entry("user").or_insert_with(|| json!({ "username": "nobody" }));
        serde_json::from_value(document).map_err(|error| {
            Failure::Usage(format!("{shown}: input {number} is no input document: {error}"))
        })?
    };
    let name = input.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("unnamed");
    Ok(Case { name: format!("{shown}#{number} {} {name}", input.request), input, expected })
}

/// The question at the creation of an object, by whoever is stamped in it.
fn created(mut object: Value, now: String) -> Input {
    let text = |place: &str| object.pointer(place).and_then(Value::as_str).map(str::to_owned);
    let stamp = |part: &str| text(&format!("/metadata/annotations/keywright.dev~1requester-{part}"));
    let place = if object["kind"] == "Certificate" { "/spec/issuerRef" } else { "/spec/authority/issuerRef" };
    let kind = text(&format!("{place}/kind")).unwrap_or_else(|| "Issuer".to_owned());
    let issuer = text(&format!("{place}/name")).map(|name| Issuer {
        namespace: text("/metadata/namespace").filter(|_| kind == "Issuer"),
        kind,
        name,
    });
    let user = User {
        username: stamp("username").unwrap_or_else(|| "nobody".to_owned()),
        uid: stamp("uid").unwrap_or_default(),
        groups: stamp("groups").unwrap_or_default().lines().map(str::to_owned).collect(),
        ..User::default()
    };
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Input { request: "CREATE".to_owned(), object, issuer, user, time: now, ..Input::default() }
}

async fn live(
    global: &Global,
    kind: &str,
    name: &str,
    system_namespace: &str,
    machine: &Machine,
) -> Result<(PolicySet, Vec<Case>), Failure> {
    let (kind, plural, namespaced) = match kind.to_lowercase().as_str() {
        "certificate" | "certificates" | "cert" => ("Certificate", "certificates", true),
        "issuer" | "issuers" | "iss" => ("Issuer", "issuers", true),
        "clusterissuer" | "clusterissuers" | "ciss" => ("ClusterIssuer", "clusterissuers", false),
        other => {
            return Err(Failure::Usage(format!("{other:?}: must be certificate, issuer or clusterissuer")));
        }
    };
    let cluster = connect(global).await?;
    let resource = |kind: &str, plural: &str| {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, kind), plural)
    };
    let policies: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource("Policy", "policies"));
    let stored = policies
        .list(&ListParams::default())
        .await
        .map_err(|error| Failure::of_api("read policies", &error))?;
    let mut members = Vec::new();
    for policy in &stored.items {
        let spec = policy.data.get("spec").unwrap_or(&Value::Null);
        let found = match BundleRef::of(spec) {
            Some(at) => Some(bundle(&cluster.client, system_namespace, &at).await?),
            None => None,
        };
        members.push(Arc::new(Member::read(&policy.name_any(), spec, found.as_ref())));
    }
    let set = PolicySet::new(members).map_err(|same| Failure::NotAsWanted(same.to_string()))?;
    let of = resource(kind, plural);
    let objects: Api<DynamicObject> = if namespaced {
        Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &of)
    } else {
        Api::all_with(cluster.client.clone(), &of)
    };
    let doing = format!("read {} {name:?}", kind.to_lowercase());
    let object = objects.get(name).await.map_err(|error| Failure::of_api(&doing, &error))?;
    let object = serde_json::to_value(object)
        .map_err(|error| Failure::NotAsWanted(format!("the object cannot be written: {error}")))?;
    let input = created(object, machine.clock.now().to_string());
    let case = Case { name: format!("{} {name}", kind.to_lowercase()), input, expected: "Allow" };
    Ok((set, vec![case]))
}

/// What lies where the bundle of a stored policy is to be.
async fn bundle(client: &kube::Client, namespace: &str, at: &BundleRef) -> Result<Found, Failure> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt(&at.config_map_ref.name).await;
    let found = found.map_err(|error| Failure::of_api(&format!("read {at} of {namespace}"), &error))?;
    let bytes = found.as_ref().and_then(|config_map| bundle_bytes(config_map, &at.config_map_ref.key));
    Ok(Found::in_cluster(at, namespace, found.is_some(), bytes))
}

fn report(
    global: &Global,
    machine: &Machine,
    set: &PolicySet,
    cases: Vec<Case>,
    compare: bool,
) -> Result<ExitCode, Failure> {
    let results: Vec<Tested> = cases.into_iter().map(|case| tested(set, case)).collect();
    let met = |one: &Tested| one.outcome == one.expected;
    let good = results.iter().all(met);
    machine.terminal.show(global.output, &results, |page, wide| {
        for one in &results {
            let tone = if met(one) { Tone::Good } else { Tone::Bad };
            let wanted = if compare && !met(one) {
                format!(", but {} is expected", one.expected)
            } else {
                String::new()
            };
            page.line(&format!("{}: {}{wanted}", one.input, one.outcome), tone);
            for denial in &one.denials {
                let fix = denial.fix.as_ref().map(|fix| format!("; {fix}")).unwrap_or_default();
                page.line(
                    &format!("  policy {}, rule {}: {}{fix}", denial.policy, denial.rule, denial.message),
                    Tone::Plain,
                );
            }
            for class in &one.classes {
                page.line(&format!("  needs the agreement of class {class}"), Tone::Plain);
            }
            let told = [("warning", &one.warnings), ("audit only", &one.audited)];
            for (how, finding) in told.iter().flat_map(|(how, all)| all.iter().map(move |one| (how, one))) {
                page.line(
                    &format!(
                        "  {how}: policy {}, rule {}: {}",
                        finding.policy, finding.rule, finding.message
                    ),
                    Tone::Plain,
                );
            }
            if wide || !compare {
                page.line(&format!("  asked: {}", list(&one.asked)), Tone::Plain);
                page.line(&format!("  about something else: {}", list(&one.not_asked)), Tone::Plain);
            }
        }
    })?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_WANTED) })
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn tested(set: &PolicySet, case: Case) -> Tested {
    let (asked, not_asked): (Vec<&Member>, Vec<&Member>) =
        set.members().partition(|member| member.is_asked_about(&case.input));
    let names = |members: Vec<&Member>| members.iter().map(|one| one.name().to_owned()).collect();
    let Decision { outcome, warnings, audited, id, .. } = set.decide(&case.input);
    let (outcome, classes, denials) = match outcome {
        Outcome::Allow => ("Allow", Vec::new(), Vec::new()),
        Outcome::RequireApproval { classes } => ("RequireApproval", classes, Vec::new()),
        Outcome::Deny { denials } => ("Deny", Vec::new(), denials),
    };
    Tested {
        input: case.name,
        outcome,
        expected: case.expected,
        classes,
        denials,
        warnings,
        audited,
        asked: names(asked),
        not_asked: names(not_asked),
        decision: id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Terminal;
    use keywright_ambient::{SystemClock, SystemEntropy};

    const POLICY: &str = "
apiVersion: keywright.dev/v1alpha1
kind: Policy
metadata: {name: shop}
spec:
  appliesTo: {kinds: [Certificate]}
  rego:
    source: |
      package keywright
      deny contains {\"message\": \"not ours\", \"fix\": \"ask for shop.test\"} if {
        some name in input.object.spec.dnsNames
        name != \"shop.test\"
      }
      require_approval contains \"security\" if input.object.spec.isCA
";
    const INPUTS: &str = "
kind: Certificate
metadata: {name: good}
spec: {dnsNames: [shop.test], issuerRef: {name: ca}}
---
expect: Deny
request: IssueCertificate
object: {kind: Certificate, metadata: {name: bad}, spec: {dnsNames: [evil.test]}}
---
expect: RequireApproval
kind: Certificate
metadata: {name: authority}
spec: {dnsNames: [shop.test], isCA: true}
---
kind: Issuer
metadata: {name: elsewhere}
spec: {authority: {commonName: x}}
";

    fn results(policy: &str, inputs: &str) -> Result<Vec<Tested>, Failure> {
        of_files(&[("policy.yaml", policy.as_bytes()), ("inputs.yaml", inputs.as_bytes())])
    }

    fn of_files(files: &[(&str, &[u8])]) -> Result<Vec<Tested>, Failure> {
        let folder = tempfile::tempdir().expect("a folder");
        let written = |(name, bytes): &(&str, &[u8])| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            path
        };
        let files: Vec<PathBuf> = files.iter().map(written).collect();
        let machine = Machine {
            clock: Box::new(SystemClock),
            entropy: Box::new(SystemEntropy),
            terminal: Terminal::of_this_process(),
        };
        let (set, cases) = read(&files, &machine)?;
        Ok(cases.into_iter().map(|case| tested(&set, case)).collect())
    }

    #[test]
    fn each_input_gets_what_it_expects_or_is_shown() {
        let results = results(POLICY, INPUTS).expect("they read");
        let outcomes: Vec<_> = results.iter().map(|one| (one.outcome, one.outcome == one.expected)).collect();
        assert_eq!(outcomes, [("Allow", true), ("Deny", true), ("RequireApproval", true), ("Allow", true)]);
        assert_eq!(results[1].denials[0].rule, "deny");
        assert_eq!(results[1].denials[0].fix.as_deref(), Some("ask for shop.test"));
        assert_eq!((results[0].asked.len(), results[3].not_asked.len()), (1, 1));
    }

    #[test]
    fn what_does_not_read_is_said_to_be_so() {
        let broken = POLICY.replace("some name", "nonsense(");
        assert!(
            matches!(results(&broken, INPUTS), Err(Failure::NotAsWanted(words)) if words.contains("shop: line"))
        );
        assert!(matches!(results(INPUTS, INPUTS), Err(Failure::Usage(_))), "no policy");
        assert!(matches!(results(POLICY, "expect: Perhaps\nkind: Issuer"), Err(Failure::Usage(_))));
        assert!(matches!(results(POLICY, "request: CREATE\nobjekt: {}"), Err(Failure::Usage(_))));
    }

    /// What a test of `policy/` holds against OPA.
    const BUNDLE: &[u8] = include_bytes!("../../policy/tests/data/table/names.tar.gz");

    fn policy_of_bundle() -> String {
        let digest = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, BUNDLE));
        format!(
            "kind: Policy\nmetadata: {{name: shop}}\nspec:\n  appliesTo: {{kinds: [Certificate]}}\n  data: {{domains: \
             {{}}, shared: [shop.test], ranges: [], guarded: {{}}, people: [], most: 3}}\n  bundle:\n    \
             configMapRef: {{name: bundles, key: names}}\n    digest: sha256:{digest}\n"
        )
    }

    fn config_map() -> String {
        use base64::Engine as _;
        let data = base64::engine::general_purpose::STANDARD.encode(BUNDLE);
        format!("kind: ConfigMap\nmetadata: {{name: bundles}}\nbinaryData: {{names: {data}}}\n")
    }

    #[test]
    fn a_bundle_is_a_file_or_in_a_config_map_and_must_be_the_one_that_is_named() {
        let policy = policy_of_bundle();
        let (policy, inputs) = (("policy.yaml", policy.as_bytes()), ("inputs.yaml", INPUTS.as_bytes()));
        let said = |more: &[(&str, &[u8])]| {
            let files: Vec<(&str, &[u8])> = [policy, inputs].iter().chain(more).copied().collect();
            match of_files(&files) {
                Ok(results) => results.iter().map(|one| one.outcome).collect::<Vec<_>>().join(" "),
                Err(Failure::NotAsWanted(words)) => words,
                Err(_) => "another failure".to_owned(),
            }
        };
        let missing = said(&[]);
        assert!(missing.contains("the bundle is not there") && missing.contains("no file has"), "{missing}");
        let other = said(&[("other.wasm", b"\0asm other")]);
        assert!(other.contains("has digest sha256:"), "{other}");
        let wanted = if cfg!(feature = "wasm") {
            "Allow Deny Allow Allow"
        } else {
            "policy shop: this program runs no bundles: it was built without the feature `wasm`"
        };
        for given in [("shop.tar.gz", BUNDLE), ("map.yaml", config_map().as_bytes())] {
            let said = said(&[("other.wasm", b"\0asm other"), given]);
            assert!(said.starts_with(wanted), "{said}");
        }
    }
}
