//! An event-sourced actor on a file system without room: refused, unharmed, and served again when there is room.

use std::fs;

use crate::image::{Image, fill};
use crate::notebook::{Answer, Running, journal};

#[test]
fn on_a_full_ext4_an_actor_is_refused_unharmed_and_served_again() {
    on_an_image("ext4", 48 << 20);
}

#[test]
fn on_a_full_xfs_an_actor_is_refused_unharmed_and_served_again() {
    on_an_image("xfs", 320 << 20);
}

fn on_an_image(kind: &str, bytes: u64) {
    let Some(image) = Image::or_skipped(kind, bytes) else { return };
    let kept = {
        let running = Running::start(&journal(&image.path()));
        for count in 1..=10 {
            assert!(matches!(running.keep(), Answer::Notes { count: now } if now == count));
        }
        let filler = fill(&image.path());
        let kept = running.keep_until_full();
        assert_eq!(running.count(), kept, "what was refused has changed nothing");
        assert!(matches!(running.keep(), Answer::Full), "and it stays so");
        fs::remove_file(filler).expect("it is there");
        let kept = running.keep_until_kept(kept);
        running.stop();
        kept
    };
    let running = Running::start(&journal(&image.path()));
    assert_eq!(running.count(), kept, "what was answered is there, what was refused is not");
    running.stop();
}
