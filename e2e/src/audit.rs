//! What the API server was asked, as its audit log says: the oracle for "two writes for a certificate" and "a quiet
//! world writes nothing".

use crate::Error;
use serde::Deserialize;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// One request that the API server answered, of audit.k8s.io/v1 at level Metadata.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// "ResponseComplete", or "ResponseStarted" for a watch.
    pub stage: String,
    /// "get", "create", "patch", …
    pub verb: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// What the client calls itself.
    #[serde(default)]
    pub user_agent: String,
    /// Who asked, after authentication.
    #[serde(default)]
    pub user: User,
    /// Which object; empty for paths that are none.
    #[serde(default)]
    pub object_ref: ObjectRef,
    /// The answer.
    #[serde(default)]
    pub response_status: ResponseStatus,
}

/// Who asked.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct User {
    /// For a ServiceAccount `system:serviceaccount:NAMESPACE:NAME`.
    #[serde(default)]
    pub username: String,
}

/// Which object a request was for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectRef {
    /// The group, empty for core.
    pub api_group: String,
    /// The plural, "certificates".
    pub resource: String,
    /// "status", "token", or empty.
    pub subresource: String,
    /// Empty where it has none.
    pub namespace: String,
    /// Empty where the server makes it, and for lists.
    pub name: String,
}

/// The answer.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct ResponseStatus {
    /// The HTTP status.
    #[serde(default)]
    pub code: u16,
}

impl Event {
    /// Whether it could change something.
    pub fn is_mutating(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }

    /// A mutating request of one of the product's processes, Lease renewals left out.
    pub fn is_write_of_ours(&self) -> bool {
        self.is_mutating()
            && self.user_agent.starts_with("keywright-")
            && self.object_ref.resource != "leases"
    }
}

/// A place in the log: what was asked before it is of no interest.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// The log of one site.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// Reads this file, which the API server writes.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log now.
    pub fn mark(&self) -> Result<Mark, Error> {
        std::fs::metadata(&self.path).map(|meta| Mark(meta.len())).map_err(Error::file("read", &self.path))
    }

    /// All requests answered after `mark`, in order. Errors: `Garbled` for a line that is not an audit event; an
    /// unfinished last line is left for the next time.
    pub fn since(&self, mark: Mark) -> Result<Vec<Event>, Error> {
        let mut text = String::new();
        let mut read = || -> std::io::Result<usize> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(mark.0))?;
            file.read_to_string(&mut text)
        };
        read().map_err(Error::file("read", &self.path))?;
        let finished = text.rfind('\n').map_or("", |end| &text[..end]);
        finished.lines().map(|line| parse(&self.path, line)).collect()
    }
}

fn parse(path: &Path, line: &str) -> Result<Event, Error> {
    let garbled =
        |error: serde_json::Error| Error::Garbled { path: path.to_path_buf(), problem: error.to_string() };
    serde_json::from_str(line).map_err(garbled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: &str, agent: &str, resource: &str) -> Event {
        let line = serde_json::json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "1",
            "stage": "ResponseComplete", "requestURI": "/api", "verb": verb, "userAgent": agent,
            "user": {"username": "system:serviceaccount:keywright-system:keywright-operator"},
            "objectRef": {"resource": resource, "namespace": "default", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": 200},
        });
        parse(Path::new("audit.log"), &line.to_string()).unwrap()
    }

    #[test]
    fn lease_renewals_reads_and_other_peoples_writes_do_not_count() {
        let table = [
            ("patch", "keywright-operator/0.1.0", "secrets", true),
            ("create", "keywright-operator/0.1.0", "events", true),
            ("update", "keywright-operator/0.1.0", "leases", false),
            ("watch", "keywright-operator/0.1.0", "secrets", false),
            ("patch", "kubectl/v1.36.3", "certificates", false),
        ];
        for (verb, agent, resource, counts) in table {
            assert_eq!(
                event(verb, agent, resource).is_write_of_ours(),
                counts,
                "{verb} {resource} by {agent}"
            );
        }
    }

    #[test]
    fn an_unfinished_line_is_left_for_later() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = AuditLog::new(file.path().to_path_buf());
        let mark = log.mark().unwrap();
        let line = r#"{"stage":"ResponseComplete","verb":"get","requestURI":"/api"}"#;
        std::fs::write(file.path(), format!("{line}\n{}", &line[..20])).unwrap();
        assert_eq!(log.since(mark).unwrap().len(), 1);
    }
}
