//! Checkpoints of a log on real files: they go on beside one that is damaged.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mainspring_journal::device::{IndexExtent, OpenedLog};
use mainspring_journal::directory::DirectoryReader;
use mainspring_journal::driver::index_files::{IndexFiles, checkpoint_name};
use mainspring_journal::log::{LogIdentity, LogSettings};

use crate::folder::Folder;
use crate::notebook::{Answer, MOST_NOTES, Running};

/// So small that a few notes fill it.
const SEGMENT_BYTES: u64 = 256 << 10;

#[test]
fn a_checkpoint_is_made_and_used_beside_a_damaged_one() {
    let notes = Indexed(Folder::new("checkpoints"));
    let kept = notes.keep_until(2);
    // What the newest one says of its entities is damaged; its header is whole.
    let newest = notes.checkpoint(2);
    let file = fs::OpenOptions::new().write(true).open(&newest).expect("it is there");
    file.write_all_at(&[0xFF; 64], 5_000).expect("it can be written");
    let extent = notes.extent();
    assert_eq!((extent.checkpoint_generation, extent.highest_generation), (1, 2));
    // The next ones are made from the one that is whole.
    assert!(notes.keep_until(3) > kept);
    assert_eq!(notes.extent().checkpoint_generation, 3);
    assert!(notes.keep_until(4) > kept);
    assert_eq!(notes.extent().checkpoint_generation, 4);
}

/// A notebook and the index of its log.
struct Indexed(Folder);

impl Indexed {
    fn checkpoint(&self, generation: u64) -> PathBuf {
        self.0.core().join(checkpoint_name(generation % 2))
    }

    /// Keeps notes until there is a checkpoint of this generation; how many there are then.
    fn keep_until(&self, generation: u64) -> u64 {
        let running = Running::start(&self.0.journal().segment_bytes(SEGMENT_BYTES));
        let before = running.count();
        let path = self.checkpoint(generation);
        for kept in before + 1..before + MOST_NOTES {
            assert!(matches!(running.keep(), Answer::Notes { count } if count == kept));
            if generation_of(&path) == Some(generation) {
                running.stop();
                return kept;
            }
        }
        panic!("{MOST_NOTES} notes, and no checkpoint of generation {generation}");
    }

    /// What is known of the log without reading its frames.
    fn extent(&self) -> IndexExtent {
        let core = self.0.core();
        let identity =
            LogIdentity { system: "notes".to_owned(), log_id: 0, core: 0, shard_count: 4 };
        let settings = LogSettings { segment_bytes: SEGMENT_BYTES, ..LogSettings::default() };
        let mut reader = DirectoryReader::open(&core).expect("a folder of segments");
        let opened = OpenedLog::read(&mut reader, &mut IndexFiles::new(&core), identity, settings);
        opened.expect("a log that can be read").extent
    }
}

/// What a checkpoint's header says.
fn generation_of(checkpoint: &Path) -> Option<u64> {
    let bytes = fs::read(checkpoint).ok()?;
    Some(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?))
}
