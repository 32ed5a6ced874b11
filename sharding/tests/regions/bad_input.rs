//! What cannot be is refused with a word on what to do, and changes nothing.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mainspring::node::StartError;
use mainspring::prelude::*;
use mainspring_sharding::entities::{EntityIdError, MOST_ID_BYTES, ToEntityKey};
use mainspring_sharding::node::{MOST_NAME_BYTES, TYPES_FILE, TypesError};
use mainspring_sharding::{DeclareError, Entities, EntityTellError, EntityType, Sharding};

use mainspring_journal::Persistent;

use crate::cast::Entry;
use crate::restarts::Guest;

/// Takes messages and does nothing.
struct Mute;

impl Actor for Mute {
    type Message = Entry;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Entry>) -> Next<Self> {
        Next::Same
    }
}

fn declare(sharding: &Sharding, entity_type: EntityType) -> Result<Entities<Entry>, DeclareError> {
    sharding.entities(entity_type, |_| Mute)
}

/// Starts a node with these types and stops it again.
fn start(sharding: &Sharding) -> Result<(), TypesError> {
    let builder = Node::builder().name("shelves").cores(Cores::count(1)).idle(IdleProfile::Eco);
    match builder.with(sharding.clone()).start() {
        Ok(node) => {
            node.shutdown(Duration::from_secs(5)).expect("it stops");
            Ok(())
        }
        Err(StartError::Extension { source, .. }) => {
            Err(*source.downcast().expect("an error of the types"))
        }
        Err(error) => panic!("{error}"),
    }
}

/// A directory that is not there yet.
fn directory(test: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => directory,
    }
}

#[test]
fn an_id_that_is_empty_or_too_long_is_refused() {
    let diaries = declare(&Sharding::new(), EntityType::new("diary")).expect("a good type");
    let long = vec![b'x'; MOST_ID_BYTES + 1];
    let bytes = long.len();
    assert_eq!(diaries.entity("").err(), Some(EntityIdError::Empty));
    assert_eq!(diaries.entity(&long[..]).err(), Some(EntityIdError::TooLong { bytes }));
    assert!(diaries.entity(&long[1..]).is_ok());
    assert_eq!(diaries.shard_of(""), Err(EntityIdError::Empty));
}

#[test]
fn a_message_before_the_node_has_started_finds_no_type() {
    let diaries = declare(&Sharding::new(), EntityType::new("diary")).expect("a good type");
    let key = 1u64.to_entity_key().expect("an id");
    let refused = diaries.addressed(&key, &Entry::Rest).map(|_| ());
    assert_eq!(refused, Err(EntityTellError::UnknownType));
}

#[test]
fn a_number_of_shards_that_is_0_or_too_large_is_refused() {
    let sharding = Sharding::new();
    for shards in [0, 65_537, u32::MAX] {
        let refused = declare(&sharding, EntityType::new("diary").shards(shards));
        assert!(matches!(refused, Err(DeclareError::Shards { .. })), "{shards}: {refused:?}");
        let text = refused.expect_err("refused").to_string();
        assert!(text.contains("choose 1 to 65536"), "{text}");
    }
    for (name, shards) in [("fewest", 1), ("most", 65_536)] {
        declare(&sharding, EntityType::new(name).shards(shards)).expect("a good type");
    }
}

#[test]
fn a_name_that_is_empty_or_too_long_is_refused() {
    let sharding = Sharding::new();
    for bytes in [0, MOST_NAME_BYTES + 1] {
        let refused = declare(&sharding, EntityType::new("x".repeat(bytes)));
        assert!(matches!(refused, Err(DeclareError::Name { bytes: b }) if b == bytes), "{bytes}");
    }
    declare(&sharding, EntityType::new("x".repeat(MOST_NAME_BYTES))).expect("a good type");
}

#[test]
fn limits_with_which_no_entity_could_live_are_refused() {
    let sharding = Sharding::new();
    let none = declare(&sharding, EntityType::new("diary").at_most(0));
    assert!(matches!(none, Err(DeclareError::AtMost { .. })), "{none:?}");
    let at_once = EntityType::new("diary").passivate_after(Duration::ZERO);
    let at_once = declare(&sharding, at_once);
    assert!(matches!(at_once, Err(DeclareError::Passivation { .. })), "{at_once:?}");
}

#[test]
fn a_second_type_of_the_same_name_is_refused() {
    let sharding = Sharding::new();
    declare(&sharding, EntityType::new("diary")).expect("a good type");
    let second = declare(&sharding, EntityType::new("diary").shards(7));
    assert!(matches!(second, Err(DeclareError::Taken { .. })), "{second:?}");
}

