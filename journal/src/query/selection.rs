//! Which events a query gives out.

use std::ops::Range;

use crate::entity::EntityId;
use crate::format::RecordHeader;
use crate::format::dictionary::EntityEntry;

/// Which events are asked for: all of them, less those that a condition leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// With its hash.
    entity: Option<(u64, EntityEntry)>,
    entity_type: Option<String>,
    shards: Option<Range<u32>>,
    tag: Option<String>,
}

impl Selection {
    /// Every event.
    pub fn all() -> Self {
        Selection::default()
    }

    /// Of one entity only: the name of its state (`#[state(name = "account")]`) and its id.
    pub fn of_entity(mut self, entity_type: &str, id: impl Into<EntityId>) -> Self {
        let id = id.into().as_bytes().to_vec();
        let entry = EntityEntry { entity_type: entity_type.to_owned(), id };
        self.entity = Some((entry.hash(), entry));
        self
    }

    /// Of entities of one type only: the name of their state.
    pub fn of_type(mut self, entity_type: &str) -> Self {
        self.entity_type = Some(entity_type.to_owned());
        self
    }

    /// Of some shards only.
    pub fn in_shards(mut self, shards: Range<u32>) -> Self {
        self.shards = Some(shards);
        self
    }

    /// With a tag only: see [`EventSourced::tags`](crate::EventSourced::tags).
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    /// Whether a record's event may be asked for, by its header alone.
    pub(super) fn takes(&self, header: &RecordHeader) -> bool {
        self.shards.as_ref().is_none_or(|shards| shards.contains(&header.shard))
            && self.entity.as_ref().is_none_or(|(hash, _)| *hash == header.entity)
    }

    /// Whether events of an entity may be asked for, by its full name.
    pub(super) fn takes_entity(&self, entry: &EntityEntry) -> bool {
        self.entity.as_ref().is_none_or(|(_, wanted)| wanted == entry)
            && self.entity_type.as_ref().is_none_or(|wanted| *wanted == entry.entity_type)
    }

    /// Whether an event with these tags is asked for, when the rest is as it should be.
    pub(super) fn takes_tags<'t>(&self, mut tags: impl Iterator<Item = &'t str>) -> bool {
        self.tag.as_deref().is_none_or(|wanted| tags.any(|tag| tag == wanted))
    }
}
