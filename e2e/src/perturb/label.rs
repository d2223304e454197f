//! What a request is about, in words that are the same in every run.

use http::{Method, Uri};
use serde_json::Value;
use std::fmt;

/// A request: whose, and what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    /// Namespace of the object; of a ClusterIssuer `NAMESPACE.NAME` the part before the dot. Empty: no object of a case.
    pub(crate) namespace: String,
    /// "patch", "create", "list", …; of the signer "issue" and "ensure".
    pub(crate) verb: &'static str,
    /// "certificates/status"; of the signer "signer".
    pub(crate) resource: String,
    /// Name of the object; of an Event, of the object that it is about.
    pub(crate) name: String,
    /// Whether it can change something; renewals of the Lease do not count.
    pub(crate) mutating: bool,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.verb, self.resource.replace('/', "."), self.name)
    }
}

/// Namespace and name of an object; ClusterIssuers of a case carry its namespace in their name.
fn placed(namespace: &str, kind: &str, name: &str) -> (String, String) {
    match name.split_once('.') {
        Some((of, name)) if kind.starts_with("clusterissuer") => (of.to_owned(), name.to_owned()),
        _ => (namespace.to_owned(), name.to_owned()),
    }
}

/// Reads a request to the API server.
pub(crate) fn of_api(method: &Method, uri: &Uri, body: &[u8]) -> Label {
    let mut parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    parts.drain(..parts.len().min(if parts.first() == Some(&"api") { 2 } else { 3 }));
    let mut namespace = "";
    if parts.len() > 2 && parts[0] == "namespaces" {
        namespace = parts[1];
        parts.drain(..2);
    }
    let (kind, name) = (parts.first().copied().unwrap_or(""), parts.get(1).copied().unwrap_or(""));
    let resource = match parts.get(2) {
        Some(sub) => format!("{kind}/{sub}"),
        None => kind.to_owned(),
    };
    let watching = uri.query().is_some_and(|query| query.contains("watch=true") || query.contains("watch=1"));
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ if watching => "watch",
        _ if name.is_empty() => "list",
        _ => "get",
    };
    let (namespace, name) = if kind == "events" {
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |field: &str| event["regarding"][field].as_str().unwrap_or_default().to_owned();
        placed(namespace, &text("kind").to_lowercase(), &text("name"))
    } else {
        placed(namespace, kind, name)
    };
    let mutating = matches!(verb, "create" | "update" | "patch" | "delete") && kind != "leases";
    Label { namespace, verb, resource, name, mutating }
}

/// Reads a request to the signer: a gRPC frame with a message whose field 3 is the object.
pub(crate) fn of_signer(uri: &Uri, body: &[u8]) -> Label {
    let verb = match uri.path().rsplit('/').next() {
        Some("Issue" | "IssueBatch") => "issue",
        Some("EnsureAuthority") => "ensure",
        _ => "ask",
    };
    let object = body.get(5..).and_then(|message| field(message, 3)).unwrap_or_default();
    let text = |number| String::from_utf8_lossy(field(object, number).unwrap_or_default()).into_owned();
    let (namespace, name) = placed(&text(2), &text(1).to_lowercase(), &text(3));
    Label { namespace, verb, resource: "signer".into(), name, mutating: verb != "ask" }
}

/// The first length-delimited field with this number of a protobuf message (protobuf.dev, "Encoding").
fn field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                varint(&mut message)?;
            }
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let content = message.get(..length)?;
                if tag >> 3 == wanted {
                    return Some(content);
                }
                message = &message[length..];
            }
            _ => return None,
        }
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_named_by_what_they_are_about() {
        let event = br#"{"regarding":{"kind":"ClusterIssuer","name":"c7.root"}}"#;
        let table = [
            (
                Method::PATCH,
                "/api/v1/namespaces/c7/secrets/web?force=true",
                &b""[..],
                "c7",
                "patch-secrets-web",
                true,
            ),
            (
                Method::PATCH,
                "/apis/keywright.dev/v1alpha1/clusterissuers/c7.root/status",
                &b""[..],
                "c7",
                "patch-clusterissuers.status-root",
                true,
            ),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/default/events",
                &event[..],
                "c7",
                "create-events-root",
                true,
            ),
            (
                Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/kw/leases/x",
                &b""[..],
                "kw",
                "update-leases-x",
                false,
            ),
            (Method::GET, "/api/v1/secrets?watch=true", &b""[..], "", "watch-secrets-", false),
            (
                Method::GET,
                "/apis/keywright.dev/v1alpha1/issuers?limit=500",
                &b""[..],
                "",
                "list-issuers-",
                false,
            ),
        ];
        for (method, uri, body, namespace, text, mutating) in table {
            let label = of_api(&method, &uri.parse().unwrap(), body);
            assert_eq!(
                (label.namespace.as_str(), label.to_string().as_str(), label.mutating),
                (namespace, text, mutating),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_call_of_the_signer_names_its_object() {
        let object = [&b"\x0a\x0bCertificate\x12\x02c7\x1a\x03web"[..]].concat();
        let message = [&[0x08, 0x96, 0x01, 0x1a, u8::try_from(object.len()).unwrap()][..], &object].concat();
        let frame = [&[0, 0, 0, 0, 0][..], &message].concat();
        let label = of_signer(&"/keywright.signer.v1alpha1.Signer/Issue".parse().unwrap(), &frame);
        assert_eq!((label.namespace.as_str(), label.to_string().as_str()), ("c7", "issue-signer-web"));
    }
}
