//! What clients asked of registers and what they were told, and whether one register could have told them that.
//!
//! Each key is a register that begins empty. A history is right if all its operations can be put into an order in which
//! each stands between its call and its return and every read shows the last write before it (Wing and Gong, "Testing
//! and Verifying Concurrent Objects", 1993). A session is in memory alone, so where a fault or a move is under way a
//! register may become empty; outside of such times it may not.
//!
//! Values are unique, which makes the search small: a write without an answer that nobody has read needs no place, and
//! one that was read has its place before the first of those reads returned.

use std::collections::{BTreeMap, HashSet};

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It wrote this value.
    Wrote(u64),
    /// It read this value, or that there is none.
    Read(Option<u64>),
}

/// One operation of one client on one key.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub key: u32,
    pub done: Done,
    pub called_ns: u64,
    /// None: nobody knows whether it was done.
    pub returned_ns: Option<u64>,
}

/// A time in which registers may become empty.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    pub from_ns: u64,
    pub until_ns: u64,
}

/// The keys whose histories no register can have, each with how far its operations can be put in order.
pub fn check(operations: &[Operation], losses: &[Loss]) -> Vec<String> {
    let mut keys: BTreeMap<u32, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        keys.entry(operation.key).or_default().push(*operation);
    }
    let wrong = keys.into_iter().filter_map(|(key, operations)| {
        let operations = placeable(operations);
        let stuck = stuck_at(&operations, losses)?;
        let around = &operations[stuck.saturating_sub(6)..operations.len().min(stuck + 6)];
        Some(format!("key {key}, after {stuck} of {} operations: {around:#?}", operations.len()))
    });
    wrong.collect()
}

/// The operations that need a place, by their call. All have returned.
fn placeable(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut first_read: BTreeMap<u64, u64> = BTreeMap::new();
    for operation in &operations {
        if let (Done::Read(Some(value)), Some(returned_ns)) =
            (operation.done, operation.returned_ns)
        {
            let first = first_read.entry(value).or_insert(returned_ns);
            *first = returned_ns.min(*first);
        }
    }
    operations.retain_mut(|operation| {
        if let (Done::Wrote(value), None) = (operation.done, operation.returned_ns) {
            operation.returned_ns = first_read.get(&value).copied();
        }
        operation.returned_ns.is_some()
    });
    operations.sort_by_key(|operation| operation.called_ns);
    operations
}

/// How far an order has come: all operations before `first` have a place, and those of `beyond`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Order {
    first: usize,
    beyond: Vec<usize>,
    value: Option<u64>,
}

