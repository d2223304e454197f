//! An issuer, as policies are asked about its certificate before the signer is.

use crate::verdict::Asker;
use keywright_approvals::effect::Subject;
use keywright_controllers_core::issuer::valid::ValidAuthority;
use keywright_crds::{AnyIssuer, IssuerKind};
use keywright_policy::{Approval, Authority, Issuer, Key, Question};

/// What would be certified.
pub(super) fn question(authority: &ValidAuthority) -> Question {
    let (algorithm, size) = authority.algorithm.spec();
    Question::authority(Authority {
        subject: serde_json::json!(Subject::from(&authority.subject)),
        seconds: authority.duration.as_secs().unsigned_abs(),
        key: Key { algorithm, size },
    })
}

/// For whom.
pub(super) fn asker<'a, I: AnyIssuer>(
    issuer: &'a I,
    authority: &ValidAuthority,
    approvals: Vec<Approval>,
) -> Asker<'a> {
    let parent = authority.parent.as_ref().map(|parent| Issuer {
        kind: parent.kind.name().to_owned(),
        name: parent.name.clone(),
        namespace: match parent.kind {
            IssuerKind::Issuer => issuer.meta().namespace.clone(),
            IssuerKind::ClusterIssuer => None,
        },
    });
    Asker { kind: I::KIND.name(), meta: issuer.meta(), issuer: parent, approvals }
}
