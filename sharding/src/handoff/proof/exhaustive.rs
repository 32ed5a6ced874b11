//! What the model looks at within two minutes, and more with `MAINSPRING_SHARDING_FULL_MODEL=1`.
//!
//! Exhaustive within the budget of each test: three places with one shard under one loss, one duplicate, or both, or
//! one unknown outcome with a target that vanishes and comes back, or with a place that crashes or is cut off; and
//! three places with two shards, with a crash under a loss and a duplicate. All of these at once are more states than a
//! test can hold. Two shards share the list of places, the limit of what is parked and the connections, nothing else.

use super::board::{Laxity, Place};
use super::model::{Budget, Fate, HandOffModel, explore, small_settings};

/// All orders of three places within the budget: every promise holds in every state.
fn explored(shards: u32, budget: Budget) {
    let settings = small_settings();
    let model =
        HandOffModel { places: 3, shards, settings, budget, laxity: None, is_durable: false };
    let budget = model.budget.clone();
    match explore(model) {
        Ok(states) => println!("{states} states of {shards} shards, {budget:?}"),
        Err(broken) => panic!("{shards} shards, {budget:?}: {broken}"),
    }
}

/// One move, and nothing that goes wrong.
fn calm(sends: &[(Place, u32, u8)]) -> Budget {
    Budget {
        sends: sends.to_vec(),
        moves: vec![(0, 1)],
        losses: 0,
        duplicates: 0,
        unknown: 0,
        absences: 0,
        hints: false,
        mortal: Vec::new(),
        heirs: Vec::new(),
    }
}

const FROM_EVERYWHERE: [(Place, u32, u8); 3] = [(0, 0, 1), (1, 0, 1), (2, 0, 1)];

#[test]
fn a_move_under_messages_from_everywhere_and_a_loss() {
    explored(1, Budget { losses: 1, ..calm(&FROM_EVERYWHERE) });
}

#[test]
fn a_move_under_messages_from_everywhere_and_a_duplicate() {
    explored(1, Budget { duplicates: 1, ..calm(&FROM_EVERYWHERE) });
}

#[test]
fn a_move_that_was_announced() {
    explored(1, Budget { hints: true, ..calm(&FROM_EVERYWHERE) });
}

#[test]
fn a_move_under_a_loss_and_a_duplicate() {
    explored(1, Budget { losses: 1, duplicates: 1, ..calm(&[(2, 0, 2)]) });
}

#[test]
fn two_moves_of_one_shard_under_a_loss() {
    explored(1, Budget { moves: vec![(0, 1), (0, 2)], losses: 1, ..calm(&[(2, 0, 1)]) });
}

#[test]
fn two_moves_of_one_shard_under_a_duplicate() {
    explored(1, Budget { moves: vec![(0, 1), (0, 2)], duplicates: 1, ..calm(&[(2, 0, 1)]) });
}

#[test]
fn a_move_that_nobody_knows_the_outcome_of_to_a_place_that_comes_and_goes() {
    explored(1, Budget { losses: 1, unknown: 1, absences: 1, ..calm(&[(2, 0, 2)]) });
}

#[test]
fn two_shards_that_move_at_once() {
    explored(2, Budget { moves: vec![(0, 1), (1, 2)], ..calm(&[(2, 0, 1)]) });
}

/// One place comes to its end; the others take over.
fn with_an_end(mortal: Place, fate: Fate, heirs: &[Place], budget: Budget) -> Budget {
    Budget { mortal: vec![(mortal, fate)], heirs: heirs.to_vec(), ..budget }
}

#[test]
fn an_owner_that_crashes() {
    let still = Budget { moves: Vec::new(), ..calm(&[(1, 0, 1), (2, 0, 2)]) };
    explored(1, with_an_end(0, Fate::Crashes, &[1, 2], still));
}

#[test]
fn an_owner_that_is_cut_off() {
    let still = Budget { moves: Vec::new(), ..calm(&[(0, 0, 1), (2, 0, 2)]) };
    explored(1, with_an_end(0, Fate::IsCutOff, &[1, 2], still));
}

