//! Entities: actors that are told by id, start at their first message, leave when they are not used, and move.

mod activation;
mod activation_durable;
mod handoff;
mod handoff_at_rate;
mod passivation;
mod raw_boxed_map;
mod tell;
mod tell_cross_core;

use std::error::Error;

use mainspring::prelude::Actor;
use mainspring_sharding::{Entities, EntityType, Sharding};

pub use activation::{ENTITY_ACTIVATION, ENTITY_IDLE_MEMORY};
pub use activation_durable::EntityActivationDurable;
pub use handoff::EntityHandoff;
pub use handoff_at_rate::{ENTITY_HANDOFF_AT_RATE, ENTITY_HANDOFF_DURABLE};
pub use passivation::EntityPassivation;
pub use raw_boxed_map::RawBoxedMap;
pub use tell::EntityTell;
pub use tell_cross_core::EntityTellCrossCore;

use super::ScenarioError;

/// Declares a type of entities that do not need to know their ids.
fn declare<A: Actor>(
    sharding: &Sharding,
    entity_type: EntityType,
    make: impl Fn() -> A + Send + Sync + 'static,
) -> Result<Entities<A::Message>, ScenarioError>
where
    A::Message: mainspring::message::Message,
{
    let declared = sharding.entities(entity_type, move |_| make());
    declared.map_err(sharding_refused("declare a type of entities"))
}

/// Says what was done when the sharding refused it.
fn sharding_refused<E>(doing: &'static str) -> impl FnOnce(E) -> ScenarioError
where
    E: Error + Send + Sync + 'static,
{
    move |source| ScenarioError::Sharding { doing, source: Box::new(source) }
}
