//! The machine alone: outcomes and time are the test's.

use std::io;
use std::path::PathBuf;

use super::*;

const PIECE: u64 = ZERO_BYTES as u64;
const RETRY_NS: u64 = 1_000_000_000;

fn making(segment_bytes: u64) -> Making {
    Making::new(segment_bytes, RETRY_NS, 16)
}

fn segment(number: u64) -> Request {
    Request::Segment { file: SegmentFile(number) }
}

fn recycle(retired: u64, number: u64) -> Request {
    Request::Recycle { retired: SegmentFile(retired), file: SegmentFile(number) }
}

fn removal(token: u64) -> Request {
    Request::Remove { token, names: vec!["old".into()] }
}

fn small(token: u64) -> Request {
    Request::Write { token, name: "footer".into(), bytes: vec![1] }
}

fn failure(kind: io::ErrorKind) -> Result<(), FileError> {
    Err(FileError { what: "try", path: PathBuf::from("/data"), source: kind.into() })
}

fn describe(step: &Step) -> String {
    match step {
        Step::Begin { file, retired: None, .. } => format!("begin {}", file.0),
        Step::Begin { file, retired: Some(retired), .. } => {
            format!("take {} for {}", retired.0, file.0)
        }
        Step::Zero { offset, bytes } => format!("zero {offset}+{bytes}"),
        Step::Sync => "sync".into(),
        Step::Publish => "publish".into(),
        Step::Abandon => "abandon".into(),
        Step::Job { job: Request::Remove { token, .. } | Request::Write { token, .. }, .. } => {
            format!("job {token}")
        }
        Step::Job { .. } => "another job".into(),
    }
}

fn answer(event: &MakerEvent) -> String {
    match event {
        MakerEvent::SegmentReady { file } => format!("ready {}", file.0),
        MakerEvent::SegmentFailed { file, .. } => format!("failed {}", file.0),
        MakerEvent::JobDone { token } => format!("done {token}"),
        MakerEvent::JobFailed { token, .. } => format!("job failed {token}"),
        MakerEvent::Full { .. } | MakerEvent::SpaceIsBack => "state".into(),
    }
}

/// Runs until nothing is left to do now; what was done, with answers behind a colon. `outcome` is asked for every step.
fn run(
    making: &mut Making,
    now_ns: u64,
    mut outcome: impl FnMut(&str) -> Result<(), FileError>,
) -> Vec<String> {
    let mut done = Vec::new();
    while let Some(step) = making.next(now_ns) {
        let name = describe(&step);
        assert!(making.next(now_ns).is_none(), "one step at a time");
        let event = making.finished(now_ns, outcome(&name));
        done.push(name);
        done.extend(event.map(|(_, event)| format!(": {}", answer(&event))));
    }
    done
}

fn all_well(_: &str) -> Result<(), FileError> {
    Ok(())
}

#[test]
fn a_segment_is_zeroed_as_a_whole_then_synced_then_published() {
    let mut making = making(2 * PIECE + 4096);
    making.ask(3, segment(7)).map_err(drop).expect("room");
    let done = run(&mut making, 0, all_well);
    let zeroes = format!("zero 0+{PIECE}, zero {PIECE}+{PIECE}, zero {}+4096", 2 * PIECE);
    assert_eq!(done.join(", "), format!("begin 7, {zeroes}, sync, publish, : ready 7"));
    assert_eq!(making.next_deadline_ns(), None);
}

#[test]
fn the_answer_goes_to_who_asked() {
    let mut making = making(4096);
    for asker in [4, 9] {
        making.ask(asker, segment(1)).map_err(drop).expect("room");
    }
    let mut askers = Vec::new();
    while making.next(0).is_some() {
        askers.extend(making.finished(0, Ok(())).map(|(asker, _)| asker));
    }
    assert_eq!(askers, [4, 9]);
}

#[test]
fn a_small_job_waits_for_one_step_of_a_segment_and_not_for_the_whole() {
    let mut making = making(2 * PIECE);
    making.ask(0, segment(1)).map_err(drop).expect("room");
    assert!(matches!(making.next(0), Some(Step::Begin { .. })));
    for token in [5, 6] {
        making.ask(0, small(token)).map_err(drop).expect("room");
    }
    making.finished(0, Ok(()));
    let done = run(&mut making, 0, all_well);
    let first = &format!("zero 0+{PIECE}");
    assert_eq!(done[..5], ["job 5", ": done 5", first, "job 6", ": done 6"]);
    assert_eq!(done.last().map(String::as_str), Some(": ready 1"));
}

#[test]
fn without_room_what_was_begun_is_thrown_away_and_tried_again_until_there_is() {
    for failing in ["begin 1", "zero 0+4096", "sync", "publish"] {
        let mut making = making(4096);
        making.ask(0, segment(1)).map_err(drop).expect("room");
        let full = |step: &str| {
            if step == failing { failure(io::ErrorKind::StorageFull) } else { Ok(()) }
        };
        let done = run(&mut making, 100, full);
        assert_eq!(done[done.len() - 2..], [failing, "abandon"], "no answer yet");
        assert_eq!(making.full_since_ns(), Some(100));
        assert_eq!(making.next_deadline_ns(), Some(100 + RETRY_NS));
        assert!(run(&mut making, 99 + RETRY_NS, all_well).is_empty(), "too early");
        run(&mut making, 100 + RETRY_NS, full);
        assert_eq!(making.full_since_ns(), Some(100), "since the first time");
        let done = run(&mut making, 100 + 2 * RETRY_NS, all_well);
        assert_eq!(done.last().map(String::as_str), Some(": ready 1"), "{failing}");
        assert_eq!((making.full_since_ns(), making.next_deadline_ns()), (None, None));
    }
}

