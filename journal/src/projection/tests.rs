//! Projections over logs on a simulated disk: crashes between any two steps, failures, pauses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::*;
use crate::log::SegmentFile;
use crate::query::tests::{SEGMENT_BYTES, World, who};
use crate::query::{Batch, EventQuery, Lag, Offset, ReadLimits, Selection};

const PATIENCE: Duration = Duration::from_secs(30);

/// What outlives a crash of the projection.
#[derive(Clone, Default)]
struct ReadSide(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// Every event that was taken, in order.
    taken: Vec<(usize, u64)>,
    cleared: u32,
    /// The offset, where the handler keeps it together with what it takes.
    offset: Option<Offset>,
    /// So many of the next batches are not taken.
    failures: u32,
    panics: bool,
}

impl ReadSide {
    fn with<T>(&self, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn taken(&self) -> Vec<(usize, u64)> {
        self.with(|kept| kept.taken.clone())
    }
}

impl Handler for ReadSide {
    fn handle(&mut self, batch: &Batch) -> Result<(), HandlerError> {
        assert!(!batch.is_empty());
        self.with(|kept| {
            assert!(!kept.panics, "a handler that panics on purpose");
            if kept.failures > 0 {
                kept.failures -= 1;
                return Err("no room on the read side".into());
            }
            kept.taken.extend(batch.events().map(|event| who(&event)));
            kept.offset = Some(batch.offset().clone());
            Ok(())
        })
    }

    fn clear(&mut self) -> Result<(), HandlerError> {
        self.with(|kept| {
            kept.taken.clear();
            kept.offset = None;
            kept.cleared += 1;
        });
        Ok(())
    }
}

/// The offset is where the events are, in the same transaction.
impl OffsetStore for ReadSide {
    fn load(&mut self, _: &str) -> Result<Option<Offset>, OffsetStoreError> {
        Ok(self.with(|kept| kept.offset.clone()))
    }

