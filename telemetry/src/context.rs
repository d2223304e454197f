//! Which span of which trace.
//!
//! Between an object's admission and the first look at it nobody passes a header along: the API server stands between. So
//! trace and first span follow from what both ends see, the object's UID and generation. From the operator to the signer
//! the context goes in a header.

use aws_lc_rs::digest::{Context, SHA256};
use std::fmt;

/// The header that carries a context. Source: W3C Trace Context, section 3.2.
pub const TRACEPARENT: &str = "traceparent";

/// Keeps our digests apart from everybody else's.
const DOMAIN: &[u8] = b"keywright.dev/trace/v1\0";

/// A trace: 16 octets, shown in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// A span of a trace: 8 octets, shown in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// One span of one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanContext {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
}

impl TraceId {
    /// Its octets.
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// A span of these octets; none when all are zero, which names no span.
    pub fn new(octets: [u8; 8]) -> Option<Self> {
        (octets != [0; 8]).then_some(Self(octets))
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8; 8] {
        &self.0
    }
}

impl SpanContext {
    /// The admission of this generation of an object, to which all that follows from it belongs.
    ///
    /// SHA-256 of `keywright.dev/trace/v1`, a zero octet, the UID, a zero octet and the generation in decimal digits: the
    /// first 16 octets are the trace, the next 8 the span.
    pub fn of_object(uid: &str, generation: i64) -> Self {
        let mut digest = Context::new(&SHA256);
        digest.update(DOMAIN);
        digest.update(uid.as_bytes());
        digest.update(&[0]);
        digest.update(generation.to_string().as_bytes());
        let digest = digest.finish();
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&digest.as_ref()[..16]);
        span.copy_from_slice(&digest.as_ref()[16..24]);
        Self { trace: TraceId(trace), span: SpanId(span) }
    }

    /// Reads a `traceparent`. None: it is none, or its sender does not record this trace.
    pub fn parse(header: &str) -> Option<Self> {
        // A later version may say more behind what this one says.
        let (known, rest) = header.split_at_checked(55)?;
        let mut parts = known.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_over = rest.is_empty() || (version != "00" && rest.starts_with('-'));
        let lower = known.bytes().all(|octet| !octet.is_ascii_uppercase());
        if parts.next().is_some() || !is_over || !lower {
            return None;
        }
        let [version] = octets(version)?;
        let [flags] = octets(flags)?;
        let (trace, span) = (TraceId(octets(trace)?), SpanId::new(octets(span)?)?);
        (version != 0xff && trace.0 != [0; 16] && flags & 1 == 1).then_some(Self { trace, span })
    }

    /// The `traceparent` that names it.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }
}

fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut octets = [0; N];
    hex::decode_to_slice(text, &mut octets).ok()?;
    Some(octets)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const UID: &str = "6d5f9f0a-5e0b-4c43-8c06-6d6d8d3a7f01";

    #[test]
    fn a_shell_computes_the_trace_of_an_object_as_the_page_says() {
        let page = include_str!("../../docs/traces.md");
        let line = page.lines().find(|line| line.contains("sha256sum")).unwrap();
        let said =
            Command::new("sh").args(["-c", &format!("uid={UID} generation=3; {line}")]).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert_eq!(said.trim(), SpanContext::of_object(UID, 3).trace.to_string());
    }

    #[test]
    fn each_generation_has_a_trace_of_its_own() {
        let first = SpanContext::of_object(UID, 1);
        assert_eq!(first, SpanContext::of_object(UID, 1));
        assert_ne!(first.trace, SpanContext::of_object(UID, 2).trace);
        assert_ne!(SpanContext::of_object("a", 11).trace, SpanContext::of_object("a1", 1).trace);
    }

    #[test]
    fn a_traceparent_reads_as_it_was_written() {
        let context = SpanContext::of_object(UID, 1);
        assert_eq!(SpanContext::parse(&context.traceparent()), Some(context));
    }

    #[test]
    fn only_a_traceparent_of_a_recorded_trace_is_taken() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let is_taken = |text: &str| SpanContext::parse(text).is_some();
        assert!(is_taken(&format!("00-{trace}-{span}-01")));
        assert!(is_taken(&format!("00-{trace}-{span}-03")));
        assert!(is_taken(&format!("cc-{trace}-{span}-01-what.comes.later")));
        for refused in [
            String::new(),
            format!("00-{trace}-{span}-00"),
            format!("00-{trace}-{span}-01-more"),
            format!("cc-{trace}-{span}-01more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}-{span}"),
            format!("00-{trace}_{span}-01"),
            format!("0g-{trace}-{span}-01"),
            "é".repeat(40),
        ] {
            assert!(!is_taken(&refused), "{refused}");
        }
    }
}
