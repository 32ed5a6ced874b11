//! The timing wheel by scenario, and any sequence of steps against an ordered map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;

/// Every timer due at `now_ns`, in firing order.
fn drain<T>(timers: &mut Timers<T>, now_ns: u64) -> Vec<T> {
    std::iter::from_fn(|| timers.pop_due(now_ns)).map(|(_, value)| value).collect()
}

#[test]
fn a_timer_fires_at_its_deadline_and_at_most_a_tick_later() {
    for deadline_ns in [1, TICK_NS - 1, TICK_NS, TICK_NS + 1, 77 * TICK_NS + 5, SECOND_NS] {
        let mut timers = Timers::new(0, 1);
        timers.insert(deadline_ns, "timer").unwrap();
        assert_eq!(timers.pop_due(deadline_ns - 1), None, "{deadline_ns} fired early");
        assert_eq!(drain(&mut timers, deadline_ns + TICK_NS - 1), ["timer"]);
        assert!(timers.is_empty());
    }
}

#[test]
fn timers_of_a_tick_fire_in_insertion_order_also_after_they_moved_down_the_levels() {
    let mut timers = Timers::new(0, 100);
    let far_ns = 5 * SECOND_NS;
    timers.insert(far_ns, 0).unwrap();
    timers.insert(far_ns, 1).unwrap();
    assert!(drain(&mut timers, far_ns - SECOND_NS).is_empty());
    timers.insert(far_ns, 2).unwrap();
    assert!(drain(&mut timers, far_ns - 20 * TICK_NS).is_empty());
    timers.insert(far_ns, 3).unwrap();
    timers.insert(far_ns - TICK_NS, 4).unwrap();
    assert_eq!(drain(&mut timers, far_ns + TICK_NS), [4, 0, 1, 2, 3]);
}

#[test]
fn a_deadline_that_has_passed_fires_at_once() {
    let mut timers = Timers::new(SECOND_NS, 10);
    timers.insert(0, "before the start").unwrap();
    timers.insert(SECOND_NS - TICK_NS, "just before the start").unwrap();
    assert_eq!(drain(&mut timers, SECOND_NS), ["before the start", "just before the start"]);
    assert!(drain(&mut timers, 2 * SECOND_NS).is_empty());
    timers.insert(SECOND_NS, "before now").unwrap();
    assert!(timers.next_deadline_ns().unwrap() <= 2 * SECOND_NS);
    assert_eq!(drain(&mut timers, 2 * SECOND_NS), ["before now"]);
}

#[test]
fn a_timer_set_while_others_fire_joins_the_same_drain_when_due() {
    let mut timers = Timers::new(0, 10);
    timers.insert(SECOND_NS, "first").unwrap();
    timers.insert(SECOND_NS, "second").unwrap();
    assert_eq!(timers.pop_due(2 * SECOND_NS).unwrap().1, "first");
    timers.insert(SECOND_NS / 2, "overdue").unwrap();
    timers.insert(SECOND_NS + SECOND_NS / 2, "later").unwrap();
    assert_eq!(drain(&mut timers, 2 * SECOND_NS), ["second", "overdue", "later"]);
}

#[test]
fn the_farthest_deadline_stays_pending_and_can_be_cancelled() {
    let mut timers = Timers::new(0, 10);
    let never = timers.insert(u64::MAX, "never").unwrap();
    let century_ns = 100 * 365 * 24 * 3600 * SECOND_NS;
    timers.insert(century_ns, "in a century").unwrap();
    assert!(drain(&mut timers, century_ns - 1).is_empty());
    assert_eq!(drain(&mut timers, century_ns + TICK_NS), ["in a century"]);
    assert!(timers.next_deadline_ns().unwrap() > century_ns);
    assert!(drain(&mut timers, u64::MAX).is_empty(), "its tick begins after the last nanosecond");
    assert_eq!(timers.cancel(never), Some("never"));
    assert_eq!(timers.next_deadline_ns(), None);
}

#[test]
fn time_that_goes_backwards_only_delays() {
    let mut timers = Timers::new(10 * SECOND_NS, 10);
    timers.insert(11 * SECOND_NS, "timer").unwrap();
    assert!(drain(&mut timers, 5 * SECOND_NS).is_empty());
    timers.insert(6 * SECOND_NS, "overdue").unwrap();
    assert!(drain(&mut timers, 7 * SECOND_NS).is_empty(), "the wheel was at ten seconds already");
    assert_eq!(drain(&mut timers, 12 * SECOND_NS), ["overdue", "timer"]);
}

