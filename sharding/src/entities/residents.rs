//! The entities of one type that a core has: found by id, walked by shard, never more than a limit.
//!
//! Promises: an id is in here at most once; what is in here stays at its [`Slot`] until it is removed, and a slot that
//! was given back is not mistaken for its next tenant (it carries a generation, which repeats after 2³² tenants); an
//! insertion costs the same however many there are, but for a table of one page that may have to be split; no scan is
//! ever made over all. Walks go in the order in which entities came.
//!
//! Refused: more than the limit, and ids that are crafted to have nearly the same hash.
//!
//! An entity with an id of up to 22 bytes and a value of up to 24 takes one cache line of 64 bytes here, and 11 to 22
//! bytes in the index; a longer id takes its own length and 16 bytes more.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use super::id_index::{self, IdIndex};
use super::name::Name;
use super::{EntityKey, ShardCount};
use crate::chunks::Chunks;
use crate::list::{Linked, Links, List};

/// The most entities of one type that one core may have.
pub const MOST_RESIDENTS: u32 = id_index::MOST_ROWS;

/// The entities of one type on one core, each with a value of the caller's, such as a reference to its actor.
#[derive(Debug)]
pub struct Residents<T> {
    shard_count: ShardCount,
    most: u32,
    len: u32,
    index: IdIndex,
    rows: Chunks<Row<T>>,
    /// Rows without an entity.
    vacant: List<0>,
    of_shards: Vec<List<0>>,
}

/// The place of an entity in [`Residents`] for as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    number: u32,
    generation: u32,
}

/// How far an entity is in its life. One that is not in the table is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Asked to start, and has not said that it has.
    Starting,
    /// Takes messages.
    Active,
    /// Asked to stop, and has not ended.
    Passivating,
    /// Could not be started, and will be tried again.
    BackingOff,
    /// Could not be started too often; its messages are refused for a time.
    Broken,
}

/// What a message needs of the entity that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// Where it is.
    pub slot: Slot,
    /// How far it is in its life.
    pub state: State,
    /// The caller's value.
    pub value: T,
}

/// An entity in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident<'a, T> {
    /// The bytes of its id.
    pub id: &'a [u8],
    /// The shard of the id.
    pub shard: u32,
    /// How far it is in its life.
    pub state: State,
    /// The caller's value.
    pub value: T,
}

/// A limit that no table can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a limit of {most} entities on a core; choose 1 to {MOST_RESIDENTS}")]
pub struct ResidentsError {
    /// What was asked for.
    pub most: u32,
}

/// Why an entity was not taken in. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The limit is reached.
    #[error(
        "the core has {most} entities of this type, its limit; passivate some, raise the limit or add cores"
    )]
    Full {
        /// The limit.
        most: u32,
    },
    /// The id is in here already.
    #[error("the entity is here already; look for it before it is put in")]
    Here {
        /// Where.
        slot: Slot,
    },
    /// Hundreds of ids with nearly the same hash: made so on purpose.
    #[error(
        "hundreds of ids have nearly the same hash as this one, as no ids have by chance; see who makes them"
    )]
    Crowded,
}

impl<T: Copy> Residents<T> {
    /// A table for at most so many entities. Memory is taken as they come, and 12 bytes a shard at once.
    ///
    /// # Errors
    ///
    /// A limit of none, or above [`MOST_RESIDENTS`].
    pub fn new(shard_count: ShardCount, most: u32) -> Result<Self, ResidentsError> {
        if most == 0 || most > MOST_RESIDENTS {
            return Err(ResidentsError { most });
        }
        Ok(Residents {
            shard_count,
            most,
            len: 0,
            index: IdIndex::for_rows(most),
            rows: Chunks::new(),
            vacant: List::EMPTY,
            of_shards: vec![List::EMPTY; shard_count.get() as usize],
        })
    }

    /// The entity with this id.
    #[inline]
    pub fn find(&self, key: &EntityKey<'_>) -> Option<Found<T>> {
        let (slot, row) = self.row_of(key.hash(), key.as_bytes())?;
        Some(Found { slot, state: row.state, value: row.value })
    }

    /// The entity with this id and its hash, if it takes messages: its slot, its shard and its value. What cannot be an
    /// id has no entity.
    #[inline(always)]
    pub(crate) fn find_active(&self, hash: u64, id: &[u8]) -> Option<(Slot, u32, &T)> {
        let (slot, row) = self.row_of(hash, id)?;
        if row.state != State::Active {
            return None;
        }
        Some((slot, u32::from(row.shard), &row.value))
    }

    /// Takes in an entity, which is [`State::Starting`].
    ///
    /// # Errors
    ///
    /// It is here already, there is no room, or its id is one of hundreds with nearly the same hash.
    pub fn insert(&mut self, key: &EntityKey<'_>, value: T) -> Result<Slot, InsertError> {
        if let Some(found) = self.find(key) {
            return Err(InsertError::Here { slot: found.slot });
        }
        if self.len == self.most {
            return Err(InsertError::Full { most: self.most });
        }
        // The place that was left last: its memory is the warmest.
        let number = self.vacant.last().unwrap_or(self.rows.len());
        self.index.insert(key.hash(), number).map_err(|_| InsertError::Crowded)?;
        let shard = self.shard_count.shard_of(key);
        let row = Row {
            name: Name::of(key.as_bytes()),
            value,
            links: Links::LOOSE,
            generation: 0,
            shard: shard as u16,
            state: State::Starting,
            failures: 0,
        };
        let generation = self.settle(number, row);
        self.of_shards[shard as usize].push_back(&mut self.rows, number);
        self.len += 1;
        Ok(Slot { number, generation })
    }

