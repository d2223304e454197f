//! From a request to what is asked of the cluster, and from the outcome to an answer.

use super::store::{Follower, Place, Scope, Stored};
use super::{FakeCluster, Fault, Kind, State, Verb, Write, apply, default, place};
use axum::body::Body;
use futures::StreamExt;
use futures::channel::mpsc::unbounded;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// HTTP status and body.
type Answer = (u16, Value);

/// What a request is about.
struct Ask {
    kind: Kind,
    place: Place,
    status: bool,
    merges: bool,
    query: BTreeMap<String, String>,
    scope: Scope,
}

impl FakeCluster {
    pub(super) async fn answer(
        &self,
        request: Request<kube::client::Body>,
        client: u64,
    ) -> Result<Response<Body>, BoxError> {
        if request.uri().path().ends_with("/subjectaccessreviews") {
            // A question, not an object: everybody may what these tests ask about.
            let spec = request.into_body().collect_bytes().await?;
            let mut review: Value = serde_json::from_slice(&spec)?;
            review["status"] = json!({"allowed": true});
            return Ok(response(201, &review));
        }
        let ask = read(&request);
        let method = request.method().clone();
        let bytes = request.into_body().collect_bytes().await?;
        if self.lock().severed >= client {
            return std::future::pending().await;
        }
        if self.lock().faults.down {
            return Err("connection refused".into());
        }
        if method == Method::GET {
            return Ok(self.look(&ask));
        }
        let verb = match (method, ask.status) {
            (method, false) if method == Method::POST => Verb::Create,
            (method, false) if method == Method::PATCH && ask.merges => Verb::Merge,
            (method, false) if method == Method::PATCH => Verb::Apply,
            (method, true) if method == Method::PATCH => Verb::ApplyStatus,
            (method, _) => panic!("the fake cluster does not know {method}"),
        };
        let body: Value = serde_json::from_slice(&bytes)?;
        self.write(&ask, verb, body).await
    }

    fn look(&self, ask: &Ask) -> Response<Body> {
        let mut state = self.lock();
        let store = &mut state.store;
        if ask.query.contains_key("watch") {
            let (sender, receiver) = unbounded();
            let cursor = ask.query.get("resourceVersion").and_then(|v| v.parse().ok()).unwrap_or(0);
            store.follow(Follower { kind: ask.kind, scope: ask.scope.clone(), cursor, sender });
            let lines = receiver.map(Ok::<_, Infallible>);
            return Response::new(Body::from_stream(lines));
        }
        if ask.place.1.is_empty() {
            let items: Vec<Value> = store
                .objects
                .iter()
                .filter(|((kind, _), _)| *kind == ask.kind)
                .map(|((_, place), stored)| (place, stored.shown()))
                .filter(|(place, shown)| ask.scope.selects(place, shown))
                .map(|(_, shown)| ask.scope.show(&shown))
                .collect();
            let (api_version, kind) = ask.kind.types();
            return response(
                200,
                &json!({
                    "apiVersion": api_version, "kind": format!("{kind}List"),
                    "metadata": {"resourceVersion": store.version.to_string()}, "items": items,
                }),
            );
        }
        let found = store.get(ask.kind, &ask.place).map(|stored| ask.scope.show(&stored.shown()));
        state.reads += 1;
        let (code, body) = found.map_or_else(|| failure(404, &ask.place.1), |body| (200, body));
        response(code, &body)
    }

    async fn write(&self, ask: &Ask, verb: Verb, body: Value) -> Result<Response<Body>, BoxError> {
        let name = if verb == Verb::Create { place(&body).1 } else { ask.place.1.clone() };
        let (fault, answer) = {
            let mut state = self.lock();
            let number = state.writes.len();
            let fault = state.faults.take(number, ask.kind, verb);
            let (answer, changed) = match fault {
                Some(Fault::Refuse(code)) => (failure(code, "exceeded quota"), false),
                Some(Fault::Break | Fault::Halt) => (failure(0, &name), false),
                Some(Fault::RefuseAfter(_) | Fault::BreakAfter | Fault::HaltAfter) | None => {
                    carry_out(&mut state, ask, verb, body)
                }
            };
            let code = match fault {
                Some(Fault::RefuseAfter(code)) => code,
                Some(Fault::Break | Fault::BreakAfter | Fault::Halt | Fault::HaltAfter) => 0,
                Some(Fault::Refuse(_)) | None => answer.0,
            };
            state.writes.push(Write { verb, kind: ask.kind, name, code, changed });
            (fault, answer)
        };
        match fault {
            Some(Fault::Break | Fault::BreakAfter) => Err("connection reset by peer".into()),
            Some(Fault::Halt | Fault::HaltAfter) => {
                self.sever();
                self.halted.notify_one();
                std::future::pending().await
            }
            Some(Fault::RefuseAfter(code)) => Ok(response(code, &failure(code, "so it says").1)),
            Some(Fault::Refuse(_)) | None => Ok(response(answer.0, &answer.1)),
        }
    }
}

