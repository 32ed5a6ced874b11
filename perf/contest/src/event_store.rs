//! The journal programs for a library that appends batches of events durably and reads them back: a contestant
//! implements [`EventStore`] and has all three.
//!
//! Every store lies in a [`StoreFolder`]. The sum is that of the numbers which are read back when the store has been
//! closed, taken out of the page cache and opened again; each entity's events must come in their order and without a
//! gap.
//!
//! Stores of `journal-recover` are settled ([`EventStore::settle`]) before they are closed.
//!
//! These functions panic with one line when a store fails: the round is worth nothing then, and the process ends.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::entrant::Task;
use crate::event::{self, Event, RECOVER_EVENTS_AN_ENTITY, STREAM_ENTITIES};
use crate::report::RoundReport;
use crate::store_folder::StoreFolder;

/// Commits of one event before those that are measured.
pub const WARM_UP_COMMITS: u64 = 200;

/// A library that keeps events.
pub trait EventStore: Sized {
    /// Why it could not.
    type Error: Display;

    /// How many events of `journal-stream` it appends at a time, at most [`STREAM_ENTITIES`].
    const STREAM_BATCH: u64;

    /// Opens the store in this folder, or makes it.
    fn open(folder: &Path) -> Result<Self, Self::Error>;

    /// Appends a batch, all of it or nothing. It is on the device when this returns.
    fn append(&mut self, batch: &[Event]) -> Result<(), Self::Error>;

    /// Writes out what the store would otherwise have to work through when it is opened again.
    fn settle(&mut self) -> Result<(), Self::Error>;

    /// Gives every event to `each`: entity, sequence, payload. Those of an entity come in the order of their
    /// sequence.
    fn read_all(&mut self, each: &mut dyn FnMut(u64, u64, &[u8])) -> Result<(), Self::Error>;
}

/// The program `journal-append`: one entity, every event durable before the next.
pub fn append<S: EventStore>(task: &Task) -> RoundReport {
    let folder = must("make a folder", StoreFolder::make());
    let mut store: S = must("open the store", S::open(folder.path()));
    for number in 0..WARM_UP_COMMITS {
        must("append", store.append(&[warm_up_event(number)]));
    }
    let began = Instant::now();
    for number in 0..task.messages {
        must("append", store.append(&[Event::of_round(number, 1)]));
    }
    finish(task, began.elapsed(), store, &folder, 1)
}

/// The program `journal-stream`: an event of every entity in turn, and the next of an entity when the one before is
/// durable.
pub fn stream<S: EventStore>(task: &Task) -> RoundReport {
    let folder = must("make a folder", StoreFolder::make());
    let mut store: S = must("open the store", S::open(folder.path()));
    append_in_batches(&mut store, 0..STREAM_ENTITIES, warm_up_event);
    let began = Instant::now();
    let of_stream = |number| Event::of_round(number, STREAM_ENTITIES);
    append_in_batches(&mut store, 0..task.messages, of_stream);
    finish(task, began.elapsed(), store, &folder, STREAM_ENTITIES)
}

/// The program `journal-recover`: opens a store that is not in the page cache and reads every event.
pub fn recover<S: EventStore>(task: &Task) -> RoundReport {
    let folder = must("make a folder", StoreFolder::make());
    let entities = task.messages / RECOVER_EVENTS_AN_ENTITY;
    let mut store: S = must("open the store", S::open(folder.path()));
    append_in_batches(&mut store, 0..task.messages, |number| Event::of_round(number, entities));
    must("settle the store", store.settle());
    drop(store);
    must("empty the page cache", folder.forget_cached());
    let began = Instant::now();
    let sum = sum_of::<S>(folder.path(), entities);
    task.report(began.elapsed(), sum)
}

/// Entities from here up belong to the warm-up; their events are not added up.
const WARM_UP_ENTITY: u64 = 1 << 32;

fn warm_up_event(number: u64) -> Event {
    Event { entity: WARM_UP_ENTITY + number, sequence: 1, payload: event::payload(number) }
}

fn append_in_batches<S: EventStore>(
    store: &mut S,
    numbers: std::ops::Range<u64>,
    event: impl Fn(u64) -> Event,
) {
    let mut batch = Vec::with_capacity(S::STREAM_BATCH as usize);
    for number in numbers.clone() {
        batch.push(event(number));
        if batch.len() as u64 == S::STREAM_BATCH || number + 1 == numbers.end {
            must("append", store.append(&batch));
            batch.clear();
        }
    }
}

