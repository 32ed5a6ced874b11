//! Ids of entities, the shards they belong to, and the table of the entities that a core has.
//!
//! An entity is known by its id: 1 to 1,024 bytes ([`EntityKey`]). Its shard is a stable hash of these bytes
//! ([`ShardCount`]), so it is the same on every node and after every restart. A core keeps the entities of one type
//! that live there in [`Residents`], which finds an id, walks the entities of one shard and refuses more than its
//! limit; [`Lives`] says what becomes of an entity and of messages for it while it starts, stops, or cannot be
//! started; [`ShardLoads`] counts what the shards cost.
//!
//! Nothing here runs an entity, keeps a message or reads a clock: the caller does, and passes `now_ns`.

mod id_index;
mod key;
mod life;
mod load;
mod name;
mod residents;
mod shard_count;

pub(crate) use key::hash_of;
pub use key::{EntityIdError, EntityKey, MOST_ID_BYTES, ToEntityKey};
pub use life::{
    Arrival, Due, Ended, LifeSettings, LifeSettingsError, Lives, MOST_TROUBLED, StartFailed,
};
pub use load::{MOST_ORIGINS, ShardLoad, ShardLoads, ShardLoadsError};
pub use residents::{
    Found, InsertError, MOST_RESIDENTS, Resident, Residents, ResidentsError, Slot, State,
};
pub use shard_count::{MOST_SHARDS, ShardCount, ShardCountError};
