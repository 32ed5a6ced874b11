//! Everything at once, at instants that a seed chooses; the testkit looks at every promise after each step.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_sharding::EntityType;
use mainspring_sharding::entities::LifeSettings;
use mainspring_sharding::testkit::{MoveStorm, StormReport};

use crate::cast::Library;

/// Seeds of one storm: ten thousand of the first are run, in four parts so that they use several processors.
const PART: u64 = 2_500;

/// Few shards, so that moves meet each other.
fn shelf() -> EntityType {
    EntityType::new("diary").shards(4)
}

fn add(sum: &mut StormReport, report: &StormReport) {
    sum.sent += report.sent;
    sum.acknowledged += report.acknowledged;
    sum.refused += report.refused;
    sum.moved += report.moved;
    sum.failed += report.failed;
}

fn calm_enough_to_lose_nothing(part: u64) {
    let storm = MoveStorm { rounds: 20, ..MoveStorm::default() };
    let mut sum = StormReport::default();
    Simulation::for_seeds(part * PART + 1..=(part + 1) * PART, |sim| {
        let mut library = Library::new(sim, 3, shelf());
        add(&mut sum, &library.storm(&storm));
    });
    println!("{PART} seeds: {} commands, {} moves", sum.sent, sum.moved);
}

#[test]
fn storms_of_moves_lose_double_and_reorder_nothing_first_part() {
    calm_enough_to_lose_nothing(0);
}

#[test]
fn storms_of_moves_lose_double_and_reorder_nothing_second_part() {
    calm_enough_to_lose_nothing(1);
}

#[test]
fn storms_of_moves_lose_double_and_reorder_nothing_third_part() {
    calm_enough_to_lose_nothing(2);
}

#[test]
fn storms_of_moves_lose_double_and_reorder_nothing_fourth_part() {
    calm_enough_to_lose_nothing(3);
}

#[test]
fn a_storm_moves_shards_and_everything_sent_is_acknowledged() {
    let mut library = Library::new(Simulation::seeded(1), 3, shelf());
    let report = library.storm(&MoveStorm { rounds: 300, ..MoveStorm::default() });
    assert!(report.moved > 30 && report.sent > 500, "{report:?}");
    assert_eq!((report.acknowledged, report.refused), (report.sent, 0));
    let by_entity: usize = report.acknowledged_by.values().map(Vec::len).sum();
    assert_eq!(by_entity as u64, report.acknowledged);
}

#[test]
fn storms_with_little_room_refuse_what_they_lose() {
    let mut sum = StormReport::default();
    Simulation::for_seeds(1..=300, |sim| {
        let tight = shelf().parked_limit_bytes(400).kept_limit_bytes(400).at_most(2);
        let mut library = Library::new(sim, 3, tight);
        add(&mut sum, &library.storm(&MoveStorm { most_commands: 12, ..MoveStorm::default() }));
    });
    assert!(sum.refused > 0 && sum.acknowledged > sum.refused, "{sum:?}");
}

#[test]
fn storms_in_which_entities_fail_double_and_reorder_nothing() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut sum = StormReport::default();
    Simulation::for_seeds(1..=300, |sim| {
        let failures = LifeSettings {
            first_backoff_ns: 20_000,
            longest_backoff_ns: 10_000_000,
            ..LifeSettings::default()
        };
        let idle = Duration::from_micros(1_500);
        let frail = shelf().failures(failures).passivate_after(idle).remember(100_000);
        let mut library = Library::new(sim, 3, frail);
        add(&mut sum, &library.storm(&MoveStorm { failures_percent: 20, ..MoveStorm::default() }));
    });
    assert!(sum.failed > 300 && sum.acknowledged > sum.sent / 2, "{sum:?}");
}

#[test]
fn a_storm_repeats_exactly() {
    let run = || {
        let mut library = Library::new(Simulation::seeded(11), 3, shelf());
        let report = library.storm(&MoveStorm::default());
        (report, library.sim.trace())
    };
    assert_eq!(run(), run());
}