/// The first operation that has no place in the order that comes furthest; none if all have one.
fn stuck_at(operations: &[Operation], losses: &[Loss]) -> Option<usize> {
    let begin = Order { first: 0, beyond: Vec::new(), value: None };
    let (mut seen, mut furthest) = (HashSet::from([begin.clone()]), 0);
    let mut open = vec![begin];
    while let Some(order) = open.pop() {
        if order.first == operations.len() {
            return None;
        }
        furthest = furthest.max(order.first);
        for next in order.next(operations, losses) {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Some(furthest)
}

impl Order {
    fn next(&self, operations: &[Operation], losses: &[Loss]) -> Vec<Order> {
        let mut next = Vec::new();
        let returned = |at: usize| operations[at].returned_ns.unwrap_or(u64::MAX);
        let has_place = |at: &usize| self.beyond.contains(at);
        let mut soonest_ns = u64::MAX;
        for at in (self.first..operations.len()).filter(|at| !has_place(at)) {
            // Those that follow were called later still.
            if operations[at].called_ns > soonest_ns {
                break;
            }
            soonest_ns = soonest_ns.min(returned(at));
        }
        for at in (self.first..operations.len()).filter(|at| !has_place(at)) {
            let Operation { done, called_ns, .. } = operations[at];
            if called_ns > soonest_ns {
                break;
            }
            let value = match done {
                Done::Wrote(value) => Some(value),
                Done::Read(read) if read == self.value => self.value,
                Done::Read(None) if self.may_be_lost(operations, losses, soonest_ns) => None,
                Done::Read(_) => continue,
            };
            next.push(self.with(at, value));
        }
        next
    }

    /// Whether a loss fits behind all that has a place and before all that has none.
    fn may_be_lost(&self, operations: &[Operation], losses: &[Loss], soonest_ns: u64) -> bool {
        let placed = self.beyond.last().copied().or(self.first.checked_sub(1));
        let latest_ns = placed.map_or(0, |at| operations[at].called_ns);
        losses.iter().any(|loss| loss.from_ns <= soonest_ns && latest_ns <= loss.until_ns)
    }

    fn with(&self, at: usize, value: Option<u64>) -> Order {
        let mut beyond = self.beyond.clone();
        beyond.insert(beyond.partition_point(|placed| *placed < at), at);
        let mut first = self.first;
        while beyond.first() == Some(&first) {
            beyond.remove(0);
            first += 1;
        }
        Order { first, beyond, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(called_ns: u64, returned_ns: u64, done: Done) -> Operation {
        Operation { key: 0, done, called_ns, returned_ns: Some(returned_ns) }
    }

    fn unanswered(called_ns: u64, value: u64) -> Operation {
        Operation { key: 0, done: Done::Wrote(value), called_ns, returned_ns: None }
    }

    fn is_right(operations: &[Operation], losses: &[Loss]) -> bool {
        check(operations, losses).is_empty()
    }

    #[test]
    fn what_overlaps_may_have_happened_in_any_order_and_what_does_not_in_one() {
        let (write, other) = (at(0, 10, Done::Wrote(1)), at(5, 15, Done::Wrote(2)));
        for value in [1, 2] {
            assert!(is_right(&[write, other, at(20, 30, Done::Read(Some(value)))], &[]), "{value}");
        }
        assert!(is_right(&[write, at(5, 8, Done::Read(None))], &[]), "it came first");
        assert!(!is_right(&[write, at(11, 12, Done::Read(None))], &[]), "it is lost");
        let later = at(20, 30, Done::Wrote(2));
        assert!(!is_right(&[write, later, at(40, 50, Done::Read(Some(1)))], &[]), "it is old");
        assert!(!is_right(&[at(0, 1, Done::Read(Some(7)))], &[]), "nobody wrote it");
    }

    #[test]
    fn a_value_that_was_replaced_never_comes_back() {
        let back = [
            at(0, 1, Done::Wrote(1)),
            at(2, 3, Done::Wrote(2)),
            at(4, 5, Done::Read(Some(2))),
            at(6, 7, Done::Read(Some(1))),
        ];
        let always = [Loss { from_ns: 0, until_ns: 100 }];
        assert!(!is_right(&back, &always));
        // Neither does one that was lost.
        let lost = [back[0], at(2, 3, Done::Read(None)), at(4, 5, Done::Read(Some(1)))];
        assert!(!is_right(&lost, &always));
    }

    #[test]
    fn a_write_without_an_answer_was_done_once_or_never() {
        let read = |called_ns, value| at(called_ns, called_ns + 1, Done::Read(value));
        let write = at(0, 1, Done::Wrote(1));
        assert!(is_right(&[write, unanswered(2, 2), read(10, Some(1)), read(20, Some(1))], &[]));
        assert!(is_right(&[write, unanswered(2, 2), read(10, Some(1)), read(20, Some(2))], &[]));
        let twice = [write, unanswered(2, 2), read(10, Some(2)), read(20, Some(1))];
        assert!(!is_right(&twice, &[]));
        assert!(!is_right(&[read(0, Some(2)), unanswered(2, 2)], &[]), "before it was asked for");
    }

    #[test]
    fn a_register_becomes_empty_only_while_something_is_lost() {
        let kept = [at(0, 10, Done::Wrote(1)), at(20, 30, Done::Read(Some(1)))];
        let empty = [kept[0], kept[1], at(50, 60, Done::Read(None))];
        let loss = |from_ns, until_ns| [Loss { from_ns, until_ns }];
        assert!(is_right(&empty, &loss(40, 45)));
        assert!(is_right(&empty, &loss(25, 26)), "while it was read");
        assert!(!is_right(&empty, &loss(12, 15)), "it was read after that");
        assert!(!is_right(&empty, &loss(70, 80)), "it was empty before that");
        assert!(!is_right(&empty, &[]));
    }
}
