//! The entities that the scenarios are played with, and a node in a simulation that has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainspring::device::Extension;
use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_sharding::entities::ToEntityKey;
use mainspring_sharding::node::{Directive, MoveEnded, MoveOutcome};
use mainspring_sharding::{
    Entities, EntityRef, EntityTarget, EntityTellError, EntityType, RegionFigures, Sharding,
    passivate,
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
    listener: Option<ActorRef<Noted>>,
}

impl Actor for Diary {
    type Message = Entry;

    fn receive(&mut self, ctx: &mut Context<Self>, entry: &Archived<Entry>) -> Next<Self> {
        match entry {
            ArchivedEntry::Note { n } => {
                self.entries += 1;
                if let Some(listener) = self.listener {
                    let (n, core) = (n.to_native(), ctx.core());
                    ctx.tell(listener, &Noted { id: self.id, n, life: self.life, core });
                }
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

/// A node with diaries.
pub struct Library {
    pub sim: Simulation,
    pub diaries: Entities<Entry>,
    pub noted: Probe<Noted>,
    lives: Arc<AtomicU64>,
}

impl Library {
    pub fn new(sim: Simulation, cores: u16, entity_type: EntityType) -> Self {
        let mut sim = sim.cores(cores);
        let sharding = Sharding::new();
        let noted = sim.probe::<Noted>();
        let lives = Arc::new(AtomicU64::new(0));
        let (listener, counted) = (noted.actor(), Arc::clone(&lives));
        let make = move |id: mainspring_sharding::EntityId<'_>| {
            let life = counted.fetch_add(1, Ordering::Relaxed) + 1;
            let id = id.number().expect("diaries have numbers");
            assert_ne!(id, UNMAKEABLE, "this one cannot be made");
            Diary { id, life, entries: 0, listener: Some(listener) }
        };
        let diaries = sharding.entities(entity_type, make).expect("a good type");
        for core in 0..cores {
            sim.at(0).core(core).install(|seat| sharding.install(seat));
        }
        sim.run_for(Duration::from_millis(1));
        Library { sim, diaries, noted, lives }
    }

    /// Sends from outside.
    pub fn tell(&mut self, id: u64, entry: &Entry) {
        let key = id.to_entity_key().expect("a number is an id");
        let (region, message) = self.diaries.addressed(&key, entry).expect("the node is there");
        self.sim.tell(region, &message);
    }

    /// Lets everything happen that happens soon.
    pub fn settle(&mut self) {
        self.sim.run_for(Duration::from_millis(20));
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

    /// Begins to move a shard; the outcome comes to the probe.
    pub fn begin_move(&mut self, shard: u32, to: u16) -> Probe<MoveEnded> {
        let ended = self.sim.probe::<MoveEnded>();
        let coordinator = self.diaries.coordinator().expect("the node is there");
        let reply_to = Some(ended.actor());
        self.sim.tell(coordinator, &Directive::Move { shard, to, reply_to });
        ended
    }

    /// Moves a shard and waits until it is there.
    pub fn move_shard(&mut self, shard: u32, to: u16) -> MoveOutcome {
        let ended = self.begin_move(shard, to);
        self.settle();
        ended.next().outcome
    }

    pub fn figures(&mut self, core: u16) -> RegionFigures {
        let probe = self.sim.probe::<RegionFigures>();
        let message = self.diaries.ask_figures(probe.actor());
        let region = self.diaries.region(core).expect("the core is there");
        self.sim.tell(region, &message);
        self.settle();
        probe.next()
    }
}

/// The number of a diary whose factory panics.
pub const UNMAKEABLE: u64 = u64::MAX;
