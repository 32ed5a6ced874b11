//! Consistent hashing: which member has a key, so that few keys change hands when members come and go.
//!
//! Each member has [`POINTS_A_MEMBER`] points on a ring of 2^64 places; a key belongs to the member whose point comes
//! next. Points follow from the member's name and from nothing else, so two rings with the same members agree, whatever
//! the order in which they came.
//!
//! Invariant: a key moves only to a member that comes, or away from one that goes.
//!
//! After Karger et al., "Consistent Hashing and Random Trees" (STOC 1997), section 4, with virtual nodes.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Points of each member. With so many the shares of members differ by a tenth of the mean or so, standard deviation.
pub const POINTS_A_MEMBER: u64 = 100;

/// Members by name, on a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashRing {
    /// Place and name, in order.
    points: Vec<(u64, u64)>,
}

impl HashRing {
    /// A ring of these members; a name that comes twice counts once.
    pub fn of(names: impl IntoIterator<Item = u64>) -> Self {
        let mut points: Vec<(u64, u64)> = names.into_iter().flat_map(points_of).collect();
        points.sort_unstable();
        points.dedup();
        HashRing { points }
    }

    /// Who has this key, unless there are no members.
    pub fn owner(&self, key: u64) -> Option<u64> {
        let place = xxh3_64(&key.to_le_bytes());
        let next = self.points.partition_point(|(point, _)| *point < place);
        self.points.get(next).or_else(|| self.points.first()).map(|(_, name)| *name)
    }
}

fn points_of(name: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..POINTS_A_MEMBER).map(move |point| (xxh3_64_with_seed(&name.to_le_bytes(), point), name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const KEYS: u64 = 2_000;

    fn owners(ring: &HashRing) -> Vec<Option<u64>> {
        (0..KEYS).map(|key| ring.owner(key)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_key_moves_only_to_a_member_that_comes_or_away_from_one_that_goes(
            names in proptest::collection::btree_set(any::<u64>(), 1..24),
            other in any::<u64>(),
        ) {
            let mut more = names.clone();
            prop_assume!(more.insert(other));
            let (less, more) = (HashRing::of(names.clone()), HashRing::of(more));
            let mut moved = 0;
            for (without, with) in owners(&less).into_iter().zip(owners(&more)) {
                prop_assert!(with == without || with == Some(other));
                prop_assert!(without.is_some_and(|name| names.contains(&name)));
                moved += u64::from(with != without);
            }
            // What moves is about one share, never the bulk of the keys of many.
            let share = KEYS / (names.len() as u64 + 1);
            prop_assert!(moved <= 2 * share + 20, "{moved} of {KEYS} moved; a share is {share}");
        }

        #[test]
        fn rings_of_the_same_members_agree_whatever_their_order(
            names in proptest::collection::vec(any::<u64>(), 0..24),
        ) {
            let sorted: BTreeSet<u64> = names.iter().copied().collect();
            prop_assert_eq!(HashRing::of(names), HashRing::of(sorted));
        }
    }

    #[test]
    fn shares_of_eight_members_are_within_half_of_the_mean() {
        let ring = HashRing::of(0..8);
        let mut shares = [0; 8];
        let keys = 80_000;
        for key in 0..keys {
            shares[ring.owner(key).expect("there are members") as usize] += 1;
        }
        let mean = keys / 8;
        let within = |share: &u64| share.abs_diff(mean) < mean / 2;
        assert!(shares.iter().all(within), "{shares:?}");
    }

    #[test]
    fn a_ring_without_members_has_no_owner() {
        assert_eq!(HashRing::default().owner(1), None);
    }
}