    /// Takes an entity out. `None` when it is not there any more.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let row = self.row(slot)?;
        let (value, shard) = (row.value, row.shard);
        self.index.remove(xxh3_64(row.name.as_bytes()), slot.number);
        self.of_shards[usize::from(shard)].remove(&mut self.rows, slot.number);
        let row = &mut self.rows[slot.number];
        row.name = Name::NONE;
        row.generation = row.generation.wrapping_add(1);
        self.vacant.push_back(&mut self.rows, slot.number);
        self.len -= 1;
        Some(value)
    }

    /// What stands at a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<Resident<'_, T>> {
        let row = self.row(slot)?;
        let (shard, state) = (u32::from(row.shard), row.state);
        Some(Resident { id: row.name.as_bytes(), shard, state, value: row.value })
    }

    /// Puts another value in the place of the one that an entity has; the old one comes back.
    pub fn replace(&mut self, slot: Slot, value: T) -> Option<T> {
        let row = self.row_mut(slot)?;
        Some(std::mem::replace(&mut row.value, value))
    }

    /// The value that an entity has, to change it.
    #[inline]
    pub(crate) fn value_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.row_mut(slot).map(|row| &mut row.value)
    }

    /// How far the entity is in its life; `None` when it is not there any more.
    #[inline]
    pub fn state(&self, slot: Slot) -> Option<State> {
        self.row(slot).map(|row| row.state)
    }

    /// The slot whose number this is, if an entity is there.
    #[inline]
    pub fn slot(&self, number: u32) -> Option<Slot> {
        let row = self.rows.get(number).filter(|row| !row.name.is_none())?;
        Some(Slot { number, generation: row.generation })
    }

    /// The entities of a shard, those that came first first.
    pub fn of_shard(&self, shard: u32) -> impl Iterator<Item = Slot> + '_ {
        let list = self.of_shards.get(shard as usize).copied().unwrap_or(List::EMPTY);
        std::iter::successors(list.first(), move |number| list.after(&self.rows, *number))
            .map(|number| Slot { number, generation: self.rows[number].generation })
    }

    /// How many entities a shard has here.
    pub fn entities_of(&self, shard: u32) -> u32 {
        self.of_shards.get(shard as usize).map_or(0, List::len)
    }

    /// How many entities there are.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The limit.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// The number of shards.
    pub fn shard_count(&self) -> ShardCount {
        self.shard_count
    }

    /// The state and the count of failed starts, to change them.
    pub(super) fn life(&mut self, slot: Slot) -> Option<(&mut State, &mut u8)> {
        self.row_mut(slot).map(|row| (&mut row.state, &mut row.failures))
    }

    /// Puts a row at its number, and says its generation.
    fn settle(&mut self, number: u32, row: Row<T>) -> u32 {
        if number == self.rows.len() {
            self.rows.push(row);
            return 0;
        }
        self.vacant.remove(&mut self.rows, number);
        let generation = self.rows[number].generation;
        self.rows[number] = Row { generation, ..row };
        generation
    }

    #[inline(always)]
    fn row_of(&self, hash: u64, id: &[u8]) -> Option<(Slot, &Row<T>)> {
        let (number, row) = self.index.find(hash, |number| {
            let row = &self.rows[number];
            if row.name.is(id) { Some((number, row)) } else { None }
        })?;
        Some((Slot { number, generation: row.generation }, row))
    }

    #[inline]
    fn row(&self, slot: Slot) -> Option<&Row<T>> {
        self.rows.get(slot.number).filter(|row| row.is_at(slot))
    }

    #[inline]
    fn row_mut(&mut self, slot: Slot) -> Option<&mut Row<T>> {
        self.rows.get_mut(slot.number).filter(|row| row.is_at(slot))
    }
}

impl Slot {
    /// Its number: below the most entities that there ever were at once, so it can be the number of a row elsewhere.
    #[inline]
    pub fn number(self) -> u32 {
        self.number
    }

    #[inline]
    pub(crate) fn of(number: u32, generation: u32) -> Self {
        Slot { number, generation }
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Starting => "starting",
            State::Active => "active",
            State::Passivating => "passivating",
            State::BackingOff => "backing off",
            State::Broken => "broken",
        })
    }
}

/// On a cache line of its own, so that a message for its entity touches one.
#[derive(Debug)]
#[repr(align(64))]
struct Row<T> {
    name: Name,
    value: T,
    /// In its shard's list, or among the vacant.
    links: Links,
    /// Counts the tenants that have left.
    generation: u32,
    shard: u16,
    state: State,
    /// Starts that failed since the last that did not.
    failures: u8,
}

impl<T> Row<T> {
    /// A row without an entity has the generation of its next tenant, whose slot nobody has yet.
    #[inline]
    fn is_at(&self, slot: Slot) -> bool {
        self.generation == slot.generation
    }
}

impl<T> Linked<0> for Row<T> {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    fn links_of(&self) -> &Links {
        &self.links
    }
}

#[cfg(test)]
#[path = "residents_tests.rs"]
mod tests;
