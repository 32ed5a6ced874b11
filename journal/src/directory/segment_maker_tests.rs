//! The real thread on the file system of temporary files. A wait gives up with a message rather than hang.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use super::*;
use crate::directory::scratch::Scratch;
use crate::directory::segment_files::segment_name;
use crate::log::SegmentFile;

const SEGMENT_BYTES: u64 = (2 << 20) + 4096;
const PATIENCE: Duration = Duration::from_secs(30);

fn settings() -> MakerSettings {
    MakerSettings { segment_bytes: SEGMENT_BYTES, direct: false, ..MakerSettings::default() }
}

/// A core of which the test plays the part.
struct Core {
    client: MakerClient,
    woken: mpsc::Receiver<()>,
}

impl Core {
    fn of(maker: &SegmentMaker, folder: &Path) -> Core {
        let (wake, woken) = mpsc::channel();
        let wake = Arc::new(move || {
            let _ = wake.send(());
        });
        let client = maker.client(folder.to_owned(), wake).expect("it takes us");
        Core { client, woken }
    }

    fn next(&self) -> MakerEvent {
        loop {
            if let Some(event) = self.client.take_event() {
                return event;
            }
            self.woken.recv_timeout(PATIENCE).expect("the thread answers");
        }
    }

    fn submit(&self, request: Request) {
        self.client.submit(request).expect("it is taken");
    }

    fn make(&self, number: u64) -> MakerEvent {
        self.submit(Request::Segment { file: SegmentFile(number) });
        self.next()
    }
}

fn is_ready(event: &MakerEvent, number: u64) -> bool {
    matches!(event, MakerEvent::SegmentReady { file } if file.0 == number)
}

#[test]
fn segments_are_made_ahead_of_zeroes_and_retired_ones_become_new() {
    let scratch = Scratch::new("maker");
    let maker = SegmentMaker::start(settings()).expect("a thread");
    let core = Core::of(&maker, scratch.path());
    let event = core.make(1);
    assert!(is_ready(&event, 1), "{event:?}");
    let path = |number| scratch.path().join(segment_name(SegmentFile(number)));
    fs::write(path(1), vec![7; SEGMENT_BYTES as usize]).expect("it is used");
    core.submit(Request::Recycle { retired: SegmentFile(1), file: SegmentFile(2) });
    let event = core.next();
    assert!(is_ready(&event, 2), "{event:?}");
    assert_eq!(scratch.names(), [segment_name(SegmentFile(2))]);
    let content = fs::read(path(2)).expect("it is there");
    assert!(content.len() as u64 == SEGMENT_BYTES && content.iter().all(|byte| *byte == 0));
    assert_eq!(core.client.outstanding(), 0);
}

#[test]
fn small_files_are_written_and_removed_and_work_is_done_in_the_cores_folder() {
    let scratch = Scratch::new("maker-jobs");
    let maker = SegmentMaker::start(settings()).expect("a thread");
    let core = Core::of(&maker, scratch.path());
    core.submit(Request::Write { token: 1, name: "footer".into(), bytes: b"content".to_vec() });
    assert!(matches!(core.next(), MakerEvent::JobDone { token: 1 }));
    assert_eq!(fs::read(scratch.path().join("footer")).expect("it is there"), b"content");
    core.submit(Request::Run {
        token: 2,
        work: Box::new(|folder| replace(folder, "checkpoint-0", b"merged")),
    });
    assert!(matches!(core.next(), MakerEvent::JobDone { token: 2 }));
    core.submit(Request::Remove { token: 3, names: vec!["footer".into()] });
    assert!(matches!(core.next(), MakerEvent::JobDone { token: 3 }));
    assert_eq!(scratch.names(), ["checkpoint-0"]);
    core.submit(Request::Write { token: 4, name: "../outside".into(), bytes: Vec::new() });
    assert!(matches!(core.next(), MakerEvent::JobFailed { token: 4, .. }));
    core.submit(Request::Run { token: 5, work: Box::new(|_| panic!("on purpose")) });
    let event = core.next();
    let MakerEvent::JobFailed { token: 5, error } = event else { panic!("{event:?}") };
    assert!(error.to_string().contains("the work panicked"), "{error}");
    assert!(is_ready(&core.make(1), 1), "the thread has survived that");
}

