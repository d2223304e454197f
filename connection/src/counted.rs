//! Counts the requests to the API server, as client-go does.

use futures::TryFutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use prometheus::IntCounterVec;
use std::task::{Context, Poll};
use tower::Service;

/// A connection whose answers are counted by code, method and host.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    pub(crate) inner: S,
    pub(crate) requests: IntCounterVec,
    pub(crate) host: String,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (requests, host) = (self.requests.clone(), self.host.clone());
        let method = request.method().to_string();
        let (failed, failed_host, failed_method) = (requests.clone(), host.clone(), method.clone());
        let answer = self.inner.call(request);
        let answer = answer.inspect_ok(move |answer| {
            requests.with_label_values(&[answer.status().as_str(), &method, &host]).inc();
        });
        Box::pin(answer.inspect_err(move |_| {
            failed.with_label_values(&["<error>", &failed_method, &failed_host]).inc();
        }))
    }
}
