//! Stands between the operator and what it talks to, and spoils single requests on order.
//!
//! One proxy for the API server (HTTP/1.1) and one for the signer (HTTP/2, mutual TLS), both ends with TLS. It holds the
//! serving key of the other side and, towards the signer, the operator's own identity: all of them files that the
//! harness mounts anyway. A request is read to its end, a rule judges it, and what was carried out is carried out whether
//! the asker still lives or not.

use super::held::Held;
use super::label::{Label, of_api, of_signer};
use crate::Error;
use futures::SinkExt;
use futures::channel::mpsc;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keywright_ambient::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What is done with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Pass,
    /// It is carried out, the victim gets SIGKILL, and nobody hears the answer.
    Kill,
    /// It is carried out, the server gets SIGKILL, and nobody hears the answer.
    Fell,
    /// It is carried out, and the connection breaks before the answer.
    Lose,
    /// The connection breaks before it is carried out.
    Cut,
    /// It is answered with this status and not carried out.
    Refuse(u16),
    /// It is carried out and answered with this status.
    Disown(u16),
    /// It is carried out after this wait.
    Delay(Duration),
    /// It is carried out and answered once the gate of the held is open.
    Hold,
}

type Rule = Box<dyn FnMut(&Label) -> Verdict + Send>;
type Body = BoxBody<Bytes, io::Error>;
type Page = (http::response::Parts, Bytes);

/// Both ends of the wire.
pub(super) struct Wire {
    pub(super) server: ServerConfig,
    pub(super) client: ClientConfig,
    pub(super) name: ServerName<'static>,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// The API server's REST, over HTTP/1.1.
    Rest,
    /// The signer's gRPC, over HTTP/2.
    Grpc,
}

/// A running proxy; it ends with its last handle.
#[derive(Clone)]
pub(super) struct Proxy {
    /// Where it listens on 127.0.0.1.
    pub(super) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    connector: TlsConnector,
    name: ServerName<'static>,
    port: AtomicU16,
    protocol: Protocol,
    rules: Mutex<BTreeMap<String, Rule>>,
    everybody: Mutex<Option<Rule>>,
    victim: Arc<AtomicI32>,
    server: Arc<AtomicI32>,
    idle: Mutex<Vec<http1::SendRequest<Full<Bytes>>>>,
    streams: tokio::sync::Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
    gate: watch::Sender<bool>,
    coalesce: AtomicBool,
    held: watch::Sender<bool>,
    epoch: watch::Sender<u64>,
    activity: Mutex<BTreeMap<String, (usize, Instant)>>,
    /// The pages of the last list of each path, by query.
    lists: Mutex<BTreeMap<String, BTreeMap<String, Page>>>,
    stale: watch::Sender<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Listens. `victim` holds the pid that [`Verdict::Kill`] kills, `server` that of [`Verdict::Fell`].
    pub(super) async fn start(
        wire: Wire,
        victim: Arc<AtomicI32>,
        server: Arc<AtomicI32>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Spawn { name: "the proxy".into(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let shared = Arc::new(Shared {
            connector: TlsConnector::from(Arc::new(wire.client)),
            name: wire.name,
            port: AtomicU16::new(wire.port),
            protocol: wire.protocol,
            rules: Mutex::default(),
            everybody: Mutex::default(),
            victim,
            server,
            idle: Mutex::default(),
            streams: tokio::sync::Mutex::default(),
            gate: watch::Sender::new(true),
            coalesce: AtomicBool::new(false),
            held: watch::Sender::new(true),
            epoch: watch::Sender::new(0),
            activity: Mutex::default(),
            lists: Mutex::default(),
            stale: watch::Sender::new(false),
        });
        let acceptor = TlsAcceptor::from(Arc::new(wire.server));
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(Arc::clone(&accepting), acceptor.clone(), stream));
            }
        });
        Ok(Self { port, shared })
    }

    /// From now on requests about this namespace are judged by `rule`; those without one pass.
    pub(super) fn judge(&self, namespace: &str, rule: impl FnMut(&Label) -> Verdict + Send + 'static) {
        lock(&self.shared.rules).insert(namespace.to_owned(), Box::new(rule));
    }

    /// Everything about this namespace passes again.
    pub(super) fn acquit(&self, namespace: &str) {
        lock(&self.shared.rules).remove(namespace);
    }

    /// Judges what no namespace's rule judges, reads and watches too.
    pub(super) fn judge_all(&self, rule: impl FnMut(&Label) -> Verdict + Send + 'static) {
        *lock(&self.shared.everybody) = Some(Box::new(rule));
    }

    /// Ends what [`Self::judge_all`] began.
    pub(super) fn acquit_all(&self) {
        *lock(&self.shared.everybody) = None;
    }

    /// Holds back watch events, or lets them go on.
    pub(super) fn gate(&self, open: bool) {
        self.shared.gate.send_replace(open);
    }

    /// Whether of the events that are held back only the newest of each object is ever shown.
    pub(super) fn coalesce(&self, coalesce: bool) {
        self.shared.coalesce.store(coalesce, Ordering::Release);
    }

    /// From now on it stands before another server; every connection of now breaks.
    pub(super) fn redirect(&self, port: u16) {
        self.shared.port.store(port, Ordering::Release);
        lock(&self.shared.idle).clear();
        self.cut();
    }

    /// Keeps requests that are held, or lets all of them go.
    pub(super) fn release_held(&self, released: bool) {
        self.shared.held.send_replace(released);
    }

    /// Breaks every connection of now.
    pub(super) fn cut(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// While stale, lists are answered as they last were, and watches tell nothing.
    pub(super) fn stale(&self, stale: bool) {
        self.shared.stale.send_replace(stale);
        self.gate(!stale);
    }

    /// How long nothing that changes something in this namespace has been under way.
    pub(super) fn quiet_for(&self, namespace: &str) -> Duration {
        match lock(&self.shared.activity).get(namespace) {
            None => Duration::MAX,
            Some((0, since)) => since.elapsed(),
            Some(_) => Duration::ZERO,
        }
    }
}