/// Carries out a mutating request. The answer, and whether anything changed.
fn carry_out(state: &mut State, ask: &Ask, verb: Verb, mut body: Value) -> (Answer, bool) {
    let place = match verb {
        Verb::Create => (ask.place.0.clone(), place(&body).1),
        Verb::Apply | Verb::ApplyStatus | Verb::Merge => ask.place.clone(),
    };
    let found = state.store.get(ask.kind, &place).cloned();
    if let Some(refused) = refusal(verb, &body, found.as_ref(), &place.1) {
        return (refused, false);
    }
    if verb == Verb::Merge {
        return merge(state, ask, &body);
    }
    let new = found.is_none();
    let mut stored = found.unwrap_or_else(|| {
        state.uids += 1;
        let (api_version, kind) = ask.kind.types();
        let uid = format!("00000000-0000-4000-9000-{:012x}", state.uids);
        let metadata = json!({"name": place.1, "namespace": place.0, "uid": uid});
        Stored {
            value: json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}),
            managed: Vec::new(),
        }
    });
    let subresource = if verb == Verb::ApplyStatus { "status" } else { "" };
    if verb == Verb::ApplyStatus {
        body = json!({"status": body["status"]});
    }
    let default_manager = "unknown".to_owned();
    let manager = ask.query.get("fieldManager").unwrap_or(&default_manager);
    let force = ask.query.get("force").is_some_and(|force| force == "true");
    match apply::apply(&mut stored.value, &mut stored.managed, &body, (manager, subresource, force)) {
        Err(conflict) => (failure(409, &format!("conflict with {:?}", conflict.with)), false),
        // What changes nothing is not stored again and has no new version.
        Ok(false) if !new => ((200, stored.shown()), false),
        Ok(_) => {
            default(&mut stored.value["metadata"], "creationTimestamp", || json!("2030-01-01T00:00:00Z"));
            let shown = state.store.put(ask.kind, &place, stored);
            ((if new { 201 } else { 200 }, shown), true)
        }
    }
}

/// Merges a patch into an object that is there. One that is being deleted goes with its last finalizer.
fn merge(state: &mut State, ask: &Ask, patch: &Value) -> (Answer, bool) {
    let Some(mut stored) = state.store.get(ask.kind, &ask.place).cloned() else {
        return (failure(404, &ask.place.1), false);
    };
    let before = stored.value.clone();
    json_merge(&mut stored.value, patch);
    if stored.value == before {
        return ((200, stored.shown()), false);
    }
    apply::update(&mut stored.managed, &before, &stored.value, "unknown", "Update");
    let metadata = &stored.value["metadata"];
    let kept = metadata["finalizers"].as_array().is_some_and(|all| !all.is_empty());
    if metadata["deletionTimestamp"].is_string() && !kept {
        let shown = stored.shown();
        state.store.remove(ask.kind, &ask.place);
        return ((200, shown), true);
    }
    ((200, state.store.put(ask.kind, &ask.place, stored)), true)
}

/// RFC 7396.
fn json_merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        match (value, target.as_object_mut()) {
            (Value::Null, Some(fields)) => {
                fields.remove(name);
            }
            (value, _) => json_merge(&mut target[name.as_str()], value),
        }
    }
}

/// Preconditions of a mutating request.
fn refusal(verb: Verb, body: &Value, found: Option<&Stored>, name: &str) -> Option<Answer> {
    let version = body["metadata"]["resourceVersion"].as_str();
    let Some(found) = found else {
        return match verb {
            Verb::ApplyStatus | Verb::Merge => Some(failure(404, name)),
            Verb::Apply if version.is_some() => Some(failure(409, name)),
            Verb::Create | Verb::Apply => None,
        };
    };
    let value = &found.value;
    let differs = |field: &str| {
        body["metadata"][field].as_str().is_some_and(|text| value["metadata"][field].as_str() != Some(text))
    };
    if verb == Verb::Create {
        let (code, mut status) = failure(409, name);
        status["reason"] = json!("AlreadyExists");
        return Some((code, status));
    }
    if differs("uid") || differs("resourceVersion") {
        return Some(failure(409, name));
    }
    let types = (body["type"].as_str(), value["type"].as_str());
    matches!(types, (Some(wanted), Some(is)) if wanted != is)
        .then(|| failure(422, "type: field is immutable"))
}

/// `/api/v1/…` and `/apis/<group>/<version>/…`, then `[namespaces/<namespace>/]<plural>[/<name>[/status]]`.
fn read<B>(request: &Request<B>) -> Ask {
    let path = request.uri().path().trim_start_matches('/');
    let skip = if path.starts_with("api/") { 2 } else { 3 };
    let mut steps = path.split('/').skip(skip).peekable();
    let mut namespace = String::new();
    if steps.peek() == Some(&"namespaces") {
        steps.next();
        steps.next().unwrap_or_default().clone_into(&mut namespace);
    }
    let kind = Kind::from_plural(steps.next().unwrap_or_default());
    let name = steps.next().unwrap_or_default().to_owned();
    let query: BTreeMap<String, String> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect();
    let accept =
        request.headers().get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let labels = query.get("labelSelector").filter(|labels| !labels.is_empty());
    let scope = Scope {
        namespace: namespace.clone(),
        labels: labels.into_iter().flat_map(|l| l.split(',')).map(str::to_owned).collect(),
        metadata_only: accept.contains("as=PartialObjectMetadata"),
    };
    let merges = request
        .headers()
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == b"application/merge-patch+json");
    Ask { kind, place: (namespace, name), status: steps.next() == Some("status"), merges, query, scope }
}

/// Undoes percent encoding of ASCII.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(part.len().min(2));
        plain.push(u8::from_str_radix(code, 16).map_or('?', char::from));
        plain.push_str(rest);
    }
    plain
}

fn failure(code: u16, message: &str) -> Answer {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    (code, status)
}

fn response(code: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() =
        http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
}
