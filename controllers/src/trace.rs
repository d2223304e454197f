//! What a look leaves in a trace: nothing, unless it asked or wrote something.

use crate::error::Error;
use keywright_telemetry::{Kind, Span, SpanContext, TraceId, Tracer, Value, names};
use kube::Resource;
use kube::api::ObjectMeta;

/// The generation of an object to which all that is done for it belongs; none: it is not of an API server.
pub(crate) fn context(meta: &ObjectMeta) -> Option<SpanContext> {
    Some(SpanContext::of_object(meta.uid.as_deref()?, meta.generation?))
}

/// The trace of an object, for a log line.
pub(crate) fn trace_id(meta: &ObjectMeta) -> Option<tracing::field::DisplayValue<TraceId>> {
    context(meta).map(|context| tracing::field::display(context.trace))
}

/// A look under way.
pub(crate) struct Look {
    span: Span,
    acted: bool,
    /// What the object says of itself after it.
    reason: Option<&'static str>,
}

impl Look {
    /// Begins one. Its parent is the object's admission, wherever that was.
    pub(crate) fn at<K: Resource<DynamicType = ()>>(tracer: &Tracer, object: &K) -> Self {
        let mut span = Span::off();
        let meta = object.meta();
        if tracer.is_on()
            && let Some(admission) = context(meta)
        {
            span = tracer.below("look", Kind::Internal, admission);
            span.set(names::KIND, K::kind(&()).into_owned());
            let texts =
                [(names::NAMESPACE, &meta.namespace), (names::NAME, &meta.name), (names::UID, &meta.uid)];
            for (name, text) in texts {
                if let Some(text) = text {
                    span.set(name, text.as_str());
                }
            }
            span.set(names::GENERATION, meta.generation.unwrap_or_default());
        }
        Self { span, acted: false, reason: None }
    }

    /// Begins a request to another process: from now on the look is worth telling.
    pub(crate) fn request(&mut self, name: &'static str) -> Span {
        self.acted = true;
        self.span.part(name, Kind::Client)
    }

    /// Sets an attribute; `value` is asked for only where spans go somewhere.
    pub(crate) fn set<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if self.span.is_on() {
            self.span.set(name, value());
        }
    }

    /// What the object says of itself after this look.
    pub(crate) const fn outcome(&mut self, reason: &'static str) {
        self.reason = Some(reason);
    }

    /// It ends.
    pub(crate) fn end<T>(mut self, looked: &Result<T, Error>) {
        if !self.acted {
            return self.span.forget();
        }
        let outcome = self.reason.or(looked.as_ref().err().map(Error::name));
        if let Some(outcome) = outcome {
            self.span.outcome(outcome, looked.is_err());
        }
        self.span.end();
    }
}

/// A request ends, well or not: the words of an error are somebody else's and stay out.
pub(crate) fn end<T, E>(mut span: Span, answer: &Result<T, E>, name: impl FnOnce(&E) -> &'static str) {
    match answer {
        Ok(_) => {}
        Err(error) => span.outcome(name(error), true),
    }
    span.end();
}
