//! From a request to what is asked of the store, and back.

use super::store::{Refused, Scope, Server};
use crate::Error;
use crate::perturb::label::{Label, of_api};
use futures::StreamExt;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, Infallible>;

/// Listens on a port of 127.0.0.1 and answers which.
pub(super) async fn start(server: Arc<Server>) -> Result<u16, Error> {
    let failed = |source| Error::Spawn { name: "the fake API server".into(), source };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let server = Arc::clone(&server);
            let service = service_fn(move |request| answer(Arc::clone(&server), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(port)
}

async fn answer(server: Arc<Server>, request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let label = of_api(&parts.method, &parts.uri, &[]);
    let query = query(&parts.uri);
    let accept = parts.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let scope = Scope {
        label: query.get("labelSelector").filter(|label| !label.is_empty()).cloned(),
        metadata_only: accept.contains("as=PartialObjectMetadata"),
    };
    Ok(match label.verb {
        "watch" => watch(&server, &label, scope, &query),
        "list" => list(&server, &label, &scope, &query),
        "get" => match server.get(&label.resource, &label.namespace, &label.name) {
            Some(object) => reply(StatusCode::OK, object),
            None => failure(Refused::NotFound),
        },
        _ => write(&server, label, &body),
    })
}

fn write(server: &Server, label: Label, body: &[u8]) -> Response<Body> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let (verb, resource) = (label.verb, label.resource);
    if resource == "events" {
        server.count(verb, "events", false);
        return reply(StatusCode::CREATED, body.to_string().into());
    }
    let (kind, status) = match resource.strip_suffix("/status") {
        Some(kind) => (kind, true),
        None => (resource.as_str(), false),
    };
    let name = match label.name.as_str() {
        "" => body["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        name => name.to_owned(),
    };
    let place = (label.namespace, name);
    let written = match verb {
        "patch" => server.apply(kind, place, status, body),
        _ => server.replace(kind, place, body),
    };
    if kind != "leases" {
        server.count(verb, &resource, written.is_err());
    }
    written.map_or_else(failure, |object| reply(StatusCode::OK, object))
}

fn list(server: &Server, label: &Label, scope: &Scope, query: &HashMap<String, String>) -> Response<Body> {
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
    let after = query.get("continue").and_then(|place| place.split_once('/'));
    let after = after.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
    let limit = limit.unwrap_or(usize::MAX);
    let (version, items, next) = server.page(&label.resource, scope, after.as_ref(), limit);
    let next = next.map_or_else(String::new, |(namespace, name)| format!("{namespace}/{name}"));
    let metadata = json!({ "resourceVersion": version.to_string(), "continue": next });
    let mut list =
        format!(r#"{{"apiVersion":"v1","kind":"List","metadata":{metadata},"items":["#).into_bytes();
    list.extend_from_slice(&items.join(&b','));
    list.extend_from_slice(b"]}");
    reply(StatusCode::OK, list.into())
}

fn watch(server: &Server, label: &Label, scope: Scope, query: &HashMap<String, String>) -> Response<Body> {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
    let Some(lines) = server.follow(&label.resource, scope, number("resourceVersion").unwrap_or(0)) else {
        return failure_of(StatusCode::GONE, "Expired");
    };
    let end = tokio::time::sleep(Duration::from_secs(number("timeoutSeconds").unwrap_or(300)));
    let frames = lines.map(|line| Ok(Frame::data(line))).take_until(Box::pin(end));
    Response::new(BodyExt::boxed(StreamBody::new(frames)))
}

fn query(uri: &Uri) -> HashMap<String, String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.replace("%2F", "/"))).collect()
}

fn failure(refused: Refused) -> Response<Body> {
    match refused {
        Refused::NotFound => failure_of(StatusCode::NOT_FOUND, "NotFound"),
        Refused::Conflict => failure_of(StatusCode::CONFLICT, "Conflict"),
    }
}

fn failure_of(code: StatusCode, reason: &str) -> Response<Body> {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": code.as_u16(),
    });
    reply(code, status.to_string().into())
}

fn reply(code: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed());
    *response.status_mut() = code;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
