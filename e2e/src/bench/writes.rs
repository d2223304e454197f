//! What the product wrote, as the API server's audit log counts it.

use crate::audit::Event;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Writes of the product in one measurement, Lease renewals left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Writes {
    /// By verb and resource, as "patch secrets".
    pub(super) by: BTreeMap<String, usize>,
    /// Of objects: all but Events.
    pub(super) objects: usize,
    /// Events.
    pub(super) events: usize,
    /// Answered with 409.
    pub(super) conflicts: usize,
}

impl Writes {
    /// Counts.
    pub(super) fn count(events: &[Event]) -> Self {
        let mut writes = Self::default();
        for event in events.iter().filter(|event| event.is_write_of_ours()) {
            let object = &event.object_ref;
            let slash = if object.subresource.is_empty() { "" } else { "/" };
            let what = format!("{} {}{slash}{}", event.verb, object.resource, object.subresource);
            *writes.by.entry(what).or_default() += 1;
            if object.resource == "events" {
                writes.events += 1;
            } else {
                writes.objects += 1;
            }
            writes.conflicts += usize::from(event.response_status.code == 409);
        }
        writes
    }

    /// What was added to `before` until `after`.
    pub(super) fn between(before: &Self, after: &Self) -> Self {
        let new = |(what, count): (&String, &usize)| {
            (what.clone(), count - before.by.get(what).copied().unwrap_or(0))
        };
        Self {
            by: after.by.iter().map(new).filter(|(_, count)| *count > 0).collect(),
            objects: after.objects - before.objects,
            events: after.events - before.events,
            conflicts: after.conflicts - before.conflicts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: &str, resource: &str, subresource: &str, code: u16) -> Event {
        serde_json::from_value(serde_json::json!({
            "stage": "ResponseComplete", "verb": verb, "requestURI": "/", "userAgent": "keywright-operator/0.1.0",
            "objectRef": { "resource": resource, "subresource": subresource }, "responseStatus": { "code": code },
        }))
        .unwrap()
    }

    #[test]
    fn events_are_no_objects_and_conflicts_are_counted_in_both() {
        let writes = Writes::count(&[
            event("patch", "secrets", "", 200),
            event("patch", "certificates", "status", 409),
            event("create", "events", "", 201),
            event("get", "secrets", "", 200),
            event("update", "leases", "", 200),
        ]);
        assert_eq!((writes.objects, writes.events, writes.conflicts), (2, 1, 1));
        assert_eq!(writes.by.get("patch certificates/status"), Some(&1));
    }
}
