//! What is attempted: an admission request, parsed once. Whatever does not parse is refused.

use crate::kind::{Kind, UnknownKind};
use k8s_openapi::api::authentication::v1::UserInfo;
use keywright_approvals::Identity;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, Operation};

/// One attempt to change an object of ours.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// The API server's identifier of this review: the decision id in messages and in the decision log.
    pub id: &'a str,
    /// Which kind.
    pub kind: Kind,
    /// `metadata.namespace`; empty for cluster-scoped kinds.
    pub namespace: &'a str,
    /// `metadata.name`; empty on create with `generateName`.
    pub name: &'a str,
    /// Who attempts it, as the API server authenticated them.
    pub who: Identity,
    /// Nothing will be stored whatever is answered.
    pub dry_run: bool,
    /// What is attempted.
    pub action: Action<'a>,
}

/// What is attempted, with the objects that this kind of attempt has.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    /// `new` is to be stored.
    Create {
        /// As it would be stored.
        new: &'a DynamicObject,
    },
    /// `new` is to replace `old`; their status does not differ.
    Update {
        /// As it is stored.
        old: &'a DynamicObject,
        /// As it would be stored.
        new: &'a DynamicObject,
    },
    /// The status of `new` is to replace that of `old`; nothing else differs.
    Status {
        /// As it is stored.
        old: &'a DynamicObject,
        /// As it would be stored.
        new: &'a DynamicObject,
    },
    /// `old` is to be deleted.
    Delete {
        /// As it is stored.
        old: &'a DynamicObject,
    },
}

/// A request that cannot be reviewed, and is therefore refused. Sending it again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Only our group is reviewed here; the configuration matches too much.
    #[error(
        "group {0:?} is not reviewed here: apply the webhook configurations of the chart, which match keywright.dev only"
    )]
    OtherGroup(String),
    /// A kind of our group that this version does not know.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
    /// A subresource that our kinds do not have.
    #[error("subresource {0:?} is not known to this version of keywright-webhook; upgrade it first")]
    Subresource(String),
    /// The request lacks an object that its operation must have.
    #[error("the review of this operation carries no {0}; this is a defect of the API server")]
    Missing(&'static str),
}

impl<'a> Attempt<'a> {
    /// Reads a request. Errors: whatever leaves a doubt about what is attempted.
    pub fn parse(request: &'a AdmissionRequest<DynamicObject>) -> Result<Self, Unreadable> {
        if request.kind.group != keywright_crds::GROUP {
            return Err(Unreadable::OtherGroup(request.kind.group.clone()));
        }
        let new = || request.object.as_ref().ok_or(Unreadable::Missing("object"));
        let old = || request.old_object.as_ref().ok_or(Unreadable::Missing("oldObject"));
        let action = match (request.sub_resource.as_deref().unwrap_or_default(), &request.operation) {
            ("", Operation::Create) => Action::Create { new: new()? },
            ("", Operation::Update) => Action::Update { old: old()?, new: new()? },
            ("", Operation::Delete) => Action::Delete { old: old()? },
            ("status", Operation::Update) => Action::Status { old: old()?, new: new()? },
            (other, Operation::Create | Operation::Update | Operation::Delete | Operation::Connect) => {
                return Err(Unreadable::Subresource(other.to_owned()));
            }
        };
        Ok(Self {
            id: &request.uid,
            kind: request.kind.kind.parse()?,
            namespace: request.namespace.as_deref().unwrap_or_default(),
            name: &request.name,
            who: identity(&request.user_info),
            dry_run: request.dry_run,
            action,
        })
    }
}

impl<'a> Action<'a> {
    /// Its name, for metrics and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "Create",
            Self::Update { .. } => "Update",
            Self::Status { .. } => "Status",
            Self::Delete { .. } => "Delete",
        }
    }

    /// The object as it would be after this attempt; none: it would be gone.
    pub fn object(&self) -> Option<&'a DynamicObject> {
        match self {
            Self::Create { new } | Self::Update { new, .. } | Self::Status { new, .. } => Some(new),
            Self::Delete { .. } => None,
        }
    }
}

/// The authenticated user, as it is stamped and compared.
fn identity(user: &UserInfo) -> Identity {
    Identity {
        username: user.username.clone().unwrap_or_default(),
        uid: user.uid.clone().unwrap_or_default(),
        groups: user.groups.iter().flatten().cloned().collect(),
        extra: user.extra.iter().flatten().map(|(key, values)| (key.clone(), values.clone())).collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A request as the API server sends it; `more` is merged over its members.
    pub(crate) fn request(kind: &str, operation: &str, more: &Value) -> AdmissionRequest<DynamicObject> {
        let mut value = json!({
            "uid": "0000-decision",
            "kind": { "group": "keywright.dev", "version": "v1alpha1", "kind": kind },
            "resource": { "group": "keywright.dev", "version": "v1alpha1", "resource": "things" },
            "name": "thing", "namespace": "shop", "operation": operation,
            "userInfo": {
                "username": "ann", "uid": "u-ann", "groups": ["dev", "system:authenticated"],
                "extra": { "scopes": ["a", "b"] },
            },
        });
        for (member, new) in more.as_object().into_iter().flatten() {
            value[member] = new.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    /// An object of a kind; `more` is merged over its members.
    pub(crate) fn object(kind: &str, more: &Value) -> Value {
        let mut value = json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": kind,
            "metadata": { "name": "thing", "namespace": "shop", "uid": "u-thing" }, "spec": {},
        });
        for (member, new) in more.as_object().into_iter().flatten() {
            value[member] = new.clone();
        }
        value
    }

    #[test]
    fn each_operation_has_its_objects_or_is_unreadable() {
        let thing = object("Certificate", &json!({}));
        let read =
            |operation: &str, more: Value| match Attempt::parse(&request("Certificate", operation, &more)) {
                Ok(attempt) => match attempt.action {
                    Action::Create { .. } => "create".to_owned(),
                    Action::Update { .. } => "update".to_owned(),
                    Action::Status { .. } => "status".to_owned(),
                    Action::Delete { .. } => "delete".to_owned(),
                },
                Err(error) => error.to_string().chars().take(30).collect(),
            };
        assert_eq!(read("CREATE", json!({ "object": thing })), "create");
        assert_eq!(read("UPDATE", json!({ "object": thing, "oldObject": thing })), "update");
        assert_eq!(
            read("UPDATE", json!({ "object": thing, "oldObject": thing, "subResource": "status" })),
            "status"
        );
        assert_eq!(read("DELETE", json!({ "oldObject": thing })), "delete");
        assert_eq!(read("CREATE", json!({})), "the review of this operation c");
        assert_eq!(read("UPDATE", json!({ "object": thing })), "the review of this operation c");
        assert_eq!(read("DELETE", json!({})), "the review of this operation c");
        assert_eq!(
            read("UPDATE", json!({ "object": thing, "oldObject": thing, "subResource": "scale" })),
            "subresource \"scale\" is not kno"
        );
        assert_eq!(read("CONNECT", json!({ "object": thing })), "subresource \"\" is not known to");
    }

    #[test]
    fn other_groups_and_unknown_kinds_are_not_reviewed() {
        let pods = json!({ "kind": { "group": "", "version": "v1", "kind": "Pod" }, "object": object("Pod", &json!({})) });
        assert!(matches!(Attempt::parse(&request("Pod", "CREATE", &pods)), Err(Unreadable::OtherGroup(_))));
        let odd = json!({ "object": object("Odd", &json!({})) });
        assert!(matches!(Attempt::parse(&request("Odd", "CREATE", &odd)), Err(Unreadable::Kind(_))));
    }
}
