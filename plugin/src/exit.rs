//! How a command ends, as scripts see it: 0 as wanted, 1 not as wanted, 2 wrong usage, 3 not reached or not allowed.

use kube::core::Status;
use std::process::ExitCode;

/// Looked, and found it not as wanted.
pub(crate) const NOT_AS_WANTED: u8 = 1;

/// Why a command could not do what it was asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Something was found to be missing, refused or wrong. Exit code 1.
    #[error("{0}")]
    NotAsWanted(String),
    /// The command line makes no sense. Exit code 2, as clap's own refusals.
    #[error("{0}")]
    Usage(String),
    /// The cluster, the log or a file was not reached, or may not be read. Exit code 3.
    #[error("{0}")]
    Unreachable(String),
}

impl Failure {
    /// The process's exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn number(&self) -> u8 {
        match self {
            Self::NotAsWanted(_) => NOT_AS_WANTED,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }

    /// What an error of the API server means, said of what was being done, such as `read certificate "web"`.
    pub(crate) fn of_api(doing: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(doing, status),
            other => Self::Unreachable(format!(
                "cannot {doing}: the API server was not reached: {}",
                causes(other)
            )),
        }
    }

    fn of_status(doing: &str, status: &Status) -> Self {
        let said = &status.message;
        match status.code {
            // Without details it is the path that is unknown, not the object.
            404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => {
                Self::Unreachable(format!(
                    "cannot {doing}: this cluster does not know the resource; install Keywright's \
                     CustomResourceDefinitions (Helm chart keywright)"
                ))
            }
            // The cluster was reached and who asks may ask; what they ask for is refused by its rules.
            403 if said.contains("denied the request: ") || said.contains("denied request: ") => {
                Self::NotAsWanted(format!("cannot {doing}: {said}"))
            }
            401 => Self::Unreachable(format!("cannot {doing}: the cluster does not know you: {said}")),
            403 => Self::Unreachable(format!("cannot {doing}: not allowed: {said}")),
            400..=499 => Self::NotAsWanted(format!("cannot {doing}: {said}")),
            _ => Self::Unreachable(format!("cannot {doing}: the API server failed: {said}")),
        }
    }
}

/// An error and its causes in one line, each said once.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::response::StatusDetails;

    #[test]
    fn what_admission_refuses_is_not_a_want_of_access() {
        for (said, wanted) in [
            ("admission webhook \"validate.keywright.dev\" denied the request: vote-own-edit: no", 1),
            ("x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no", 1),
            ("approvaldecisions.keywright.dev is forbidden: User \"erin\" cannot create resource", 3),
        ] {
            let refused = Status { message: said.into(), ..status(403, "web") };
            assert_eq!(Failure::of_status("vote", &refused).number(), wanted, "{said}");
        }
    }

    fn status(code: u16, name: &str) -> Status {
        let details = StatusDetails {
            name: name.to_owned(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: 0,
        };
        Status { code, message: "words".into(), details: Some(details), ..Status::default() }
    }

    #[test]
    fn what_the_api_server_says_becomes_a_documented_exit_code() {
        for (code, name, wanted) in [
            (404, "web", 1),
            (404, "", 3),
            (401, "", 3),
            (403, "web", 3),
            (409, "web", 1),
            (422, "web", 1),
            (500, "", 3),
            (503, "", 3),
        ] {
            assert_eq!(Failure::of_status("read", &status(code, name)).number(), wanted, "{code} {name:?}");
        }
    }
}