#[test]
fn a_segment_that_cannot_be_made_is_answered_and_leaves_nothing() {
    let scratch = Scratch::new("maker-fails");
    let maker = SegmentMaker::start(settings()).expect("a thread");
    let core = Core::of(&maker, &scratch.path().join("gone"));
    let event = core.make(1);
    let MakerEvent::SegmentFailed { file: SegmentFile(1), error } = event else {
        panic!("{event:?}")
    };
    assert!(error.to_string().starts_with("cannot open"), "{error}");
    core.submit(Request::Recycle { retired: SegmentFile(9), file: SegmentFile(2) });
    assert!(matches!(core.next(), MakerEvent::SegmentFailed { .. }));
    assert!(scratch.names().is_empty());
}

#[test]
fn at_the_limit_the_request_comes_back_until_an_answer_is_taken() {
    let scratch = Scratch::new("maker-limit");
    let settings = MakerSettings { requests_limit: 2, ..settings() };
    let maker = SegmentMaker::start(settings).expect("a thread");
    let core = Core::of(&maker, scratch.path());
    for token in 0..2 {
        core.submit(Request::Remove { token, names: Vec::new() });
    }
    let again = || core.client.submit(Request::Remove { token: 2, names: Vec::new() });
    let refused = again().expect_err("two is the limit");
    assert_eq!(refused.refusal, Refusal::Busy { limit: 2 });
    assert!(matches!(refused.request, Request::Remove { token: 2, .. }));
    core.next();
    again().expect("one was answered");
}

#[test]
fn a_core_that_takes_no_answers_does_not_hold_up_the_others() {
    let scratch = Scratch::new("maker-others");
    let maker = SegmentMaker::start(settings()).expect("a thread");
    let (silent, other) = (Core::of(&maker, scratch.path()), Core::of(&maker, scratch.path()));
    for token in 0..16 {
        silent.submit(Request::Remove { token, names: Vec::new() });
    }
    assert!(is_ready(&other.make(1), 1));
    drop(silent);
    assert!(is_ready(&other.make(2), 2));
}

#[test]
fn the_end_of_the_thread_does_what_was_taken_and_is_seen_by_the_cores() {
    let scratch = Scratch::new("maker-end");
    let maker = SegmentMaker::start(settings()).expect("a thread");
    let core = Core::of(&maker, scratch.path());
    let (is_inside, inside) = mpsc::channel();
    let (go_on, gate) = mpsc::channel::<()>();
    core.submit(Request::Run {
        token: 1,
        work: Box::new(move |_| {
            let _ = is_inside.send(());
            let _ = gate.recv();
            Ok(())
        }),
    });
    inside.recv_timeout(PATIENCE).expect("the work is begun");
    core.submit(Request::Segment { file: SegmentFile(1) });
    core.submit(Request::Write { token: 2, name: "footer".into(), bytes: b"last".to_vec() });
    let has_ended = Arc::new(AtomicBool::new(false));
    let ends = {
        let has_ended = has_ended.clone();
        std::thread::spawn(move || {
            drop(maker);
            has_ended.store(true, Ordering::Release);
        })
    };
    assert!(!has_ended.load(Ordering::Acquire), "it waits for the work");
    drop(go_on);
    ends.join().expect("it ends");
    assert_eq!(fs::read(scratch.path().join("footer")).expect("it was taken"), b"last");
    assert!(!scratch.names().iter().any(|name| name.ends_with(".tmp")), "{:?}", scratch.names());
    let refused = core.client.submit(Request::Segment { file: SegmentFile(2) });
    assert_eq!(refused.expect_err("it has ended").refusal, Refusal::Ended);
}

#[test]
fn a_node_holds_the_thread_and_each_core_its_own_way_to_it() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<SegmentMaker>();
    sent::<MakerClient>();
}
