//! A segment that cannot be made, although there is room.

use std::fs;
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::notebook::{PATIENCE, Running};

/// Files that cannot be made, one after the other.
const OBSTRUCTED: std::ops::RangeInclusive<u64> = 6..=8;

#[test]
fn a_segment_that_fails_rests_before_the_next_is_asked_for_and_the_journal_goes_on() {
    let folder = Folder::new("failing-segments");
    let journal = folder.journal();
    let running = Running::start(&journal);
    for number in OBSTRUCTED {
        let name = format!("{number:016x}.segment.tmp");
        fs::create_dir(folder.core().join(name)).expect("nothing is there yet");
    }
    let refused = || journal.figures(0).map_or(0, |figures| figures.segments_refused);
    let start = Instant::now();
    let mut first = start;
    // While no segment is ready notes are refused, and figures are those of the last commit.
    while refused() < OBSTRUCTED.count() as u64 {
        first = if refused() == 0 { Instant::now() } else { first };
        running.keep();
        assert!(start.elapsed() < PATIENCE, "{} segments failed", refused());
    }
    // There are two rests between the three; half of one may be over before the first failure is seen.
    assert!(first.elapsed() > Duration::from_millis(1_500), "tried within {:?}", first.elapsed());
    running.keep_until_kept(running.count());
    running.stop();
}
