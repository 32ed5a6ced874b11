//! Random wishes and moves, and the power is cut at any moment: the promise of the page on entities.

use std::collections::BTreeMap;
use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_journal::testkit::SimulatedJournals;

use super::{Hotel, Wish, guest};

/// What a test knows of a guest.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// The numbers of the last wishes of either kind, and of the last stay that was acknowledged; 0 for none.
    stay: u64,
    leave: u64,
    acknowledged: u64,
    /// When it was told something last.
    told_at: Duration,
    /// What was known when the life before ended.
    earlier: Option<bool>,
}

impl Known {
    /// Whether it has to run after a restart; none when either is right.
    fn must_run(&self, runs: bool, now: Duration) -> Option<bool> {
        let is_quiet = now > self.told_at + Duration::from_millis(80);
        match self {
            Known { stay: 0, leave: 0, earlier, .. } => *earlier,
            Known { leave: 0, acknowledged: 1.., .. } => Some(true),
            Known { leave: 0, earlier: Some(true), .. } => Some(true),
            // One that is asked while it leaves may still answer, and not run any more.
            known if known.stay > known.leave && is_quiet && runs => Some(true),
            known if known.leave > known.stay && is_quiet && !runs => Some(false),
            _ => None,
        }
    }
}

/// Random wishes and moves for a while, and then the power is cut.
fn a_life(
    hotel: &mut Hotel,
    known: &mut BTreeMap<u64, Known>,
    random: &mut fastrand::Rng,
    number: &mut u64,
) {
    let (cores, shards) = (hotel.region.cores(), hotel.region.entities().shard_count());
    for _ in 0..random.u32(1..120) {
        *number += 1;
        let id = random.u64(0..24);
        let of_id = known.entry(id).or_default();
        let told_at = hotel.region.sim.now();
        match random.u8(0..12) {
            0..7 => {
                (of_id.stay, of_id.told_at) = (*number, told_at);
                hotel.stay_for(id, *number);
            }
            7..11 => {
                (of_id.leave, of_id.told_at) = (*number, told_at);
                hotel.tell(id, &Wish::Leave);
            }
            _ => {
                hotel.region.begin_move(random.u32(0..shards), random.u16(0..cores));
            }
        }
        let longest_us = if random.u8(0..20) == 0 { 200_000 } else { 400 };
        hotel.run_for(Duration::from_micros(random.u64(0..longest_us)));
    }
    for stayed in hotel.stayed() {
        let of_id = known.entry(stayed.id).or_default();
        of_id.acknowledged = of_id.acknowledged.max(stayed.n);
    }
}

/// What was found out about the guests of one seed: how many had to run, and how many must not.
fn lives_of(sim: &Simulation) -> (usize, usize) {
    let seed = sim.seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let nodes = [(1, 4), (2, 16), (2, 5), (3, 6), (3, 16)];
    let (cores, shards) = nodes[random.usize(0..nodes.len())];
    let journals = SimulatedJournals::seeded(seed, cores);
    for core in 0..cores {
        let write_ns = random.u64(10_000..2_000_000);
        journals.core(core).set_conduct(|conduct| conduct.write_ns = write_ns);
    }
    let (mut known, mut number) = (BTreeMap::<u64, Known>::new(), 0);
    let (mut had_to, mut must_not) = (0, 0);
    for life in 0..4 {
        let sim = Simulation::seeded(seed + life * 1_000_000);
        let mut hotel = Hotel::open(sim, &journals, cores, guest(shards));
        for (from, to) in (0..cores).flat_map(|from| (0..cores).map(move |to| (from, to))) {
            if from != to && random.bool() {
                let delay = Duration::from_micros(random.u64(0..3_000));
                hotel.region.sim.at(0).core(from).delay_ring_to(to, delay);
            }
        }
        if life == 3 || random.bool() {
            hotel.run_for(Duration::from_millis(400));
            let running = hotel.running();
            assert!(running.windows(2).all(|two| two[0] < two[1]), "twice: {running:?}");
            for (id, of_id) in &mut known {
                let (must, runs) = (of_id.earlier, running.contains(id));
                assert!(must.is_none_or(|must| must == runs), "{id} in {life}: {of_id:?}, {runs}");
                had_to += usize::from(must == Some(true));
                must_not += usize::from(must == Some(false));
                of_id.earlier = Some(runs);
            }
        }
        a_life(&mut hotel, &mut known, &mut random, &mut number);
        let (running, now) = (hotel.running(), hotel.region.sim.now());
        hotel.crash(&journals);
        for (id, of_id) in &mut known {
            let earlier = of_id.must_run(running.contains(id), now);
            *of_id = Known { earlier, ..Known::default() };
        }
    }
    (had_to, must_not)
}

#[test]
fn after_any_crash_all_who_were_answered_run_again_and_nobody_who_has_left() {
    let (mut had_to, mut must_not) = (0, 0);
    Simulation::for_seeds(1..=150, |sim| {
        let (more_had_to, more_must_not) = lives_of(&sim);
        (had_to, must_not) = (had_to + more_had_to, must_not + more_must_not);
    });
    assert!(had_to > 1_500 && must_not > 500, "{had_to} had to run, {must_not} must not");
}
