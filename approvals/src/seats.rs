//! Who sits for which group: one person fills one seat.
//!
//! With `security: 2, dba: 1` three people must agree, also when one of them belongs to both groups. Whether those who
//! agreed can fill all seats is a matching of people to seats; augmenting paths find the largest one.

use std::collections::BTreeMap;

/// How many seats of each group stay empty in a best seating.
///
/// `counts`: seats of each group. `people`: for each person who agreed the groups, by index, that they belong to. The
/// time is bounded by people times memberships; both are bounded by the schemas.
pub(crate) fn empty_seats(counts: &[u32], people: &[Vec<usize>]) -> Vec<u32> {
    // Group to the people who sit there.
    let mut seated: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for person in 0..people.len() {
        let mut asked = vec![false; counts.len()];
        seat(person, counts, people, &mut seated, &mut asked);
    }
    counts
        .iter()
        .enumerate()
        .map(|(group, count)| {
            let taken = seated.get(&group).map_or(0, Vec::len);
            count.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
        })
        .collect()
}

/// Seats a person, moving others to other groups of theirs where that makes room. True when they sit.
fn seat(
    person: usize,
    counts: &[u32],
    people: &[Vec<usize>],
    seated: &mut BTreeMap<usize, Vec<usize>>,
    asked: &mut [bool],
) -> bool {
    for &group in &people[person] {
        if std::mem::replace(&mut asked[group], true) {
            continue;
        }
        let taken = seated.entry(group).or_default();
        if taken.len() < counts[group] as usize {
            taken.push(person);
            return true;
        }
        for place in 0..counts[group] as usize {
            let other = seated[&group][place];
            if seat(other, counts, people, seated, asked) {
                if let Some(taken) = seated.get_mut(&group) {
                    taken[place] = person;
                }
                return true;
            }
        }
    }
    false
}
