//! The kinds that are reviewed: every kind of the group, so that a new one is refused until somebody decides about it.

use std::str::FromStr;

/// A kind of group `keywright.dev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A leaf wanted in a Secret.
    Certificate,
    /// An authority of a namespace.
    Issuer,
    /// An authority of the cluster.
    ClusterIssuer,
    /// Rules in Rego.
    Policy,
    /// Who must agree.
    ApprovalClass,
    /// One effect to agree to.
    ApprovalRequest,
    /// One vote.
    ApprovalDecision,
}

/// A kind of our group that this version does not know. Upgrade the webhook before the resource definitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "kind {0:?} of group keywright.dev is not known to this version of keywright-webhook; upgrade it first"
)]
pub struct UnknownKind(String);

/// Where the author's identity is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamped {
    /// In annotations `keywright.dev/requester-*`.
    Annotations,
    /// In this field of the spec.
    Spec(&'static str),
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Certificate,
        Self::Issuer,
        Self::ClusterIssuer,
        Self::Policy,
        Self::ApprovalClass,
        Self::ApprovalRequest,
        Self::ApprovalDecision,
    ];

    /// As in `kind` of an object.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "Certificate",
            Self::Issuer => "Issuer",
            Self::ClusterIssuer => "ClusterIssuer",
            Self::Policy => "Policy",
            Self::ApprovalClass => "ApprovalClass",
            Self::ApprovalRequest => "ApprovalRequest",
            Self::ApprovalDecision => "ApprovalDecision",
        }
    }

    /// As in the path of its objects.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Certificate => "certificates",
            Self::Issuer => "issuers",
            Self::ClusterIssuer => "clusterissuers",
            Self::Policy => "policies",
            Self::ApprovalClass => "approvalclasses",
            Self::ApprovalRequest => "approvalrequests",
            Self::ApprovalDecision => "approvaldecisions",
        }
    }

    /// Where its author's identity is stamped.
    pub const fn stamped(self) -> Stamped {
        match self {
            Self::Certificate | Self::Issuer | Self::ClusterIssuer | Self::Policy | Self::ApprovalClass => {
                Stamped::Annotations
            }
            Self::ApprovalRequest => Stamped::Spec("requester"),
            Self::ApprovalDecision => Stamped::Spec("approver"),
        }
    }

    /// Whether its objects are records that stay until they are in the log.
    pub const fn is_record(self) -> bool {
        match self {
            Self::Certificate | Self::Issuer | Self::ClusterIssuer | Self::Policy | Self::ApprovalClass => {
                false
            }
            Self::ApprovalRequest | Self::ApprovalDecision => true,
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_group_is_known_here() {
        for definition in keywright_crds::definitions() {
            let names = definition.spec.names;
            let kind: Kind = names.kind.parse().unwrap();
            assert_eq!(kind.plural(), names.plural);
        }
        assert_eq!("Lease".parse::<Kind>(), Err(UnknownKind("Lease".into())));
    }
}
