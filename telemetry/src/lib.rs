//! What the operator, the webhook and the signer tell of their work: log lines, and traces exported by OTLP.
//!
//! ```text
//! log        the two logging arguments, and the logger that they make
//! arguments  where traces go, as it is said on the command line; off by default
//! endpoint   a collector's address, parsed once
//! context    which span of which trace: derived from an object, or read from a header (W3C Trace Context)
//! names      the attributes that spans carry
//! span       Tracer and Span: off, they hold nothing and do nothing; on, an ended span goes into a bounded queue
//! export     one task: batches, posts, counts; what cannot be delivered is dropped
//!   wire     the messages of OTLP
//!   post     one HTTP request on a connection of its own
//! ```
//! Nothing here ever waits for a collector but the task that exports. No span carries a secret, a name of a person or
//! words that somebody else wrote.
//!
//! OTLP over HTTP, not gRPC: every part has an HTTP/1 client already, and one connection for each batch holds no memory
//! between batches. The dozen messages are declared here rather than taken from a library, whose SDK would bring a second
//! random generator into the signer's process; tests read them with that library.

mod arguments;
mod context;
mod endpoint;
mod export;
mod log;
pub mod names;
mod post;
mod span;
mod wire;

pub use arguments::{BadTarget, Target, Traces};
pub use context::{SpanContext, SpanId, TRACEPARENT, TraceId};
pub use endpoint::{Endpoint, Malformed};
pub use log::Log;
pub use span::{Kind, Service, Span, Tracer, Value};
