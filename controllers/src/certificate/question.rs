//! A Certificate, as policies are asked about it before the signer is.

use crate::verdict::Asker;
use keywright_approvals::effect::{Names, Subject, usage_names};
use keywright_controllers_core::certificate::decide::Order;
use keywright_controllers_core::certificate::effect::profile;
use keywright_controllers_core::certificate::valid::ValidCertificate;
use keywright_controllers_core::issuer::profile::Profile;
use keywright_crds::{Certificate, IssuerKind};
use keywright_pki::key::PublicKey;
use keywright_policy::{Approval, Issuer, Key, Leaf, Question};
use keywright_signer_protocol::json;

/// What would be certified.
pub(super) fn question(cert: &ValidCertificate, order: &Order, key: &PublicKey) -> Question {
    let (algorithm, size) = key.algorithm().spec();
    Question::leaf(Leaf {
        subject: serde_json::json!(Subject::from(&cert.subject)),
        names: serde_json::json!(Names::from(&cert.sans)),
        seconds: order.life.as_secs().unsigned_abs(),
        usages: usage_names(&cert.usages).into_iter().collect(),
        is_ca: cert.is_ca,
        key: Key { algorithm, size },
        subject_text: cert.subject.to_string(),
        key_algorithm: key.algorithm().to_string(),
        public_key_sha256: hex::encode(key.spki_sha256()),
        // Without a profile that fits nothing is ordered.
        profile: profile(cert, &order.authority).ok().flatten().map(told),
    })
}

fn told(profile: &Profile) -> keywright_policy::Profile {
    let wire = profile.wire();
    keywright_policy::Profile {
        name: profile.name.clone(),
        max_seconds: wire.max_leaf_seconds,
        permitted: json::subtrees(wire.permitted.as_ref()),
        excluded: json::subtrees(wire.excluded.as_ref()),
        usages: wire.allowed_usages.into_iter().collect(),
        algorithms: profile.families().collect(),
        is_ca: profile.allow_ca,
        approvals: json::demands(wire.approvals.as_ref()),
    }
}

/// For whom.
pub(super) fn asker<'a>(
    object: &'a Certificate,
    cert: &ValidCertificate,
    approvals: Vec<Approval>,
) -> Asker<'a> {
    let namespace = match cert.issuer.kind {
        IssuerKind::Issuer => Some(cert.namespace.clone()),
        IssuerKind::ClusterIssuer => None,
    };
    let issuer =
        Issuer { kind: cert.issuer.kind.name().to_owned(), name: cert.issuer.name.clone(), namespace };
    Asker { kind: "Certificate", meta: &object.metadata, issuer: Some(issuer), approvals }
}
