//! Which entities ran is in the journal: after a crash they run again, without a message, and nobody else does.

use std::collections::BTreeMap;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::testkit::SimulatedJournals;
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};
use mainspring_sharding::rebalance::{Balance, RebalanceSettings};
use mainspring_sharding::testkit::{ShardingTest, TestRegion};
use mainspring_sharding::{EntityType, RegionFigures, passivate};

/// What a [`Guest`] takes.
#[message]
#[derive(Debug, Clone)]
pub enum Wish {
    /// Stays another night, and says so when that is durable.
    Stay { n: u64, reply_to: ActorRef<Stayed> },
    /// Asks to be stopped.
    Leave,
    /// Fails.
    Fail,
}

#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stayed {
    pub id: u64,
    pub nights: u64,
    pub n: u64,
}

#[event(name = "guest.stayed", version = 1)]
#[derive(Debug)]
pub struct StayedOn {
    pub id: u64,
}

#[events]
pub enum GuestEvent {
    StayedOn(StayedOn),
}

/// An entity with a journal.
#[state(name = "guest", version = 1)]
#[derive(Debug, Default)]
pub struct Guest {
    pub id: u64,
    pub nights: u64,
}

impl EventSourced for Guest {
    type Command = Wish;
    type Event = GuestEvent;

    fn on_command(&self, wish: &Archived<Wish>) -> Effect<Self> {
        match wish {
            ArchivedWish::Stay { n, reply_to } => {
                let n = n.to_native();
                let stayed = move |it: &Self| Stayed { id: it.id, nights: it.nights, n };
                Effect::persist(StayedOn { id: self.id }).then_reply(*reply_to, stayed)
            }
            ArchivedWish::Leave => Effect::none().then_run(|_, ctx| {
                assert!(passivate(ctx), "a guest is an entity");
            }),
            ArchivedWish::Fail => panic!("told to"),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, GuestEvent>) {
        let ArchivedGuestEvent::StayedOn(_) = event;
        self.nights += 1;
    }

    fn on_rejected(&self, _: &Archived<Wish>, _: &PersistRejected) -> Effect<Self> {
        Effect::none()
    }
}

/// A node with guests, and what they have said.
struct Hotel {
    region: TestRegion<Wish>,
    stayed: Probe<Stayed>,
}

impl Hotel {
    fn open(sim: Simulation, journals: &SimulatedJournals, cores: u16, guest: EntityType) -> Self {
        let test = ShardingTest::on(sim).cores(cores).journals(journals);
        let mut test = test.expect("the journals can be read");
        let stayed = test.probe();
        let make = |id: mainspring_sharding::EntityId<'_>| {
            let number = id.number().expect("guests have numbers");
            Persistent::new(id.bytes(), move || Guest { id: number, nights: 0 })
        };
        let region = test.entities(guest, make).expect("a good type");
        Hotel { region, stayed }
    }

    fn stay(&mut self, id: u64) {
        self.stay_for(id, 0);
    }

    fn stay_for(&mut self, id: u64, n: u64) {
        let reply_to = self.stayed.actor();
        self.region.tell(id, &Wish::Stay { n, reply_to }).expect("the node is there");
    }

    fn tell(&mut self, id: u64, wish: &Wish) {
        self.region.tell(id, wish).expect("the node is there");
    }

    fn run_for(&mut self, time: Duration) {
        self.region.sim.run_for(time);
    }

    fn stayed(&mut self) -> Vec<Stayed> {
        (0..self.stayed.waiting()).map(|_| self.stayed.next()).collect()
    }

    /// Who runs, on any core.
    fn running(&self) -> Vec<u64> {
        let number = |id: Vec<u8>| u64::from_be_bytes(id.try_into().expect("guests have numbers"));
        self.region.running().into_iter().map(number).collect()
    }

    fn sum(&mut self, figure: impl Fn(&RegionFigures) -> u64) -> u64 {
        (0..self.region.cores()).map(|core| figure(&self.region.figures(core))).sum()
    }

    /// The power is cut.
    fn crash(self, journals: &SimulatedJournals) {
        drop(self);
        journals.crash();
    }
}

fn guest(shards: u32) -> EntityType {
    EntityType::new("guest")
        .shards(shards)
        .remember(1_000_000)
        .rebalance(RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() })
}

#[test]
fn who_ran_runs_again_after_a_crash_and_who_asked_to_stop_does_not() {
    let journals = SimulatedJournals::seeded(1, 2);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 2, guest(16));
    (0..40).for_each(|id| hotel.stay(id));
    hotel.run_for(Duration::from_millis(50));
    (0..40).step_by(4).for_each(|id| hotel.tell(id, &Wish::Leave));
    hotel.run_for(Duration::from_millis(50));
    assert_eq!(hotel.stayed().len(), 40);
    hotel.crash(&journals);

    let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 2, guest(16));
    hotel.run_for(Duration::from_millis(200));
    let expected: Vec<u64> = (0..40).filter(|id| id % 4 != 0).collect();
    assert_eq!(hotel.running(), expected);
    assert_eq!(hotel.sum(|figures| figures.recalled), 30);
    hotel.stay(3);
    hotel.run_for(Duration::from_millis(50));
    assert_eq!(hotel.stayed(), [Stayed { id: 3, nights: 2, n: 0 }], "and it is the same one");
}

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
        let is_quiet = now > self.told_at + Duration::from_millis(20);
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
        let longest_us = if random.u8(0..20) == 0 { 60_000 } else { 400 };
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
