//! What the Secrets are to become, from what they are. Pure but for new keys.
//!
//! A key is never used before the other end has had time to see its pin and its root:
//!
//! ```text
//! nothing there            the identity is made and used
//! two thirds of a life     next.crt, next.key beside the identity; its pin at the other end
//!   or another root        SETTLE later: it becomes the identity, and the old pin ends within the hour
//! expired                  there is nothing to spare: the next one is used at once
//! ```

use super::identity::{Entries, Identity, Unmade};
use super::pins::{Pin, Root, pinned_since, trusted_since};
use jiff::{SignedDuration, Timestamp};
use keywright_ambient::Entropy;

/// One end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    /// DNS name in its certificate.
    pub(crate) name: &'static str,
    /// The role the other end pins it as.
    pub(crate) role: &'static str,
    /// Its Secret.
    pub(crate) secret: &'static str,
}

/// Both of them.
pub(crate) const SIDES: [Side; 2] = [
    Side { name: "keywright-operator", role: "operator", secret: "keywright-operator-tls" },
    Side { name: "keywright-signer", role: "signer", secret: "keywright-signer-tls" },
];

/// What the Secrets hold, empty where there is none.
pub(crate) struct World {
    /// `keywright-root`.
    pub(crate) root: Entries,
    /// Those of [`SIDES`].
    pub(crate) ends: [Entries; 2],
}

/// What they are to hold, and when to look again even if nothing changes.
pub(crate) struct Step {
    pub(crate) world: World,
    pub(crate) again: Timestamp,
}

/// What one end's Secret says.
struct Held {
    current: Option<Identity>,
    next: Option<Identity>,
    pins: Vec<Pin>,
    roots: Vec<Root>,
}

/// What it is to say of its own keys.
struct Keys {
    current: Identity,
    next: Option<Identity>,
    /// When the next one may be used.
    ready: Option<Timestamp>,
}

