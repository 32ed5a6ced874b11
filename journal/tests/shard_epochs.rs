//! Whoever takes a shard over raises its epoch in the journal: who wrote for it before is refused from then on, and
//! what he has written is durable when the epoch is.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::device::{CommitFailed, Committed, CoreJournal, Refused};
use mainspring_journal::directory::segment_name;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::{PersistRejected, PersistenceSettings, Retention};
use mainspring_journal::testkit::SimulatedJournal;
use mainspring_journal::tool;
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};

#[message]
enum Command {
    Add { amount: u64, reply_to: ActorRef<Answer> },
}

#[message]
#[derive(Debug, PartialEq)]
enum Answer {
    Total { total: u64 },
    Fenced,
    Sealed,
    Refused { by: u64 },
}

#[event(name = "counter.added", version = 1)]
struct Added {
    amount: u64,
    padding: Vec<u8>,
}

#[events]
enum CounterEvent {
    Added(Added),
}

#[state(name = "counter", version = 1)]
#[derive(Default)]
struct Counter {
    total: u64,
}

impl EventSourced for Counter {
    type Command = Command;
    type Event = CounterEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        let ArchivedCommand::Add { amount, reply_to } = command;
        Effect::persist(Added { amount: amount.to_native(), padding: vec![7; 2_000] })
            .then_reply(*reply_to, |counter: &Self| Answer::Total { total: counter.total })
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, CounterEvent>) {
        let ArchivedCounterEvent::Added(added) = event;
        self.total += added.amount.to_native();
    }

    fn on_rejected(&self, command: &Archived<Command>, reason: &PersistRejected) -> Effect<Self> {
        let ArchivedCommand::Add { reply_to, .. } = command;
        assert!(reason.is_fenced(), "{reason}");
        Effect::reply(*reply_to, Answer::Fenced)
    }

    fn settings(journal: PersistenceSettings) -> PersistenceSettings {
        PersistenceSettings { snapshot_every: 50, ..journal }
    }
}

#[message]
struct Seal {
    shard: u32,
    epoch: u64,
    reply_to: ActorRef<Answer>,
}

/// Raises epochs and says so when they are durable.
struct Keeper {
    reply_to: Option<ActorRef<Answer>>,
}

impl Keeper {
    fn sealed(
        &mut self,
        ctx: &mut Context<'_, Self>,
        outcome: Result<Committed, CommitFailed>,
    ) -> Next<Self> {
        if let (Ok(_), Some(reply_to)) = (outcome, self.reply_to.take()) {
            ctx.tell(reply_to, &Answer::Sealed);
        }
        Next::Same
    }
}

impl Actor for Keeper {
    type Message = Seal;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, seal: &Archived<Seal>) -> Next<Self> {
        let journal = ctx.shared::<CoreJournal>().expect("a journal");
        let (shard, epoch) = (seal.shard.to_native(), seal.epoch.to_native());
        match journal.raise_epoch(ctx.now_ns(), shard, epoch) {
            Ok(place) => {
                self.reply_to = Some(seal.reply_to);
                let ticket = ctx.ticket(Self::sealed);
                ctx.suspend_until(&ticket);
                journal.wait(place, ticket);
            }
            Err(Refused::Fenced { by, .. }) => ctx.tell(seal.reply_to, &Answer::Refused { by }),
            Err(refused) => panic!("{refused}"),
        }
        Next::Same
    }
}

struct Core {
    sim: Simulation,
    journal: std::rc::Rc<CoreJournal>,
    keeper: ActorRef<Seal>,
}

impl Core {
    fn start(journal: &SimulatedJournal, seed: u64) -> Core {
        let mut sim = Simulation::seeded(seed);
        let journal = journal.install(&sim.at(0)).expect("a journal that can be opened");
        sim.run_for(Duration::from_millis(5));
        let keeper = sim.spawn(|| Keeper { reply_to: None });
        sim.run_for(Duration::from_millis(1));
        Core { sim, journal, keeper }
    }