#[test]
fn a_type_that_is_declared_after_its_node_has_started_is_refused() {
    let sharding = Sharding::new();
    start(&sharding).expect("nothing is wrong");
    let late = declare(&sharding, EntityType::new("diary"));
    assert!(matches!(late, Err(DeclareError::Started { .. })), "{late:?}");
}

#[test]
fn another_number_of_shards_than_is_stored_is_refused_and_the_stored_one_stays() {
    let directory = directory("other-shard-count");
    let start_with = |shards| {
        let sharding = Sharding::stored_in(&directory);
        declare(&sharding, EntityType::new("diary").shards(shards)).expect("a good type");
        start(&sharding)
    };
    start_with(64).expect("the first time");
    let refused = start_with(128).expect_err("other shards");
    let is_meant = matches!(&refused, TypesError::OtherShardCount { stored: 64, asked: 128, .. });
    assert!(is_meant, "{refused:?}");
    assert!(refused.to_string().contains("Go back to 64"), "{refused}");
    start_with(64).expect("as before");
}

#[test]
fn a_name_with_spaces_line_ends_and_backslashes_is_known_again() {
    let directory = directory("odd-names");
    let names = ["a b", " a", "a ", "a\nb", "a\r", "a\\", "a\\n", "\"a\"", "é", "7 a", "\u{0}"];
    let start_with = |shards| {
        let sharding = Sharding::stored_in(&directory);
        for name in names {
            declare(&sharding, EntityType::new(name).shards(shards)).expect("a good type");
        }
        start(&sharding)
    };
    start_with(8).expect("the first time");
    let written = fs::read(directory.join(TYPES_FILE)).expect("a file");
    assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), names.len());
    start_with(8).expect("all of them are known");
    let again = fs::read(directory.join(TYPES_FILE)).expect("a file");
    assert_eq!(again, written, "none was taken for a new one");
    for name in names {
        let sharding = Sharding::stored_in(&directory);
        declare(&sharding, EntityType::new(name).shards(9)).expect("a good type");
        let refused = start(&sharding);
        let is_known = matches!(refused, Err(TypesError::OtherShardCount { stored: 8, .. }));
        assert!(is_known, "{name:?}: {refused:?}");
    }
}

#[test]
fn a_damaged_file_of_types_is_refused_with_its_line_and_left_alone() {
    let directory = directory("damaged-types");
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join(TYPES_FILE);
    let damages = ["64", "", "many diary", "-1 diary", "0 diary", "65537 diary", "4 a", "4 \\x"];
    for damage in damages {
        let text = format!("8 a\n{damage}\n16 b\n");
        fs::write(&path, &text).expect("written");
        let sharding = Sharding::stored_in(&directory);
        declare(&sharding, EntityType::new("diary")).expect("a good type");
        let refused = start(&sharding);
        assert!(matches!(refused, Err(TypesError::Damaged { line: 2, .. })), "{damage:?}");
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
    }
    fs::write(&path, [b'8', b' ', 0xff, b'\n']).expect("written");
    let sharding = Sharding::stored_in(&directory);
    assert!(matches!(start(&sharding), Err(TypesError::File { .. })), "no text");
}

#[test]
fn a_type_that_keeps_a_journal_is_refused_in_a_cluster_because_the_journal_stays_where_it_is() {
    let sharding = Sharding::new().in_cluster_without_store();
    let guest = |id: mainspring_sharding::EntityId<'_>| Persistent::new(id.bytes(), Guest::default);
    let error = sharding.entities(EntityType::new("guest"), guest).expect_err("it is refused");
    assert!(error.to_string().contains("\"guest\" keeps its state in a journal"), "{error}");
    declare(&sharding, EntityType::new("mute")).expect("one in memory is not");

    let late = Sharding::new();
    late.entities(EntityType::new("guest"), guest).expect("a node alone has journals");
    let late = late.in_cluster_without_store();
    let node = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco).with(late);
    let error = node.start().err().expect("it does not start").to_string();
    assert!(error.contains("sharding"), "{error}");
}

#[test]
fn more_shards_than_members_keep_records_of_are_refused_without_a_store() {
    let sharding = Sharding::new().in_cluster_without_store();
    let error = declare(&sharding, EntityType::new("mute").shards(4_097)).expect_err("too many");
    assert!(error.to_string().contains("4097 shards; without a store choose 4096"), "{error}");
    declare(&sharding, EntityType::new("mute").shards(4_096)).expect("as many as may be");
}
