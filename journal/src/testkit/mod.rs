//! Devices that fail on purpose, for tests of this crate and of those who build on it.

mod actor_test;
mod bench;
mod entity_outcome;
mod entity_test;
pub mod simulated_disk;
mod simulated_journal;
mod simulated_journals;
mod simulated_storage;
mod stored_test;

pub use actor_test::{ActorTest, StoredRecord, TestedActor};
pub use entity_outcome::{Ending, EntityOutcome};
pub use entity_test::EntityTest;
pub use simulated_disk::{DiskError, Fate, Fault, SimulatedDisk};
pub use simulated_journal::SimulatedJournal;
pub use simulated_journals::SimulatedJournals;
pub use simulated_storage::{DeviceConduct, SimulatedStorage};
pub use stored_test::{StoredTest, StoredValue};