fn finish<S: EventStore>(
    task: &Task,
    elapsed: Duration,
    store: S,
    folder: &StoreFolder,
    entities: u64,
) -> RoundReport {
    drop(store);
    must("empty the page cache", folder.forget_cached());
    task.report(elapsed, sum_of::<S>(folder.path(), entities))
}

/// Opens the store and adds up the numbers of the events that are in their place.
fn sum_of<S: EventStore>(folder: &Path, entities: u64) -> u64 {
    let mut store: S = must("open the store again", S::open(folder));
    let mut last = vec![0; entities as usize];
    let mut sum = 0_u64;
    let read = store.read_all(&mut |entity, sequence, payload| {
        let Some(last) = last.get_mut(entity as usize) else { return };
        if sequence == *last + 1 {
            *last = sequence;
            sum = sum.wrapping_add(event::number_of(payload).unwrap_or(0));
        }
    });
    must("read the events", read);
    sum
}

fn must<T, E: Display>(doing: &str, outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("{doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entrant::{self, EntrantError, Implementation};
    use std::fs;
    use std::io;

    /// Keeps each event as one line of a file; what is wrong with it is `FAULT`.
    struct Lines<const FAULT: u8> {
        file: std::path::PathBuf,
        text: String,
    }

    const NONE: u8 = 0;
    const FORGETS_ONE: u8 = 1;
    const READS_BACKWARDS: u8 = 2;

    impl<const FAULT: u8> EventStore for Lines<FAULT> {
        type Error = io::Error;
        const STREAM_BATCH: u64 = 3_000;

        fn open(folder: &Path) -> Result<Self, io::Error> {
            let file = folder.join("lines");
            let text = fs::read_to_string(&file).unwrap_or_default();
            Ok(Lines { file, text })
        }

        fn append(&mut self, batch: &[Event]) -> Result<(), io::Error> {
            for event in batch {
                let number = event::number_of(&event.payload).expect("an event");
                if !(FAULT == FORGETS_ONE && number == 500) {
                    self.text += &format!("{} {} {number}\n", event.entity, event.sequence);
                }
            }
            Ok(())
        }

        fn settle(&mut self) -> Result<(), io::Error> {
            Ok(())
        }

        fn read_all(&mut self, each: &mut dyn FnMut(u64, u64, &[u8])) -> Result<(), io::Error> {
            let mut lines: Vec<&str> = self.text.lines().collect();
            if FAULT == READS_BACKWARDS {
                lines.reverse();
            }
            for line in lines {
                let words: Vec<u64> =
                    line.split(' ').map(|word| word.parse().expect("a number")).collect();
                each(words[0], words[1], &event::payload(words[2]));
            }
            Ok(())
        }
    }

    impl<const FAULT: u8> Drop for Lines<FAULT> {
        fn drop(&mut self) {
            fs::write(&self.file, &self.text).expect("writable");
        }
    }

    fn programs<const FAULT: u8>() -> [Implementation; 3] {
        [
            ("journal-append", append::<Lines<FAULT>>),
            ("journal-stream", stream::<Lines<FAULT>>),
            ("journal-recover", recover::<Lines<FAULT>>),
        ]
    }

    fn is_on_a_disk() -> bool {
        StoreFolder::make().inspect_err(|refused| println!("skipped: {refused}")).is_ok()
    }

    fn is_found_out(program: Implementation) {
        let found = entrant::check(&[program]);
        assert!(matches!(found, Err(EntrantError::Sum { .. })), "{}: {found:?}", program.0);
    }

    #[test]
    fn a_store_that_keeps_everything_comes_to_the_sums_of_the_programs() {
        if is_on_a_disk() {
            assert_eq!(entrant::check(&programs::<NONE>()), Ok(()));
        }
    }

    #[test]
    fn a_store_that_forgets_an_event_is_found_out_by_every_program() {
        if is_on_a_disk() {
            programs::<FORGETS_ONE>().into_iter().for_each(is_found_out);
        }
    }

    #[test]
    fn a_store_that_reads_an_entity_out_of_order_is_found_out_where_entities_have_several_events() {
        if is_on_a_disk() {
            let [append, _, recover] = programs::<READS_BACKWARDS>();
            [append, recover].into_iter().for_each(is_found_out);
        }
    }
}