#[test]
fn an_owner_that_crashes_while_it_gives_its_shard_away() {
    explored(1, with_an_end(0, Fate::Crashes, &[2], calm(&[(2, 0, 2)])));
}

#[test]
fn an_owner_that_is_cut_off_while_it_gives_its_shard_away() {
    explored(1, with_an_end(0, Fate::IsCutOff, &[2], calm(&[(0, 0, 1), (2, 0, 1)])));
}

#[test]
fn a_new_owner_that_crashes() {
    explored(1, with_an_end(1, Fate::Crashes, &[0], calm(&[(2, 0, 2)])));
}

#[test]
fn a_new_owner_that_is_cut_off() {
    explored(1, with_an_end(1, Fate::IsCutOff, &[0], calm(&[(1, 0, 1), (2, 0, 1)])));
}

#[test]
fn a_sender_that_crashes() {
    explored(1, with_an_end(2, Fate::Crashes, &[0], calm(&[(2, 0, 2)])));
}

#[test]
fn a_crash_with_a_loss() {
    explored(1, with_an_end(0, Fate::Crashes, &[2], Budget { losses: 1, ..calm(&[(2, 0, 2)]) }));
}

#[test]
fn a_crash_with_a_duplicate() {
    explored(
        1,
        with_an_end(0, Fate::Crashes, &[2], Budget { duplicates: 1, ..calm(&[(2, 0, 2)]) }),
    );
}

#[test]
fn a_crash_with_an_unknown_outcome() {
    explored(1, with_an_end(1, Fate::Crashes, &[2], Budget { unknown: 1, ..calm(&[(2, 0, 2)]) }));
}

/// The journal holds what the lease does not: an owner that wakes late writes nothing after its heir has sealed.
#[test]
fn an_owner_of_a_durable_shard_that_outlives_its_lease() {
    let cut_off = with_an_end(0, Fate::IsCutOff, &[2], calm(&[(0, 0, 1), (2, 0, 1)]));
    let laxity = Some(Laxity::OutlivesItsLease);
    let (settings, budget) = (small_settings(), cut_off);
    let model = HandOffModel { places: 3, shards: 1, settings, budget, laxity, is_durable: true };
    println!("{} states", explore(model).unwrap_or_else(|broken| panic!("{broken}")));
}

#[test]
fn two_shards_one_of_which_moves_from_a_place_that_crashes_under_a_loss_and_a_duplicate() {
    let moved = Budget { losses: 1, duplicates: 1, ..calm(&[(2, 0, 1)]) };
    explored(2, with_an_end(0, Fate::Crashes, &[2], moved));
}

#[test]
fn two_shards_one_of_which_moves_to_the_owner_of_the_other_which_crashes_under_a_loss() {
    let moved = Budget { losses: 1, ..calm(&[(2, 0, 1)]) };
    explored(2, with_an_end(1, Fate::Crashes, &[2], moved));
}

#[test]
fn two_shards_with_messages_one_of_which_moves_to_the_owner_of_the_other_which_crashes() {
    let moved = calm(&[(2, 0, 1), (2, 1, 1)]);
    explored(2, with_an_end(1, Fate::Crashes, &[2], moved));
}

/// The budgets of the other tests one step further.
#[test]
fn the_largest_of_all_models() {
    if std::env::var_os("MAINSPRING_SHARDING_FULL_MODEL").is_none() {
        println!("skipped: it takes minutes; MAINSPRING_SHARDING_FULL_MODEL=1 runs it");
        return;
    }
    let both = Budget { moves: vec![(0, 1), (1, 2)], ..calm(&[(2, 0, 1)]) };
    explored(2, Budget { losses: 1, ..both.clone() });
    explored(2, Budget { duplicates: 1, ..both });
    let moved = Budget { losses: 1, duplicates: 1, ..calm(&[(2, 0, 1)]) };
    explored(2, with_an_end(1, Fate::Crashes, &[2], moved));
}