async fn serve(shared: Arc<Shared>, acceptor: TlsAcceptor, stream: TcpStream) {
    let mut epoch = shared.epoch.subscribe();
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let io = TokioIo::new(stream);
    let protocol = shared.protocol;
    let service = service_fn(move |request| {
        // A task of its own: it goes on when the asker is gone.
        let handling = tokio::spawn(handle(Arc::clone(&shared), request));
        async move { handling.await.unwrap_or_else(|ended| Err(io::Error::other(ended))) }
    });
    let serving = async {
        match protocol {
            Protocol::Rest => {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
            }
            Protocol::Grpc => {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(io, service).await;
            }
        }
    };
    tokio::select! {
        () = serving => {}
        _ = epoch.changed() => {}
    }
}

fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let label = match shared.protocol {
        Protocol::Rest => of_api(&parts.method, &parts.uri, &body),
        Protocol::Grpc => of_signer(&parts.uri, &body),
    };
    let verdict = shared.verdict(&label);
    let _busy = label.mutating.then(|| Busy::new(&shared, &label.namespace));
    if label.verb == "list" && *shared.stale.borrow() {
        let pages = lock(&shared.lists);
        let known = pages.get(parts.uri.path()).and_then(|pages| pages.get(query(&parts.uri))).cloned();
        drop(pages);
        if let Some((head, body)) = known {
            return Ok(Response::from_parts(head, Full::new(body).map_err(|e| match e {}).boxed()));
        }
    }
    let uri = parts.uri.clone();
    let request = Request::from_parts(parts, Full::new(body));
    match verdict {
        Verdict::Pass => {}
        Verdict::Cut => return Err(cut()),
        Verdict::Refuse(status) => return Ok(refusal(status)),
        Verdict::Delay(wait) => tokio::time::sleep(wait).await,
        Verdict::Kill | Verdict::Fell => {
            // Whether it could be carried out or not: what counts is that nobody hears of it.
            let carried_out = shared.forward(request, &label, &uri).await;
            let whom = if verdict == Verdict::Kill { &shared.victim } else { &shared.server };
            if let Some(pid) = Pid::from_raw(whom.load(Ordering::Acquire)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            drop(carried_out);
            return Err(cut());
        }
        Verdict::Lose => {
            shared.forward(request, &label, &uri).await?;
            return Err(cut());
        }
        Verdict::Disown(status) => {
            shared.forward(request, &label, &uri).await?;
            return Ok(refusal(status));
        }
        Verdict::Hold => {
            let mut held = shared.held.subscribe();
            let _ = held.wait_for(|open| *open).await;
        }
    }
    shared.forward(request, &label, &uri).await
}

/// Counts a request that changes something as under way.
struct Busy(Arc<Shared>, String);

