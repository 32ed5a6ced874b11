//! How an entity asks to be stopped.

use mainspring::prelude::*;

use super::hosting::Regions;

/// The running entity is to be stopped when it has handled what it has got; what comes meanwhile is kept, and starts it
/// again. An entity that just ends its turn with [`Next::Stop`] leaves what is queued for it as dead letters.
///
/// Whether the actor is an entity: of another actor nothing happens.
pub fn passivate<A: Actor>(ctx: &mut Context<'_, A>) -> bool
where
    A::Message: mainspring::message::Message,
{
    let me = ctx.me();
    let Some(parent) = ctx.parent() else { return false };
    let Some(regions) = ctx.shared::<Regions>() else { return false };
    let Some(hosting) = regions.of_parent::<A::Message>(parent) else { return false };
    let Some(region) = hosting.region.get() else { return false };
    hosting.tables.borrow_mut().asked_to_stop.push(me.address());
    ctx.try_tell(region, &(super::envelope::Envelope::Tick, Vec::new())).is_ok()
}