/// Decides. `settle`: how long a pin stands before its key is used.
pub(crate) fn step(
    world: &World,
    settle: SignedDuration,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Step, Unmade> {
    let root = match Identity::read(&world.root, "tls") {
        Some(root) if root.lasts(now) => root,
        Some(_) | None => Identity::root(entropy, now)?,
    };
    let [operator, signer] = &world.ends;
    let (operator, signer) = (Held::read(operator, now), Held::read(signer, now));
    let make = |side: Side| Identity::end(side.name, &root, entropy, now);
    let choose = |side, own: (Option<Identity>, Option<Identity>), other: &Held| {
        let ready = |next: &Identity| other.since(next, &root).and_then(|at| at.checked_add(settle).ok());
        keys(own, &root, ready, now, || make(side))
    };
    let Held { current, next, .. } = operator;
    let operator_rest = Held { current: None, next: None, ..operator };
    let operator_keys = choose(SIDES[0], (current, next), &signer)?;
    let Held { current, next, pins, roots } = signer;
    let signer_keys = choose(SIDES[1], (current, next), &operator_rest)?;
    let again = [&operator_keys, &signer_keys].map(|keys| keys.again(now, settle)).into_iter().min();
    let ends = [
        end(&operator_keys, (SIDES[1], &signer_keys), &operator_rest.pins, operator_rest.roots, &root, now)?,
        end(&signer_keys, (SIDES[0], &operator_keys), &pins, roots, &root, now)?,
    ];
    let retirement = ends.iter().flat_map(Pin::read).map(|pin| pin.until()).min();
    let again = [again, retirement, Some(root.renewal())].into_iter().flatten().min().unwrap_or(now);
    Ok(Step { world: World { root: root.entries("tls")?.into(), ends }, again })
}

impl Held {
    fn read(data: &Entries, now: Timestamp) -> Self {
        Self {
            current: Identity::read(data, "tls"),
            next: Identity::read(data, "next"),
            pins: Pin::read(data),
            roots: Root::read(data, now),
        }
    }

    /// Since when this end takes that identity of the other for good.
    fn since(&self, identity: &Identity, root: &Identity) -> Option<Timestamp> {
        Some(pinned_since(&self.pins, identity)?.max(trusted_since(&self.roots, root)?))
    }
}

impl Keys {
    fn again(&self, now: Timestamp, settle: SignedDuration) -> Timestamp {
        match (&self.next, self.ready) {
            (Some(_), Some(ready)) => ready,
            // Its pin is written in this very step.
            (Some(_), None) => now.saturating_add(settle).unwrap_or(Timestamp::MAX),
            (None, _) => self.current.renewal(),
        }
    }
}

fn keys(
    (current, staged): (Option<Identity>, Option<Identity>),
    root: &Identity,
    ready: impl Fn(&Identity) -> Option<Timestamp>,
    now: Timestamp,
    make: impl Fn() -> Result<Identity, Unmade>,
) -> Result<Keys, Unmade> {
    let good = |identity: &Identity| identity.lasts(now) && identity.is_signed_by(root);
    let current = match current {
        Some(current) if good(&current) => return Ok(Keys { current, next: None, ready: None }),
        current => current.filter(|current| current.is_valid(now)),
    };
    let next = match staged.filter(good) {
        Some(next) => next,
        None => make()?,
    };
    let ready = ready(&next);
    Ok(match current {
        Some(current) if ready.is_none_or(|ready| now < ready) => Keys { current, next: Some(next), ready },
        Some(_) | None => Keys { current: next, next: None, ready: None },
    })
}

fn end(
    own: &Keys,
    (other, theirs): (Side, &Keys),
    pins: &[Pin],
    roots: Vec<Root>,
    root: &Identity,
    now: Timestamp,
) -> Result<Entries, Unmade> {
    let wanted = std::iter::once(&theirs.current).chain(&theirs.next);
    let wanted = wanted.map(|identity| Pin::new(other.name, other.role, identity, now)).collect();
    let mut entries: Entries = own.current.entries("tls")?.into();
    if let Some(next) = &own.next {
        entries.extend(next.entries("next")?);
    }
    entries.extend(Pin::entries(&Pin::merge(pins, wanted, now)));
    entries.extend(Root::entries(&Root::merge(roots, root, now)));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywright_ambient::SystemEntropy;

    const START: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;
    const SETTLE: SignedDuration = SignedDuration::from_mins(5);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn nothing() -> World {
        World { root: Entries::new(), ends: [Entries::new(), Entries::new()] }
    }

    fn after(world: &World, second: i64) -> Step {
        step(world, SETTLE, at(second), &SystemEntropy).unwrap()
    }

    fn pin(end: &Entries) -> String {
        Identity::read(end, "tls").unwrap().pin()
    }

    /// Whether each end takes what the other presents now: chain and pin, as rustls and `peers.json` decide.
    fn connects(world: &World) -> bool {
        let takes = |own: &Entries, other: &Entries| {
            let presented = Identity::read(other, "tls").unwrap();
            let peers = String::from_utf8(own["peers.json"].0.clone()).unwrap();
            let ders = keywright_pki::pem::read_certificates(&own["ca.crt"].0).unwrap();
            let roots =
                ders.iter().map(|der| keywright_pki::certificate::Certificate::from_der(der).unwrap());
            let chained = |root: keywright_pki::certificate::Certificate| {
                presented.certificate().verify_signed_by(root.public_key()).is_ok()
            };
            peers.contains(&presented.pin()) && roots.into_iter().any(chained)
        };
        let [operator, signer] = &world.ends;
        takes(operator, signer) && takes(signer, operator)
    }

    #[test]
    fn the_first_step_makes_everything_and_the_next_ones_nothing() {
        let first = after(&nothing(), START);
        assert!(connects(&first.world));
        for later in [START, START + 60, START + 200 * DAY] {
            let again = after(&first.world, later);
            assert_eq!((&again.world.root, &again.world.ends), (&first.world.root, &first.world.ends));
        }
        assert!(
            first.again > at(START + 240 * DAY),
            "it is looked at again when a third of the life is left"
        );
    }

    #[test]
    fn an_identity_is_replaced_after_the_other_end_had_time_to_see_its_pin() {
        let first = after(&nothing(), START).world;
        let due = START + 244 * DAY;
        let staged = after(&first, due);
        assert_eq!(staged.again, at(due + 300));
        for (old, new) in first.ends.iter().zip(&staged.world.ends) {
            assert_eq!(pin(old), pin(new), "the old key is used on");
        }
        // Each end sees its mount change at a time of its own: every mixture connects.
        let waiting = after(&staged.world, due + 299).world;
        assert_eq!(waiting.ends, staged.world.ends, "a quiet world writes nothing");
        let changed = after(&staged.world, due + 300);
        let mixed = |a: &World, b: &World| World {
            root: Entries::new(),
            ends: [a.ends[0].clone(), b.ends[1].clone()],
        };
        for world in [
            &staged.world,
            &changed.world,
            &mixed(&staged.world, &changed.world),
            &mixed(&changed.world, &staged.world),
        ] {
            assert!(connects(world));
        }
        for (old, new) in first.ends.iter().zip(&changed.world.ends) {
            assert_ne!(pin(old), pin(new));
            assert!(!new.contains_key("next.key"), "it is kept once");
        }
        assert_eq!(changed.again, at(due + 300 + 3600), "when the old pins end");
        let retired = after(&changed.world, due + 300 + 3600).world;
        let peers = String::from_utf8(retired.ends[0]["peers.json"].0.clone()).unwrap();
        assert!(!peers.contains(&pin(&first.ends[1])), "the old key is taken by nobody any more");
        assert!(connects(&retired));
    }

    #[test]
    fn a_deleted_root_is_replaced_with_all_below_it_and_every_step_connects() {
        let first = after(&nothing(), START).world;
        let lost = World { root: Entries::new(), ends: first.ends.clone() };
        let staged = after(&lost, START + DAY);
        assert!(connects(&staged.world));
        assert_eq!(pin(&staged.world.ends[0]), pin(&first.ends[0]));
        let changed = after(&staged.world, START + DAY + 300).world;
        assert!(connects(&changed));
        assert_ne!(pin(&changed.ends[0]), pin(&first.ends[0]));
        let mixed =
            World { root: Entries::new(), ends: [changed.ends[0].clone(), staged.world.ends[1].clone()] };
        assert!(connects(&mixed));
    }

    #[test]
    fn what_has_expired_or_was_lost_is_replaced_at_once() {
        let first = after(&nothing(), START).world;
        let late = after(&first, START + 400 * DAY).world;
        assert!(connects(&late));
        assert_ne!(pin(&late.ends[0]), pin(&first.ends[0]));
        let lost = World { root: first.root.clone(), ends: [first.ends[0].clone(), Entries::new()] };
        let mended = after(&lost, START + DAY).world;
        assert!(connects(&mended));
        assert_eq!(pin(&mended.ends[0]), pin(&first.ends[0]));
    }

    #[test]
    fn a_crash_between_two_writes_costs_time_and_no_connection() {
        let first = after(&nothing(), START).world;
        let due = START + 244 * DAY;
        let staged = after(&first, due).world;
        // Only the operator's Secret was written: the signer's end has no pin of the operator's next key.
        let cut = World { root: first.root.clone(), ends: [staged.ends[0].clone(), first.ends[1].clone()] };
        let resumed = after(&cut, due + 600);
        assert!(connects(&resumed.world));
        assert_eq!(pin(&resumed.world.ends[0]), pin(&first.ends[0]), "its pin is new, so it waits");
        assert!(connects(&after(&resumed.world, due + 900).world));
    }
}
