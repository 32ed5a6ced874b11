//! What passivation knows of an entity.

use crate::entities::Slot;
use crate::list::{Linked, Links};

/// The links through the lists of [`Admission`](super::admission::Admission).
pub(super) const ORDER: usize = 0;
/// The links through the buckets of [`IdleWheel`](super::idle_wheel::IdleWheel).
pub(super) const IDLE: usize = 1;

/// 32 bytes, so that two share a cache line and none lies on two.
#[derive(Debug)]
pub(super) struct Row {
    order: Links,
    idle: Links,
    /// The upper half of the id's hash: the lower bits are alike for all ids of a shard.
    pub(super) hash: u32,
    generation: u32,
    /// The lower bits of the beat.
    pub(super) last_use: u32,
    pub(super) region: Region,
    pub(super) bucket: u8,
    pub(super) is_held: bool,
}

/// Which list of [`Admission`](super::admission::Admission) an entity is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Region {
    Window,
    Probation,
    Protected,
}

impl Row {
    /// Of no entity.
    pub(super) const VACANT: Row = Row {
        order: Links::LOOSE,
        idle: Links::LOOSE,
        hash: 0,
        generation: 0,
        last_use: 0,
        region: Region::Window,
        bucket: 0,
        is_held: false,
    };

    /// Of an entity that is held from now on.
    pub(super) fn of(slot: Slot, hash: u64, beat: u32) -> Row {
        Row {
            hash: upper_half(hash),
            generation: slot.generation(),
            last_use: beat,
            is_held: true,
            ..Row::VACANT
        }
    }

    /// Whether it is that of this entity.
    #[inline]
    pub(super) fn is_at(&self, slot: Slot) -> bool {
        self.generation == slot.generation() && self.is_held
    }

    /// The slot of the entity in the row with this number.
    pub(super) fn slot(&self, number: u32) -> Slot {
        Slot::of(number, self.generation)
    }
}

/// What is remembered of a hash.
pub(super) fn upper_half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl Linked<ORDER> for Row {
    fn links(&mut self) -> &mut Links {
        &mut self.order
    }

    fn links_of(&self) -> &Links {
        &self.order
    }
}

impl Linked<IDLE> for Row {
    fn links(&mut self) -> &mut Links {
        &mut self.idle
    }

    fn links_of(&self) -> &Links {
        &self.idle
    }
}

#[test]
fn a_row_takes_32_bytes() {
    assert_eq!(size_of::<Row>(), 32);
}
