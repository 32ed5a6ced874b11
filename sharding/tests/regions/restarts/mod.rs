//! Which entities ran is in the journal: after a restart they run again, without a message, and nobody else does.

mod crashes;
mod scenarios;
mod trouble;

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