impl Busy {
    fn new(shared: &Arc<Shared>, namespace: &str) -> Self {
        lock(&shared.activity).entry(namespace.to_owned()).or_insert((0, SystemClock.monotonic())).0 += 1;
        Self(Arc::clone(shared), namespace.to_owned())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(activity) = lock(&self.0.activity).get_mut(&self.1) {
            *activity = (activity.0.saturating_sub(1), SystemClock.monotonic());
        }
    }
}

/// Which page of which list is meant.
fn query(uri: &Uri) -> &str {
    uri.query().unwrap_or_default()
}

/// An answer that the API server could have given; towards gRPC only its status counts.
fn refusal(status: u16) -> Response<Body> {
    let reason = match status {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": "refused by the perturbation", "code": status,
    });
    let body = Full::new(Bytes::from(body.to_string())).map_err(|e| match e {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    if status == 429 {
        response.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
    }
    response
}

impl Shared {
    fn verdict(&self, label: &Label) -> Verdict {
        if label.mutating
            && let Some(rule) = lock(&self.rules).get_mut(&label.namespace)
        {
            return rule(label);
        }
        lock(&self.everybody).as_mut().map_or(Verdict::Pass, |rule| rule(label))
    }

    async fn connect(&self) -> io::Result<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port.load(Ordering::Acquire))).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(self.connector.connect(self.name.clone(), stream).await?))
    }

    async fn forward(
        self: &Arc<Self>,
        request: Request<Full<Bytes>>,
        label: &Label,
        uri: &Uri,
    ) -> io::Result<Response<Body>> {
        match self.protocol {
            Protocol::Rest => self.rest(request, label, uri).await,
            Protocol::Grpc => self.grpc(request).await,
        }
    }

    async fn rest(
        self: &Arc<Self>,
        request: Request<Full<Bytes>>,
        label: &Label,
        uri: &Uri,
    ) -> io::Result<Response<Body>> {
        let port = self.port.load(Ordering::Acquire);
        let used = lock(&self.idle).pop().filter(http1::SendRequest::is_ready);
        let mut sender = if let Some(sender) = used {
            sender
        } else {
            let (sender, connection) =
                http1::handshake(self.connect().await?).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            sender
        };
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        if label.verb == "watch" && head.status.is_success() {
            let (lines, received) = mpsc::channel(16);
            tokio::spawn(pump(Arc::clone(self), sender, body, lines));
            return Ok(Response::from_parts(head, StreamBody::new(received).boxed()));
        }
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        if self.port.load(Ordering::Acquire) == port {
            lock(&self.idle).push(sender);
        }
        if label.verb == "list" && head.status.is_success() {
            let mut lists = lock(&self.lists);
            let pages = lists.entry(uri.path().to_owned()).or_default();
            let query = query(uri);
            if !query.split('&').any(|part| part.starts_with("continue=")) {
                pages.clear();
            }
            pages.insert(query.to_owned(), (head.clone(), body.clone()));
        }
        Ok(Response::from_parts(head, Full::new(body).map_err(|e| match e {}).boxed()))
    }

    async fn grpc(&self, request: Request<Full<Bytes>>) -> io::Result<Response<Body>> {
        let mut sender = {
            let mut streams = self.streams.lock().await;
            if let Some(sender) = streams.clone().filter(|sender| !sender.is_closed()) {
                sender
            } else {
                let io = self.connect().await?;
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                *streams = Some(sender.clone());
                sender
            }
        };
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        // With its trailers, which carry the status.
        let body = body.collect().await.map_err(io::Error::other)?;
        Ok(Response::from_parts(head, body.map_err(|e| match e {}).boxed()))
    }
}

/// Passes watch events on, line by line, while the gate is open.
async fn pump(
    shared: Arc<Shared>,
    sender: http1::SendRequest<Full<Bytes>>,
    mut body: Incoming,
    mut lines: mpsc::Sender<io::Result<Frame<Bytes>>>,
) {
    let mut gate = shared.gate.subscribe();
    let mut held = Held::default();
    loop {
        let open = *gate.borrow_and_update();
        if open {
            for line in held.take() {
                if lines.send(Ok(Frame::data(line))).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            frame = body.frame() => {
                let Some(Ok(frame)) = frame else { break };
                let Ok(data) = frame.into_data() else { continue };
                held.read(&data, shared.coalesce.load(Ordering::Acquire));
            }
            changed = gate.changed() => if changed.is_err() { return },
        }
    }
    drop(sender);
}
