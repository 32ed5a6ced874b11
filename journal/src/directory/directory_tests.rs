//! On the file system of temporary files.

use std::fs;

use super::scratch::Scratch;
use super::*;
use crate::log::SegmentFile;

/// The tests are about the directory, not about the device of temporary files.
const ANY_DEVICE: DeviceOptions = DeviceOptions { allow_buffered: true, commit_method: None };

fn identity() -> Identity {
    Identity { system: "orders".into(), shard_count: 1024, cores: 2 }
}

fn open(path: &Path) -> Result<Directory, OpenError> {
    Directory::open(path, &identity(), &ANY_DEVICE)
}

#[test]
fn a_journal_that_is_opened_again_has_the_same_logs() {
    let scratch = Scratch::new("again");
    let path = scratch.path().join("data/journal");
    let first = open(&path).expect("it is made");
    let ids = [0, 1].map(|core| first.log_identity(core).expect("two cores").log_id);
    assert!(first.log_identity(2).is_none());
    assert!(ids[0] != ids[1]);
    drop(first);
    let second = open(&path).expect("it is there");
    let identity = second.log_identity(1).expect("two cores");
    assert_eq!((identity.log_id, identity.core, identity.shard_count), (ids[1], 1, 1024));
    assert_eq!(second.is_direct(), second.commit_method() != CommitMethod::Buffered);
}

#[test]
fn a_journal_is_open_once() {
    let scratch = Scratch::new("once");
    let held = open(scratch.path()).expect("it is made");
    let error = open(scratch.path()).map(drop).expect_err("it is open");
    assert!(matches!(error, OpenError::Lock(LockError::Held { .. })), "{error}");
    drop(held);
    open(scratch.path()).expect("it was closed");
}

#[test]
fn another_system_does_not_get_in_and_changes_nothing() {
    let scratch = Scratch::new("foreign");
    drop(open(scratch.path()).expect("it is made"));
    let before = fs::read(scratch.path().join("journal.toml")).expect("it is there");
    let other = Identity { system: "payments".into(), ..identity() };
    let error =
        Directory::open(scratch.path(), &other, &ANY_DEVICE).map(drop).expect_err("foreign");
    assert!(matches!(error, OpenError::Manifest(ManifestError::System { .. })), "{error}");
    let after = fs::read(scratch.path().join("journal.toml")).expect("it is there");
    assert!(before == after);
}

#[test]
fn a_journal_that_lacks_something_it_had_is_no_journal_that_begins() {
    let scratch = Scratch::new("lacks");
    drop(open(scratch.path()).expect("it is made"));
    let segment = core_folder(scratch.path(), 1).join(segment_name(SegmentFile(1)));
    fs::write(segment, b"records").expect("it can be written");
    let manifest = scratch.path().join("journal.toml");
    let text = fs::read(&manifest).expect("it is there");
    fs::remove_file(&manifest).expect("it is there");
    let error = open(scratch.path()).map(drop).expect_err("nothing says whose it is");
    assert!(matches!(error, OpenError::Manifest(ManifestError::Missing { .. })), "{error}");
    fs::write(&manifest, text).expect("it can be written");
    open(scratch.path()).expect("the manifest is back");
    fs::remove_dir_all(core_folder(scratch.path(), 0)).expect("it is there");
    let error = open(scratch.path()).map(drop).expect_err("a log is gone");
    assert!(matches!(error, OpenError::NoCoreFolder { core: 0, .. }), "{error}");
}

#[test]
fn a_crash_while_a_journal_is_made_leaves_one_that_can_still_be_made() {
    let scratch = Scratch::new("half-made");
    fs::create_dir(core_folder(scratch.path(), 0)).expect("it is not there");
    fs::write(scratch.path().join("journal.toml.tmp"), b"form").expect("it can be written");
    open(scratch.path()).expect("it is made");
    assert_eq!(scratch.names(), ["core-0", "core-1", "journal.toml", "lock"]);
}

#[test]
fn a_path_that_cannot_be_a_directory_is_an_error() {
    let scratch = Scratch::new("no-folder");
    let file = scratch.path().join("file");
    fs::write(&file, b"").expect("it can be written");
    let error = open(&file.join("a/journal")).map(drop).expect_err("a file is in the way");
    assert!(error.to_string().starts_with("cannot make the folder"), "{error}");
}
