//! What the parent finds in a log whose writer was killed.

use std::collections::BTreeMap;
use std::path::Path;

use mainspring_journal::directory::reader::DirectoryReader;
use mainspring_journal::directory::{DeviceOptions, Directory, Identity};
use mainspring_journal::format::RecordKind;
use mainspring_journal::format::dictionary::EntityEntry;
use mainspring_journal::format::record::Records;
use mainspring_journal::log::recovery::{Expected, FoundFrame, recover};

pub const SYSTEM: &str = "kills";
pub const SHARDS: u32 = 16;

/// The payload that an entity's event with this number must have.
pub type Content = fn(u64, u64) -> Vec<u8>;

pub fn open(path: &Path) -> Directory {
    let identity = Identity { system: SYSTEM.into(), shard_count: SHARDS, cores: 1 };
    let options = DeviceOptions { allow_buffered: true, commit_method: None };
    Directory::open(path, &identity, &options).unwrap_or_else(|error| panic!("{error}"))
}

pub fn expected() -> Expected {
    Expected { system: SYSTEM.into(), core: 0, shard_count: SHARDS }
}

/// Recovers the log as the next life does, and holds it against what was acknowledged. How many events it holds.
pub fn check(path: &Path, acknowledged: &BTreeMap<u64, u64>, content: Content, kill: u64) -> u64 {
    let journal = open(path);
    let mut reader = DirectoryReader::open(&journal.core_folder(0)).expect("it can be listed");
    let mut found = Found { content, kill, names: BTreeMap::new(), last: BTreeMap::new() };
    let recovered = recover(&mut reader, &expected(), &mut |frame| found.take(frame));
    let recovered = recovered.unwrap_or_else(|error| panic!("kill {kill}: {error}"));
    let log_id = journal.log_identity(0).expect("it has one core").log_id;
    assert!(recovered.log_id.is_none_or(|found| found == log_id), "kill {kill}: another log");
    for (entity, number) in acknowledged {
        let last = found.last.get(entity).copied().unwrap_or(0);
        assert!(last >= *number, "kill {kill}: {entity} was told of {number}, {last} are there");
    }
    found.last.values().sum()
}

struct Found {
    content: Content,
    kill: u64,
    /// The entity with a hash.
    names: BTreeMap<u64, u64>,
    /// The last event of an entity.
    last: BTreeMap<u64, u64>,
}

impl Found {
    fn take(&mut self, frame: &FoundFrame<'_>) {
        for record in Records::new(frame.records, frame.header.record_count) {
            let record = record.expect("checked");
            match record.header.kind {
                RecordKind::Entity => {
                    let entry = EntityEntry::decode(record.payload).expect("checked");
                    let id = entry.id.as_slice().try_into().expect("a number of 64 bits");
                    self.names.insert(record.header.entity, u64::from_be_bytes(id));
                }
                RecordKind::Event => {
                    let entity = self.names[&record.header.entity];
                    let last = self.last.entry(entity).or_default();
                    *last += 1;
                    let (number, kill) = (*last, self.kill);
                    assert_eq!(record.header.entity_sequence, number, "kill {kill}: of {entity}");
                    let is_right = record.payload == (self.content)(entity, number);
                    assert!(is_right, "kill {kill}: event {number} of {entity} differs");
                }
                _ => {}
            }
        }
    }
}