#[test]
fn without_room_retired_files_are_still_used_and_removals_are_followed_by_a_try() {
    let mut making = making(4096);
    making.ask(0, segment(1)).map_err(drop).expect("room");
    run(&mut making, 0, |_| failure(io::ErrorKind::QuotaExceeded));
    assert!(making.full_since_ns().is_some());
    making.ask(0, recycle(8, 2)).map_err(drop).expect("room");
    let done = run(&mut making, 1, all_well);
    assert_eq!((done[0].as_str(), done[4].as_str()), ("take 8 for 2", ": ready 2"));
    assert!(making.full_since_ns().is_some(), "that took no room");
    making.ask(0, removal(9)).map_err(drop).expect("room");
    let done = run(&mut making, 2, all_well);
    assert_eq!(done[..3], ["job 9", ": done 9", "begin 1"]);
    assert_eq!(making.full_since_ns(), None);
}

#[test]
fn a_retired_file_that_was_thrown_away_is_not_asked_for_again() {
    let mut making = making(4096);
    making.ask(0, recycle(8, 2)).map_err(drop).expect("room");
    run(&mut making, 0, |step| {
        if step.starts_with("zero") { failure(io::ErrorKind::StorageFull) } else { Ok(()) }
    });
    assert_eq!(run(&mut making, RETRY_NS, all_well)[0], "begin 2");
}

#[test]
fn another_error_is_answered_and_the_next_request_is_made() {
    let mut making = making(4096);
    for number in [1, 2] {
        making.ask(0, segment(number)).map_err(drop).expect("room");
    }
    making.ask(0, small(3)).map_err(drop).expect("room");
    let mut broken = ["sync", "job 3"].to_vec();
    let done = run(&mut making, 0, |step| match broken.iter().position(|name| *name == step) {
        Some(place) => {
            broken.remove(place);
            failure(io::ErrorKind::PermissionDenied)
        }
        None => Ok(()),
    });
    let answers: Vec<&str> = done.iter().filter_map(|step| step.strip_prefix(": ")).collect();
    assert_eq!(answers, ["job failed 3", "failed 1", "ready 2"]);
    assert_eq!(making.full_since_ns(), None);
}

#[test]
fn requests_beyond_the_limit_come_back() {
    let mut making = Making::new(4096, RETRY_NS, 2);
    making.ask(0, segment(1)).map_err(drop).expect("room");
    making.ask(0, small(2)).map_err(drop).expect("room");
    assert!(matches!(making.ask(0, removal(3)), Err(Request::Remove { token: 3, .. })));
    run(&mut making, 0, all_well);
    making.ask(0, removal(3)).map_err(drop).expect("room again");
}

#[test]
fn closing_does_the_jobs_throws_the_segment_away_and_ends() {
    for steps_before in 0..5 {
        for outcome in [None, Some(io::ErrorKind::StorageFull)] {
            let mut making = making(4096);
            making.ask(0, segment(1)).map_err(drop).expect("room");
            for _ in 0..steps_before {
                if making.next(0).is_some() {
                    making.finished(0, Ok(()));
                }
            }
            let under_way = making.next(0);
            making.ask(0, small(2)).map_err(drop).expect("room");
            making.close();
            assert!(making.ask(0, small(3)).is_err(), "it takes nothing any more");
            let mut done = Vec::new();
            if under_way.is_some() {
                let answer = making.finished(0, outcome.map_or(Ok(()), failure));
                done.extend(answer.map(|(_, event)| format!(": {}", self::answer(&event))));
            }
            done.extend(run(&mut making, 0, all_well));
            assert!(done.contains(&": done 2".to_owned()), "{done:?}");
            assert!(!done.iter().any(|step| step == "publish"), "{done:?}");
            assert_eq!(making.next_deadline_ns(), None);
        }
    }
}

#[test]
fn every_request_is_answered_once_whatever_happens() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut making = making(PIECE + 4096);
        let (mut asked, mut answered, mut now_ns) = (Vec::new(), Vec::new(), 0);
        for token in 0..40 {
            let request = match random.u8(0..4) {
                0 => segment(token),
                1 => recycle(1_000 + token, token),
                2 => removal(token),
                _ => small(token),
            };
            if making.ask(0, request).is_ok() {
                asked.push(token);
            }
            for _ in 0..random.usize(0..6) {
                now_ns += random.u64(0..RETRY_NS / 2);
                if making.next(now_ns).is_none() {
                    break;
                }
                let outcome = match random.u8(0..6) {
                    0 => failure(io::ErrorKind::StorageFull),
                    1 => failure(io::ErrorKind::Other),
                    _ => Ok(()),
                };
                answered
                    .extend(making.finished(now_ns, outcome).map(|(_, event)| token_of(&event)));
            }
        }
        // From here on everything goes well, so that everything comes to an end.
        loop {
            while making.next(now_ns).is_some() {
                answered.extend(making.finished(now_ns, Ok(())).map(|(_, event)| token_of(&event)));
            }
            match making.next_deadline_ns() {
                Some(deadline_ns) => now_ns = deadline_ns,
                None => break,
            }
        }
        answered.sort_unstable();
        assert_eq!(answered, asked, "seed {seed}");
    }
}

fn token_of(event: &MakerEvent) -> u64 {
    match event {
        MakerEvent::SegmentReady { file } | MakerEvent::SegmentFailed { file, .. } => file.0,
        MakerEvent::JobDone { token } | MakerEvent::JobFailed { token, .. } => *token,
        MakerEvent::Full { .. } | MakerEvent::SpaceIsBack => u64::MAX,
    }
}