#[test]
fn a_stale_id_reaches_neither_its_own_timer_nor_the_next_in_its_place() {
    let mut timers = Timers::new(0, 10);
    let cancelled = timers.insert(SECOND_NS, 1).unwrap();
    assert_eq!(timers.get(cancelled), Some(&1));
    *timers.get_mut(cancelled).unwrap() = 10;
    assert_eq!(timers.cancel(cancelled), Some(10));
    assert_eq!(timers.cancel(cancelled), None);
    let fired = timers.insert(SECOND_NS, 2).unwrap();
    assert_eq!(fired.index, cancelled.index, "the place is used again");
    assert_eq!(timers.get(cancelled), None);
    assert_eq!(timers.get_mut(cancelled), None);
    assert_eq!(timers.cancel(cancelled), None);
    assert_eq!(timers.pop_due(2 * SECOND_NS), Some((fired, 2)));
    assert_eq!(timers.cancel(fired), None);
    let pending = timers.insert(3 * SECOND_NS, 3).unwrap();
    assert_eq!(timers.cancel(fired), None);
    assert_eq!(timers.cancel(TimerId::NONE), None);
    assert_eq!(timers.get(TimerId::NONE), None);
    assert_eq!(timers.get(pending), Some(&3));
}

#[test]
fn the_limit_refuses_with_the_value_and_changes_nothing() {
    let mut timers = Timers::new(0, 2);
    let first = timers.insert(SECOND_NS, String::from("first")).unwrap();
    timers.insert(SECOND_NS, String::from("second")).unwrap();
    let refused = timers.insert(1, String::from("third")).unwrap_err();
    assert_eq!((refused.value.as_str(), refused.limit), ("third", 2));
    assert!(refused.to_string().contains("2 timers are pending"));
    assert_eq!(timers.len(), 2);
    assert!(timers.next_deadline_ns().unwrap() > 1);
    timers.cancel(first);
    timers.insert(SECOND_NS, refused.value).unwrap();
    assert_eq!(drain(&mut timers, 2 * SECOND_NS), ["second", "third"]);
}

#[test]
fn setting_and_cancelling_again_and_again_takes_one_place() {
    let mut timers = Timers::new(0, 1_000);
    for turn in 0..10_000 {
        let id = timers.insert(turn * 700 + SECOND_NS, turn).unwrap();
        assert_eq!(timers.pop_due(turn * 700), None);
        timers.cancel(id);
    }
    assert_eq!(timers.nodes.len(), SENTINELS + 1);
}

#[test]
fn sleeping_until_the_next_deadline_reaches_every_timer_in_few_steps() {
    let mut timers = Timers::new(0, 10);
    let mut now_ns = 0;
    for deadline_ns in [3 * TICK_NS, 90 * SECOND_NS, 7 * 24 * 3600 * SECOND_NS + 12_345] {
        timers.insert(deadline_ns, deadline_ns).unwrap();
    }
    let mut steps = 0;
    while let Some(next_ns) = timers.next_deadline_ns() {
        assert!(next_ns > now_ns, "no progress at {now_ns}");
        now_ns = next_ns;
        for deadline_ns in drain(&mut timers, now_ns) {
            assert!((deadline_ns..deadline_ns + TICK_NS).contains(&now_ns));
        }
        steps += 1;
    }
    assert!(timers.is_empty());
    assert!(steps <= 3 * LEVELS, "{steps} steps for three timers");
}

#[test]
fn a_cancelled_timer_does_not_shorten_the_sleep() {
    let mut timers = Timers::new(0, 10);
    let soon = timers.insert(10 * TICK_NS, ()).unwrap();
    timers.insert(40 * TICK_NS, ()).unwrap();
    timers.cancel(soon);
    assert_eq!(timers.next_deadline_ns(), Some(40 * TICK_NS));
}

#[derive(Clone, Debug)]
enum Step {
    Insert { delay_ns: u64 },
    InsertPast { age_ns: u64 },
    InsertAt { deadline_ns: u64 },
    Cancel { which: usize },
    Pop,
    Advance { by_ns: u64 },
    SleepUntilNext,
}

