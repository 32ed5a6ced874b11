//! The proof can fail: with any one guard switched off, the storms or the model see a broken promise; with all of them
//! on, neither ever does.

use super::board::Laxity;
use super::model::{Budget, Fate, HandOffModel, explore, small_settings};
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
        mortal: Vec::new(),
        heirs: Vec::new(),
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
        let model = HandOffModel {
            places: 3,
            shards: 1,
            settings,
            budget,
            laxity: None,
            is_durable: false,
        };
        let found = explore(model).expect_err("the model missed a flaw");
        println!("{flaw:?}: {} steps", found.lines().count() - 1);
    }
}

/// The rules of the store and of leases are guards as well.
#[test]
fn the_model_catches_every_rule_of_ownership_that_is_not_kept() {
    let calm = Budget {
        sends: vec![(2, 0, 2)],
        moves: vec![(0, 1)],
        losses: 0,
        duplicates: 0,
        unknown: 0,
        absences: 0,
        hints: false,
        mortal: Vec::new(),
        heirs: vec![2],
    };
    let crash = |place| Budget { mortal: vec![(place, Fate::Crashes)], ..calm.clone() };
    let (sends, mortal) = (vec![(0, 0, 1), (2, 0, 1)], vec![(0, Fate::IsCutOff)]);
    let cut_off = Budget { sends, mortal, ..calm.clone() };
    let unknown = Budget { unknown: 1, ..calm.clone() };
    let cases = [
        (None, Laxity::IgnoresEpoch, false, unknown),
        (None, Laxity::RobsThePresent, false, crash(0)),
        (None, Laxity::GivesToTheAbsent, false, crash(1)),
        (None, Laxity::OutlivesItsLease, false, cut_off.clone()),
        // Where the lease does not hold, the seal must.
        (Some(Flaw::SkipsSeal), Laxity::OutlivesItsLease, true, cut_off),
    ];
    for (flaw, laxity, is_durable, budget) in cases {
        let mut settings = small_settings();
        settings.flaw = flaw;
        let laxity = Some(laxity);
        let model = HandOffModel { places: 3, shards: 1, settings, budget, laxity, is_durable };
        let found = explore(model).expect_err("the model missed a rule that is not kept");
        println!("{laxity:?} {flaw:?}: {} steps", found.lines().count() - 1);
    }
}

/// Messages that name the epoch of an owner before last are told from those of now only after a crash between moves.
#[test]
fn the_model_catches_a_message_of_an_epoch_that_is_over() {
    if std::env::var_os("MAINSPRING_SHARDING_FULL_MODEL").is_none() {
        println!("skipped: it takes minutes; MAINSPRING_SHARDING_FULL_MODEL=1 runs it");
        return;
    }
    let budget = Budget {
        sends: vec![(2, 0, 2)],
        moves: vec![(0, 1), (0, 2), (0, 0)],
        losses: 0,
        duplicates: 0,
        unknown: 0,
        absences: 0,
        hints: false,
        mortal: vec![(1, Fate::Crashes)],
        heirs: vec![2],
    };
    let mut settings = small_settings();
    settings.flaw = Some(Flaw::AcceptsAnyEpoch);
    let model =
        HandOffModel { places: 3, shards: 1, settings, budget, laxity: None, is_durable: false };
    let found = explore(model).expect_err("the model missed a flaw");
    println!("{found}");
}