    fn counter(&mut self, id: u64) -> ActorRef<Command> {
        let counter = self.sim.at(0).spawn(move || Persistent::new(id, Counter::default));
        self.sim.run_for(Duration::from_millis(50));
        counter
    }

    fn tell_add(&mut self, to: ActorRef<Command>, amount: u64) -> Probe<Answer> {
        let probe = self.sim.probe();
        self.sim.tell(to, &Command::Add { amount, reply_to: probe.actor() });
        probe
    }

    fn tell_seal(&mut self, shard: u32, epoch: u64) -> Probe<Answer> {
        let probe = self.sim.probe();
        self.sim.tell(self.keeper, &Seal { shard, epoch, reply_to: probe.actor() });
        probe
    }

    fn add(&mut self, to: ActorRef<Command>, amount: u64) -> Option<Answer> {
        let probe = self.tell_add(to, amount);
        self.answer(&probe)
    }

    fn seal(&mut self, shard: u32, epoch: u64) -> Option<Answer> {
        let probe = self.tell_seal(shard, epoch);
        self.answer(&probe)
    }

    fn answer(&mut self, probe: &Probe<Answer>) -> Option<Answer> {
        self.sim.run_for(Duration::from_millis(50));
        (probe.waiting() > 0).then(|| probe.next())
    }

    fn epoch(&self, shard: u32) -> u64 {
        self.journal.claim(shard).epoch
    }
}

/// The only shard of the journals here that have one.
const SHARD: u32 = 0;

fn journal(seed: u64) -> SimulatedJournal {
    let mut journal = SimulatedJournal::seeded(seed);
    journal.shard_count = 1;
    journal
}

fn total(total: u64) -> Option<Answer> {
    Some(Answer::Total { total })
}

#[test]
fn who_wrote_under_an_earlier_epoch_is_refused_and_stops_and_the_next_owner_goes_on() {
    let journal = journal(1);
    let mut core = Core::start(&journal, 1);
    let before = core.counter(7);
    assert_eq!((core.add(before, 5), core.epoch(SHARD)), (total(5), 1));
    assert_eq!(core.seal(SHARD, 4), Some(Answer::Sealed));
    assert_eq!((core.add(before, 1), core.epoch(SHARD)), (Some(Answer::Fenced), 4));
    // It has stopped: nobody answers.
    assert_eq!(core.add(before, 1), None);
    let after = core.counter(7);
    assert_eq!(core.add(after, 2), total(7));
    drop(core);
    journal.crash();
    let mut core = Core::start(&journal, 2);
    assert_eq!(core.epoch(SHARD), 4);
    let after = core.counter(7);
    assert_eq!(core.add(after, 1), total(8));
}

#[test]
fn an_epoch_is_never_lowered_and_may_be_said_once_more() {
    let journal = SimulatedJournal::seeded(2);
    let mut core = Core::start(&journal, 3);
    assert_eq!(core.seal(3, 9), Some(Answer::Sealed));
    assert_eq!(core.seal(3, 8), Some(Answer::Refused { by: 9 }));
    assert_eq!(core.seal(3, 9), Some(Answer::Sealed));
    assert_eq!(core.seal(4, u64::MAX), Some(Answer::Sealed));
    let refused = core.journal.raise_epoch(0, 16, 2).expect_err("there is no such shard");
    assert_eq!(refused, Refused::Shard { shard: 16, count: 16 });
    drop(core);
    journal.crash();
    let core = Core::start(&journal, 4);
    assert_eq!([2, 3, 4].map(|shard| core.epoch(shard)), [1, 9, u64::MAX]);
}