/// Delays of every magnitude, so that every level is used.
fn any_span_ns() -> impl Strategy<Value = u64> {
    (0u32..63, any::<u64>()).prop_map(|(bits, noise)| (1 << bits) | noise & ((1 << bits) - 1))
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_span_ns().prop_map(|delay_ns| Step::Insert { delay_ns }),
        4 => (0..200 * TICK_NS).prop_map(|delay_ns| Step::Insert { delay_ns }),
        1 => any_span_ns().prop_map(|age_ns| Step::InsertPast { age_ns }),
        1 => any::<u64>().prop_map(|deadline_ns| Step::InsertAt { deadline_ns }),
        1 => Just(Step::InsertAt { deadline_ns: u64::MAX }),
        4 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        4 => Just(Step::Pop),
        3 => any_span_ns().prop_map(|by_ns| Step::Advance { by_ns }),
        3 => (0..100 * TICK_NS).prop_map(|by_ns| Step::Advance { by_ns }),
        3 => Just(Step::SleepUntilNext),
    ]
}

/// What the wheel must do: pending timers by firing tick and order of insertion.
struct Model {
    pending: BTreeMap<(u64, u64), (TimerId, u64)>,
    stale: Vec<TimerId>,
    inserted: u64,
}

const MODEL_LIMIT: usize = 24;

impl Model {
    fn insert(&mut self, timers: &mut Timers<u64>, deadline_ns: u64) {
        let order = self.inserted;
        let tick = deadline_ns.div_ceil(TICK_NS).max(timers.cursor);
        match timers.insert(deadline_ns, order) {
            Ok(id) => {
                self.inserted += 1;
                self.pending.insert((tick, order), (id, deadline_ns));
            }
            Err(full) => {
                assert_eq!((full.value, full.limit), (order, MODEL_LIMIT));
                assert_eq!(self.pending.len(), MODEL_LIMIT);
            }
        }
    }

    fn cancel(&mut self, timers: &mut Timers<u64>, which: usize) {
        if self.pending.is_empty() {
            return;
        }
        let key = *self.pending.keys().nth(which % self.pending.len()).unwrap();
        let (id, _) = self.pending.remove(&key).unwrap();
        assert_eq!(timers.get(id), Some(&key.1));
        assert_eq!(timers.cancel(id), Some(key.1));
        self.stale.push(id);
    }

    fn pop(&mut self, timers: &mut Timers<u64>, now_ns: u64) -> bool {
        let due = self.pending.first_key_value().filter(|((tick, _), _)| *tick <= now_ns / TICK_NS);
        match (timers.pop_due(now_ns), due) {
            (None, None) => false,
            (Some(popped), Some((&(tick, order), &(id, deadline_ns)))) => {
                assert_eq!(popped, (id, order));
                assert!(deadline_ns <= now_ns, "fired early");
                self.pending.remove(&(tick, order));
                self.stale.push(id);
                true
            }
            (popped, due) => panic!("at {now_ns} the wheel gives {popped:?}, the model {due:?}"),
        }
    }

    fn check(&self, timers: &mut Timers<u64>) {
        assert_eq!(timers.len(), self.pending.len());
        assert_eq!(timers.is_empty(), self.pending.is_empty());
        for &id in &self.stale {
            assert_eq!(timers.cancel(id), None);
        }
        let first = self.pending.first_key_value().map(|((tick, _), _)| start_ns(*tick));
        assert_eq!(timers.next_deadline_ns().is_some(), first.is_some());
        assert!(timers.next_deadline_ns() <= first, "would sleep past the first timer");
    }
}

proptest! {
    #[test]
    fn any_sequence_of_steps_equals_an_ordered_map(
        start_ns in prop_oneof![Just(0), any_span_ns()],
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let mut now_ns = start_ns;
        let mut timers = Timers::new(now_ns, MODEL_LIMIT);
        let mut model = Model { pending: BTreeMap::new(), stale: Vec::new(), inserted: 0 };
        for step in steps {
            match step {
                Step::Insert { delay_ns } => {
                    model.insert(&mut timers, now_ns.saturating_add(delay_ns));
                }
                Step::InsertPast { age_ns } => {
                    model.insert(&mut timers, now_ns.saturating_sub(age_ns));
                }
                Step::InsertAt { deadline_ns } => model.insert(&mut timers, deadline_ns),
                Step::Cancel { which } => model.cancel(&mut timers, which),
                Step::Pop => {
                    model.pop(&mut timers, now_ns);
                }
                Step::Advance { by_ns } => {
                    now_ns = now_ns.saturating_add(by_ns);
                    while model.pop(&mut timers, now_ns) {}
                }
                Step::SleepUntilNext => {
                    while model.pop(&mut timers, now_ns) {}
                    if let Some(next_ns) = timers.next_deadline_ns() {
                        prop_assert!(next_ns > now_ns || now_ns == u64::MAX, "no progress");
                        now_ns = next_ns;
                    }
                }
            }
            model.check(&mut timers);
        }
    }
}
