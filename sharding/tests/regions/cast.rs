//! The entities that the scenarios are played with, and a node in a simulation that has them.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_sharding::testkit::{
    Acknowledged, Command, MoveStorm, ShardingTest, StormReport, TestRegion, Witness,
};
use mainspring_sharding::{
    Entities, EntityRef, EntityTarget, EntityTellError, EntityType, passivate,
};

/// What a [`Diary`] takes.
#[message]
#[derive(Debug, Clone)]
pub enum Entry {
    /// Writes a number down and tells the listener.
    Note { n: u64 },
    /// Asks to be stopped.
    Rest,
    /// Panics.
    Fail,
    /// Does a command of a storm.
    Do { number: u64, reply_to: ActorRef<Acknowledged> },
    /// Says how much was written down in this life.
    Count { reply_to: ActorRef<Counted> },
}

#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub entries: u64,
}

/// What a diary tells: who wrote what, in which of its lives, on which core.
#[message]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub id: u64,
    pub n: u64,
    pub life: u64,
    pub core: u16,
}

/// An entity that writes down what it gets.
pub struct Diary {
    id: u64,
    life: u64,
    entries: u64,
    listener: ActorRef<Noted>,
    witness: Witness,
}

impl Actor for Diary {
    type Message = Entry;

    fn receive(&mut self, ctx: &mut Context<Self>, entry: &Archived<Entry>) -> Next<Self> {
        match entry {
            ArchivedEntry::Note { n } => {
                self.entries += 1;
                let (n, core) = (n.to_native(), ctx.core());
                ctx.tell(self.listener, &Noted { id: self.id, n, life: self.life, core });
            }
            ArchivedEntry::Do { number, reply_to } => {
                let number = number.to_native();
                self.witness.handled(number);
                ctx.tell(*reply_to, &Acknowledged { number });
            }
            ArchivedEntry::Rest => assert!(passivate(ctx), "a diary is an entity"),
            ArchivedEntry::Fail => panic!("told to"),
            ArchivedEntry::Count { reply_to } => {
                ctx.tell(*reply_to, &Counted { entries: self.entries });
            }
        }
        Next::Same
    }
}

/// What a [`Writer`] is told: to send notes to a diary.
#[message]
pub struct Write {
    pub to: EntityRef<Entry>,
    pub from: u64,
    pub count: u64,
}

/// An actor that sends numbered notes to entities.
pub struct Writer;

impl Actor for Writer {
    type Message = Write;

    fn receive(&mut self, ctx: &mut Context<Self>, write: &Archived<Write>) -> Next<Self> {
        let from = write.from.to_native();
        for n in from..from + write.count.to_native() {
            write.to.tell(ctx, &Entry::Note { n }).expect("there is room");
        }
        Next::Same
    }
}

/// What an [`Editor`] is told.
#[message]
pub struct Edit {
    pub rounds: u64,
}

/// Has a writer write two notes in each of its rounds.
pub struct Editor {
    pub writer: ActorRef<Write>,
    pub to: EntityRef<Entry>,
}

impl Actor for Editor {
    type Message = Edit;

    fn receive(&mut self, ctx: &mut Context<Self>, edit: &Archived<Edit>) -> Next<Self> {
        for round in 0..edit.rounds.to_native() {
            ctx.tell(self.writer, &Write { to: self.to.clone(), from: round * 2, count: 2 });
        }
        Next::Same
    }
}

/// Sends a hundred notes a time, and tells how many of them were refused.
#[derive(Clone)]
pub struct Hurried {
    pub to: EntityRef<Entry>,
    pub told: ActorRef<Counted>,
}

impl Actor for Hurried {
    type Message = Edit;

    fn receive(&mut self, ctx: &mut Context<Self>, edit: &Archived<Edit>) -> Next<Self> {
        let first = edit.rounds.to_native();
        let refused = (first..first + 100)
            .filter(|n| match self.to.tell(ctx, &Entry::Note { n: *n }) {
                Ok(()) => false,
                Err(EntityTellError::Moving) => true,
                Err(error) => panic!("{error}"),
            })
            .count();
        ctx.tell(self.told, &Counted { entries: refused as u64 });
        Next::Same
    }
}

/// A node with diaries: a region under test, and what its diaries tell.
pub struct Library {
    region: TestRegion<Entry>,
    pub diaries: Entities<Entry>,
    pub noted: Probe<Noted>,
    pub witness: Witness,
    lives: Arc<AtomicU64>,
}

impl Deref for Library {
    type Target = TestRegion<Entry>;

    fn deref(&self) -> &Self::Target {
        &self.region
    }
}

impl DerefMut for Library {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.region
    }
}

impl Library {
    pub fn new(sim: Simulation, cores: u16, entity_type: EntityType) -> Self {
        let mut test = ShardingTest::on(sim).cores(cores);
        let noted = test.probe::<Noted>();
        let lives = Arc::new(AtomicU64::new(0));
        let witness = Witness::new();
        let (listener, counted, shown) = (noted.actor(), Arc::clone(&lives), witness.clone());
        let make = move |id: mainspring_sharding::EntityId<'_>| {
            let life = counted.fetch_add(1, Ordering::Relaxed) + 1;
            let id = id.number().expect("diaries have numbers");
            assert_ne!(id, UNMAKEABLE, "this one cannot be made");
            Diary { id, life, entries: 0, listener, witness: shown.clone() }
        };
        let region = test.entities(entity_type, make).expect("a good type");
        let diaries = region.entities().clone();
        Library { region, diaries, noted, witness, lives }
    }

    /// Sends from outside.
    pub fn tell(&mut self, id: u64, entry: &Entry) {
        self.region.tell(id, entry).expect("the node is there");
    }

    /// An id whose shard begins on one of two cores.
    pub fn id_on(&self, core: u16) -> u64 {
        let is_there = |id: &u64| {
            let shard = self.diaries.shard_of(*id).expect("a number is an id");
            shard % 2 == u32::from(core)
        };
        (0..).find(is_there).expect("every core has some")
    }

    /// Everything that was noted by now: id and number, in order.
    pub fn notes(&mut self) -> Vec<(u64, u64)> {
        self.noted().into_iter().map(|noted| (noted.id, noted.n)).collect()
    }

    pub fn noted(&mut self) -> Vec<Noted> {
        (0..self.noted.waiting()).map(|_| self.noted.next()).collect()
    }

    /// How many diaries were begun.
    pub fn lives(&self) -> u64 {
        self.lives.load(Ordering::Relaxed)
    }

    pub fn writer(&mut self, core: u16) -> ActorRef<Write> {
        self.sim.at(0).core(core).spawn(|| Writer)
    }

    pub fn write(&mut self, writer: ActorRef<Write>, id: u64, from: u64, count: u64) {
        let to = self.diaries.entity(id).expect("a number is an id");
        self.sim.tell(writer, &Write { to, from, count });
    }

    /// Commands to diaries while shards move; every promise holds, or the test fails.
    pub fn storm(&mut self, storm: &MoveStorm) -> StormReport {
        let witness = self.witness.clone();
        let of =
            |command: Command| Entry::Do { number: command.number, reply_to: command.reply_to };
        let survived = self.region.move_storm(storm, &witness, of);
        survived.unwrap_or_else(|broken| {
            // A test that makes entities panic may have silenced the hook.
            eprintln!("{broken}");
            panic!("{broken}")
        })
    }
}

/// The number of a diary whose factory panics.
pub const UNMAKEABLE: u64 = u64::MAX;