#[test]
fn an_epoch_is_known_from_footers_and_frames_and_when_its_segment_was_given_back() {
    for retention in [Retention::KeepAll, Retention::ToSnapshot] {
        let mut journal = SimulatedJournal::seeded(5);
        journal.core.persistence.retention = retention;
        let mut core = Core::start(&journal, 5);
        // The counter is of one of the two at most; of the other one there is nothing but the epoch.
        for shard in [14, 15] {
            assert_eq!(core.seal(shard, 3), Some(Answer::Sealed));
        }
        let counter = core.counter(7);
        for step in 1..=700 {
            assert_eq!(core.add(counter, 1), total(step));
        }
        let is_given_back = core.journal.figures().segments_dropped > 0;
        assert_eq!(is_given_back, retention == Retention::ToSnapshot);
        assert!(is_given_back || journal.footers() > 0, "the segment with the epochs is sealed");
        drop(core);
        for life in 0..2 {
            journal.crash();
            let core = Core::start(&journal, 6 + life);
            assert_eq!([13, 14, 15].map(|shard| core.epoch(shard)), [1, 3, 3]);
            drop(core);
            journal.lose_footers();
        }
    }
}

#[test]
fn an_epoch_that_was_confirmed_outlives_a_crash_with_all_that_was_taken_before() {
    let (mut confirmed, mut lost) = (0, 0);
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let journal = journal(seed);
        let mut core = Core::start(&journal, seed);
        let counter = core.counter(7);
        let added = core.tell_add(counter, 1);
        core.sim.run_for(Duration::from_nanos(random.u64(0..60_000)));
        let is_taken = core.journal.figures().groups > 0;
        let sealed = core.tell_seal(SHARD, 2);
        core.sim.run_for(Duration::from_nanos(random.u64(0..120_000)));
        let is_sealed = sealed.waiting() > 0;
        let is_added = added.waiting() > 0;
        let is_before = core.journal.claim(SHARD).epoch == 2;
        drop(core);
        journal.crash();
        let mut core = Core::start(&journal, seed + 1_000);
        let epoch = core.epoch(SHARD);
        assert!(epoch == 2 || !is_sealed, "seed {seed}: a confirmed epoch is gone");
        assert!(epoch == 1 || is_before, "seed {seed}: an epoch that nobody has raised");
        let counter = core.counter(7);
        let Some(Answer::Total { total }) = core.add(counter, 0) else { panic!("seed {seed}") };
        assert!(total == 1 || !is_added, "seed {seed}: an answered event is gone");
        let is_kept = total == 1 || !is_taken || !is_sealed;
        assert!(is_kept, "seed {seed}: an event that was taken before the epoch is gone");
        confirmed += u32::from(is_sealed && is_taken);
        lost += u32::from(is_before && epoch == 1);
    }
    assert!(confirmed > 10 && lost > 10, "{confirmed} confirmed, {lost} lost");
}

#[test]
fn the_command_line_finds_nothing_wrong_with_an_epoch_and_saves_it() {
    let journal = journal(8);
    let mut core = Core::start(&journal, 8);
    let counter = core.counter(7);
    assert_eq!(core.add(counter, 1), total(1));
    assert_eq!(core.seal(SHARD, 6), Some(Answer::Sealed));
    drop(core);
    let folder = std::env::temp_dir().join(format!("shard-epochs-{}", std::process::id()));
    // What an earlier run left, if anything.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("log")).expect("a folder");
    let disk = journal.disk();
    for file in disk.file_names() {
        let path = folder.join("log").join(segment_name(file));
        std::fs::write(path, disk.bytes(file)).expect("a file");
    }
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    let printed = |arguments: &[&str]| {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let arguments = ["mainspring-journal"].into_iter().chain(arguments.iter().copied());
        let code = tool::run(arguments.map(Into::into), &mut out, &mut errors);
        assert_eq!((code, String::from_utf8(errors).as_deref()), (0, Ok("")));
        String::from_utf8(out).expect("text")
    };
    for command in ["verify", "scrub", "info"] {
        printed(&[command, &path("log")]);
    }
    printed(&["salvage", &path("log"), &path("saved")]);
    let saved = printed(&["dump", &path("saved")]);
    assert!(saved.contains("shard 0/2 epoch 6"), "{saved}");
    std::fs::remove_dir_all(&folder).expect("it is there");
}
