//! How many requests for approval of each requester wait for people: kept by a watch, so that who floods approvers is
//! refused without a list of everything for each try.

use super::followed::{Followed, Index as Kept, Key, key};
use keywright_crds::ApprovalPhase;
use kube::Client;
use kube::core::Object;
use serde::Deserialize;
use std::collections::HashMap;

/// Who asked; the one part of a request that is looked at.
#[derive(Debug, Clone, Deserialize)]
struct Asked {
    requester: Option<Requester>,
}

#[derive(Debug, Clone, Deserialize)]
struct Requester {
    #[serde(default)]
    username: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Stands {
    phase: Option<ApprovalPhase>,
}

type Filed = Object<Asked, Stands>;

/// The index; empty handed until the first list is complete.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Followed<Index>);

/// Of those that wait, and no others: what is over stays in the cluster and not here.
#[derive(Debug, Default)]
struct Index {
    requester: HashMap<Key, String>,
    count: HashMap<Key, usize>,
}

impl Waiting {
    /// How many requests of this requester wait in a namespace; none while that is not known.
    pub fn of(&self, namespace: &str, requester: &str) -> Option<usize> {
        let key = (namespace.to_owned(), requester.to_owned());
        self.0.ask(|index| index.count.get(&key).copied().unwrap_or_default())
    }

    /// Follows the cluster until the process ends.
    pub async fn follow(self, client: Client) {
        self.0.follow(client).await;
    }
}

impl Kept for Index {
    type Kind = keywright_crds::ApprovalRequest;
    type Spec = Asked;
    type Status = Stands;

    fn put(&mut self, request: &Filed) {
        let key = key(request);
        self.remove(&key);
        let phase = request.status.as_ref().and_then(|status| status.phase).unwrap_or_default();
        let Some(who) = request.spec.requester.as_ref().filter(|_| phase == ApprovalPhase::Pending) else {
            return;
        };
        *self.count.entry((key.0.clone(), who.username.clone())).or_default() += 1;
        self.requester.insert(key, who.username.clone());
    }

    fn remove(&mut self, request: &Key) {
        let Some(who) = self.requester.remove(request) else { return };
        let of_requester = (request.0.clone(), who);
        if let Some(count) = self.count.get_mut(&of_requester) {
            *count -= 1;
            if *count == 0 {
                self.count.remove(&of_requester);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filed(name: &str, who: &str, phase: Option<&str>) -> Filed {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "keywright.dev/v1alpha1", "kind": "ApprovalRequest",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "requester": { "username": who }, "effect": "{}" }, "status": { "phase": phase },
        }))
        .unwrap()
    }

    #[test]
    fn only_those_that_wait_count_and_each_once() {
        let waiting = Waiting::default();
        assert_eq!(waiting.of("shop", "ann"), None, "not known yet");
        waiting.0.replace(Index::default());
        for (name, who, phase, wanted) in [
            ("one", "ann", None, 1),
            ("one", "ann", Some("Pending"), 1),
            ("two", "ann", Some("Pending"), 2),
            ("three", "bob", Some("Pending"), 2),
            ("four", "ann", Some("Denied"), 2),
            ("one", "ann", Some("Approved"), 1),
        ] {
            waiting.0.change(|index| index.put(&filed(name, who, phase)));
            assert_eq!(waiting.of("shop", "ann"), Some(wanted), "{name} {who} {phase:?}");
        }
        waiting.0.change(|index| index.remove(&("shop".into(), "two".into())));
        assert_eq!(waiting.of("shop", "ann"), Some(0));
        assert_eq!((waiting.of("shop", "bob"), waiting.of("other", "bob")), (Some(1), Some(0)));
    }
}
