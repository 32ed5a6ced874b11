//! Entities on a node: the types that a program declares, the regions that stand before their entities on every core,
//! and the references by which they are reached.

mod abroad;
mod coordinator;
mod entities;
mod entity_id;
mod entity_ref;
mod entity_type;
mod envelope;
mod error;
mod figures;
mod hosting;
mod kept;
mod moving;
mod operation;
mod parcel;
mod passivate;
mod recalling;
mod recorder;
mod recording;
mod region;
mod remembered;
mod sharding;
mod singleton;
mod sole;
mod tenancy;
mod tenants;
mod type_board;
mod types_file;
mod unsent;
mod wording;

pub use coordinator::{Directive, DrainBegun, MoveEnded, MoveOutcome};
pub use entities::Entities;
pub use entity_id::EntityId;
pub use entity_ref::{ArchivedEntityRef, EntityAddress, EntityRef, EntityTarget};
pub use entity_type::{EntityType, MOST_NAME_BYTES};
pub use error::{DeclareError, EntityTellError, TypesError};
pub use figures::RegionFigures;
pub use operation::{NotReady, Readiness, ShardHome, ShardRequestError, TypeShards};
pub use passivate::passivate;
pub use sharding::Sharding;
pub use singleton::{ArchivedSingletonRef, Singleton, SingletonProxy, SingletonRef};
pub use type_board::SHARD_REQUESTS_LIMIT;
pub use types_file::TYPES_FILE;

pub(crate) use hosting::{Hosting, Regions};
