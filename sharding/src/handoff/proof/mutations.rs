//! The proof can fail: with any one guard switched off, the storms or the model see a broken promise; with all of them
//! on, neither ever does.

use super::model::{Budget, HandOffModel, explore, small_settings};
use super::simulation::{storm, weather};
use crate::handoff::settings::Flaw;

/// Seeds within which a flaw must show.
const SEEDS: u64 = 2_000;

const FLAWS: [Flaw; 7] = [
    Flaw::BelievesLowerEpochs,
    Flaw::SkipsFlush,
    Flaw::ResumesOnGuess,
    Flaw::ResumesAtOldEpoch,
    Flaw::TakesForwardTwice,
    Flaw::SkipsStop,
    Flaw::SkipsSettling,
];

#[test]
fn storms_catch_every_missing_guard() {
    for flaw in FLAWS {
        let mut weather = weather(false);
        weather.settings.flaw = Some(flaw);
        let caught = (0..SEEDS).find_map(|seed| storm(seed, weather).err());
        let caught = caught.unwrap_or_else(|| panic!("{flaw:?} went unseen for {SEEDS} seeds"));
        println!("{flaw:?}: {}", caught.lines().next().unwrap_or_default());
    }
}

/// The model finds the shortest way to see it.
#[test]
fn the_model_catches_what_it_has_the_budget_for() {
    let calm = Budget {
        sends: vec![(2, 0, 2)],
        moves: vec![(0, 1)],
        losses: 0,
        duplicates: 0,
        unknown: 0,
        absences: 0,
        hints: false,
    };
    let cases = [
        (Flaw::SkipsFlush, calm.clone()),
        (Flaw::SkipsStop, calm.clone()),
        (Flaw::TakesForwardTwice, Budget { duplicates: 1, ..calm.clone() }),
        (Flaw::ResumesOnGuess, Budget { unknown: 1, ..calm.clone() }),
        (Flaw::ResumesAtOldEpoch, Budget { unknown: 1, absences: 1, ..calm.clone() }),
        (
            Flaw::BelievesLowerEpochs,
            Budget { moves: vec![(0, 1), (0, 2)], duplicates: 1, ..calm.clone() },
        ),
        (
            Flaw::SkipsSettling,
            Budget { sends: vec![(2, 0, 1)], moves: vec![(0, 1), (0, 2)], ..calm.clone() },
        ),
    ];
    for (flaw, budget) in cases {
        let mut settings = small_settings();
        settings.flaw = Some(flaw);
        let model = HandOffModel { places: 3, shards: 1, settings, budget };
        let found = explore(model).expect_err("the model missed a flaw");
        println!("{flaw:?}: {} steps", found.lines().count() - 1);
    }
}