    fn store(&mut self, _: &str, offset: &Offset) -> Result<(), OffsetStoreError> {
        self.with(|kept| kept.offset = Some(offset.clone()));
        Ok(())
    }
}

fn live(world: &World, events: usize) -> EventQuery {
    let query = EventQuery::live(vec![world.log()], Selection::all(), &Offset::beginning());
    query.expect("its own log").with_limits(ReadLimits { events, ..ReadLimits::default() })
}

/// Steps without a pause until there is nothing to do.
fn run<H: Handler, S: OffsetStore>(projection: &mut Projection<H, S>, now_ns: u64) -> Action {
    loop {
        let action = projection.step(now_ns);
        if matches!(action, Action::Wait { .. } | Action::End) {
            return action;
        }
    }
}

/// Crashes after a random number of steps, again and again, until everything is taken.
fn crash_until_caught_up<S: OffsetStore>(
    world: &World,
    read_side: &ReadSide,
    offsets: impl Fn() -> S,
    random: &mut fastrand::Rng,
) -> u32 {
    for crashes in 0..10_000 {
        let query = live(world, random.usize(1..40));
        let mut projection = Projection::new("ledger", query, read_side.clone(), offsets());
        for now_ns in 0..random.u64(3..25) {
            if matches!(projection.step(now_ns), Action::Wait { .. }) {
                assert_eq!(projection.state(), ProjectionState::CaughtUp);
                return crashes;
            }
        }
    }
    panic!("it never comes to an end");
}

#[test]
fn a_projection_that_crashes_between_any_two_steps_takes_every_event_at_least_once() {
    let mut repeated = 0;
    for seed in 1..=60 {
        let world = World::filled(0, seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let (read_side, offsets) = (ReadSide::default(), MemoryOffsets::new());
        crash_until_caught_up(&world, &read_side, || offsets.clone(), &mut random);
        let taken = read_side.taken();
        repeated += taken.len() - world.written.len();
        // What comes again is what came last: behind it nothing is left out.
        let mut highest = 0;
        let place: BTreeMap<(usize, u64), usize> = world.written.iter().copied().zip(0..).collect();
        for event in &taken {
            assert!(place[event] <= highest, "seed {seed}: {event:?} comes before its turn");
            highest = highest.max(place[event] + 1);
        }
        assert_eq!(highest, world.written.len(), "seed {seed}");
    }
    assert!(repeated > 100, "the crashes came at the right places: {repeated}");
}

#[test]
fn an_offset_kept_in_the_transaction_of_the_handler_makes_it_exactly_once() {
    let mut crashes = 0;
    for seed in 1..=60 {
        let world = World::filled(0, seed);
        let mut random = fastrand::Rng::with_seed(seed);
        let read_side = ReadSide::default();
        crashes += crash_until_caught_up(&world, &read_side, || read_side.clone(), &mut random);
        assert_eq!(read_side.taken(), world.written, "seed {seed}");
    }
    assert!(crashes > 100, "{crashes}");
}

#[test]
fn a_rebuild_makes_the_same_read_side_again_wherever_it_is_cut_short() {
    let world = World::filled(0, 3);
    for steps in 0..12 {
        let (read_side, offsets) = (ReadSide::default(), MemoryOffsets::new());
        let make = || Projection::new("p", live(&world, 50), read_side.clone(), offsets.clone());
        let mut projection = make();
        run(&mut projection, 0);
        assert_eq!(read_side.taken(), world.written);
        projection.rebuild();
        for _ in 0..steps {
            projection.step(0);
        }
        drop(projection);
        // The batch whose offset was not stored comes again; everything else once.
        let mut projection = make();
        run(&mut projection, 0);
        let mut taken = read_side.taken();
        let all = taken.len();
        taken.dedup();
        taken.sort_unstable();
        taken.dedup();
        let mut written = world.written.clone();
        written.sort_unstable();
        assert_eq!(taken, written, "cut short after {steps} steps");
        assert!(all <= written.len() + 50, "cut short after {steps} steps: {all}");
        assert_eq!(read_side.with(|kept| kept.cleared > 1), steps > 0);
    }
}

#[test]
fn while_it_is_paused_nothing_is_taken_and_behind_the_pause_nothing_is_missing() {
    let mut world = World::filled(0, 5);
    let read_side = ReadSide::default();
    let mut projection =
        Projection::new("p", live(&world, 10), read_side.clone(), MemoryOffsets::new());
    for _ in 0..12 {
        projection.step(0);
    }
    projection.pause();
    assert_eq!(run(&mut projection, 0), Action::Wait { until_ns: None });
    assert_eq!(projection.state(), ProjectionState::Paused);
    let before = read_side.taken();
    assert!(!before.is_empty() && before.len() < world.written.len());
    let lag = projection.lag(0);
    world.append(0, 100, &[]);
    world.commit();
    assert_eq!(run(&mut projection, u64::MAX), Action::Wait { until_ns: None });
    assert_eq!(read_side.taken(), before);
    assert!(projection.lag(0).bytes > lag.bytes);
    projection.resume();
    assert!(matches!(run(&mut projection, 0), Action::Wait { until_ns: Some(_) }));
    assert_eq!((read_side.taken(), projection.lag(0)), (world.written.clone(), Lag::default()));
}

#[test]
fn a_handler_that_fails_gets_the_same_batch_after_pauses_that_grow_and_then_no_more() {
    let world = World::filled(0, 7);
    let read_side = ReadSide::default();
    let settings = ProjectionSettings {
        backoff: Duration::from_nanos(100),
        backoff_limit: Duration::from_nanos(500),
        retries: 4,
        ..ProjectionSettings::default()
    };
    let offsets = MemoryOffsets::new();
    let mut projection =
        Projection::new("p", live(&world, 25), read_side.clone(), offsets).with_settings(settings);
    read_side.with(|kept| kept.failures = 5);
    let mut now_ns = 1_000;
    for (failures, pause_ns) in (1..).zip([100, 200, 400, 500]) {
        let until_ns = Some(now_ns + pause_ns);
        assert_eq!(run(&mut projection, now_ns), Action::Wait { until_ns });
        assert_eq!(projection.state(), ProjectionState::Retrying { failures });
        assert_eq!(projection.step(now_ns + pause_ns - 1), Action::Wait { until_ns });
        now_ns += pause_ns;
    }
    assert_eq!(run(&mut projection, now_ns), Action::Wait { until_ns: None });
    assert_eq!(projection.state(), ProjectionState::Failed);
    let error = projection.last_error().expect("it failed").to_string();
    assert!(error.contains("no room on the read side"), "{error}");
    assert!(projection.lag(2_000).events >= 25, "the batch that was not taken counts");
    assert!(read_side.taken().is_empty());
    projection.resume();
    run(&mut projection, now_ns);
    assert_eq!(read_side.taken(), world.written);
    assert!(projection.last_error().is_none());
}

#[test]
fn an_offset_whose_events_were_given_back_fails_at_once_and_a_rebuild_goes_on_with_what_is_left() {
    let world = World::filled(0, 8);
    let (read_side, mut offsets) = (ReadSide::default(), MemoryOffsets::new());
    offsets.store("p", &Offset::beginning().with(0, 8_192)).expect("in memory");
    world.disk.with(|disk| {
        disk.remove(SegmentFile(1)).expect("it is there");
        disk.zero(SegmentFile(2), 0, SEGMENT_BYTES);
    });
    let mut projection = Projection::new("p", live(&world, 25), read_side.clone(), offsets);
    assert_eq!(run(&mut projection, 0), Action::Wait { until_ns: None });
    assert_eq!(projection.state(), ProjectionState::Failed);
    let error = projection.last_error().expect("it failed").to_string();
    assert!(error.contains("were given back"), "{error}");
    projection.rebuild();
    run(&mut projection, 0);
    assert_eq!(projection.state(), ProjectionState::CaughtUp);
    let taken = read_side.taken();
    assert!(taken.len() > 50 && world.written.ends_with(&taken));
}

#[test]
fn a_current_query_completes_and_its_offset_is_kept() {
    let world = World::filled(0, 9);
    let (read_side, mut offsets) = (ReadSide::default(), MemoryOffsets::new());
    let nothing = Selection::all().with_tag("nobody has it");
    for (selection, taken) in [(Selection::all(), world.written.len()), (nothing, 0)] {
        let query = EventQuery::current(vec![world.log()], selection, &Offset::beginning());
        let query = query.expect("its own log");
        offsets.store("p", &Offset::beginning()).expect("in memory");
        let mut projection = Projection::new("p", query, read_side.clone(), offsets.clone());
        assert_eq!(run(&mut projection, 0), Action::End);
        assert_eq!(projection.state(), ProjectionState::Completed);
        assert_eq!(read_side.taken().len(), taken);
        let kept = offsets.load("p").expect("in memory").expect("it was stored");
        assert_eq!(kept, *projection.offset());
        assert!(!kept.is_beginning());
    }
}

#[test]
fn on_a_thread_of_its_own_it_follows_the_log_and_does_what_it_is_asked() {
    let mut world = World::filled(0, 10);
    let read_side = ReadSide::default();
    let projection =
        Projection::new("p", live(&world, 100), read_side.clone(), MemoryOffsets::new());
    let handle = projection.start().expect("a thread");
    let taken = |count: usize| {
        let status = handle.wait_until(PATIENCE, |status| {
            status.state == ProjectionState::CaughtUp && status.events == count as u64
        });
        assert_eq!((status.state, status.lag), (ProjectionState::CaughtUp, Lag::default()));
    };
    taken(world.written.len());
    for _ in 0..20 {
        world.append(1, 50, &[]);
        world.commit();
    }
    taken(world.written.len());
    assert_eq!(read_side.taken(), world.written);
    handle.pause();
    handle.wait_until(PATIENCE, |status| status.state == ProjectionState::Paused);
    world.append(1, 50, &[]);
    world.commit();
    let status = handle.wait_until(PATIENCE, |status| status.lag.bytes > 0);
    assert_eq!((status.state, status.lag.events > 0), (ProjectionState::Paused, true));
    handle.rebuild();
    handle.resume();
    taken(2 * world.written.len() - 1);
    assert_eq!(read_side.taken(), world.written);
    assert_eq!(handle.stop().state, ProjectionState::Stopped);
}

#[test]
fn a_handler_that_panics_ends_the_thread_and_the_status_says_so() {
    let world = World::filled(0, 11);
    let read_side = ReadSide::default();
    read_side.with(|kept| kept.panics = true);
    let projection =
        Projection::new("p", live(&world, 100), read_side.clone(), MemoryOffsets::new());
    let handle = projection.start().expect("a thread");
    let status = handle.wait_until(PATIENCE, |status| status.state == ProjectionState::Failed);
    assert_eq!(status.last_error.as_deref(), Some("the projection's thread panicked"));
    assert_eq!(handle.stop().state, ProjectionState::Failed);
}
