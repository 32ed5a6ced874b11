//! No room, and room again, on small images of ext4 and xfs.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mainspring_journal::directory::{
    DeviceOptions, Directory, Identity, MakerClient, MakerEvent, MakerSettings, Request,
    SegmentMaker, open_segment,
};
use mainspring_journal::log::{BlockBuffer, SegmentFile};

use crate::image::{Image, fill};

const SEGMENT_BYTES: u64 = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_full_ext4_is_a_state_that_passes() {
    on_an_image("ext4", 48 << 20);
}

#[test]
fn a_full_xfs_is_a_state_that_passes() {
    // The smallest that mkfs.xfs makes; the file has holes where nothing is.
    on_an_image("xfs", 320 << 20);
}

fn on_an_image(kind: &str, bytes: u64) {
    let Some(image) = Image::or_skipped(kind, bytes) else { return };
    let identity = Identity { system: "orders".into(), shard_count: 16, cores: 1 };
    let path = image.path().join("journal");
    let journal =
        Directory::open(&path, &identity, &DeviceOptions::default()).expect("it has direct I/O");
    assert!(journal.is_direct(), "{}", journal.device());
    let core = Core::of(&journal);
    assert!(core.make(1).is_ready(1), "there is room for the first");

    let filler = fill(&image.path());
    core.submit(Request::Segment { file: SegmentFile(2) });
    assert!(core.next().is_full(), "there is none for the second");
    a_commit_needs_no_room(&journal);
    core.submit(Request::Write { token: 7, name: "footer".into(), bytes: vec![1; 8 << 20] });
    let MakerEvent::JobFailed { token: 7, error } = core.next().0 else { panic!("no room") };
    assert!(error.is_no_space(), "{error}");
    let folder = journal.core_folder(0);
    assert!(!folder.join("footer").exists() && !folder.join("footer.tmp").exists());

    fs::remove_file(filler).expect("it is there");
    assert!(core.next().is_ready(2), "room came back, and the segment without a further request");
    assert!(matches!(core.next().0, MakerEvent::SpaceIsBack));
    drop(core);
    assert_eq!(segments(&folder), [1, 2], "and nothing half made");
}

/// What was zero-filled ahead can be written though the file system is full.
fn a_commit_needs_no_room(journal: &Directory) {
    let file = open_segment(&journal.core_folder(0), SegmentFile(1), true).expect("it is there");
    let mut block = BlockBuffer::new();
    block.resize(1 << 20, 5);
    for offset in (0..SEGMENT_BYTES).step_by(1 << 20) {
        file.write_all_at(&block, offset).expect("the blocks are there");
    }
    file.sync_data().expect("and so are those of the file system");
}

fn segments(folder: &Path) -> Vec<u64> {
    assert!(fs::read_dir(folder).expect("it is there").count() == 2);
    let files = mainspring_journal::directory::segments_in(folder).expect("it is there");
    files.into_iter().map(|file| file.0).collect()
}

struct Core {
    client: MakerClient,
    woken: mpsc::Receiver<()>,
    _maker: SegmentMaker,
}

struct Said(MakerEvent);

impl Core {
    fn of(journal: &Directory) -> Core {
        let settings = MakerSettings {
            segment_bytes: SEGMENT_BYTES,
            direct: journal.is_direct(),
            retry_every: Duration::from_millis(5),
            ..MakerSettings::default()
        };
        let maker = SegmentMaker::start(settings).expect("a thread");
        let (wake, woken) = mpsc::channel();
        let wake = Arc::new(move || {
            let _ = wake.send(());
        });
        let client = maker.client(journal.core_folder(0), wake).expect("it takes us");
        Core { client, woken, _maker: maker }
    }

    fn submit(&self, request: Request) {
        self.client.submit(request).expect("it is taken");
    }

    fn make(&self, number: u64) -> Said {
        self.submit(Request::Segment { file: SegmentFile(number) });
        self.next()
    }

    fn next(&self) -> Said {
        loop {
            if let Some(event) = self.client.take_event() {
                return Said(event);
            }
            self.woken.recv_timeout(PATIENCE).expect("the thread answers");
        }
    }
}

impl Said {
    fn is_ready(&self, number: u64) -> bool {
        matches!(&self.0, MakerEvent::SegmentReady { file } if file.0 == number)
    }

    fn is_full(&self) -> bool {
        matches!(&self.0, MakerEvent::Full { .. })
    }
}
