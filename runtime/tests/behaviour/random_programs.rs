//! Random programs of actors that spawn, tell, stop, watch, ask and set timers keep the books balanced.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;

use crate::actors::{Puppet, quietly};

/// What all actors of a program did, as they count it themselves.
#[derive(Default)]
struct Books {
    known: Vec<ActorRef<Job>>,
    sent: u64,
    handled: u64,
    failed: u64,
    started: u64,
    asked: u64,
    answered: u64,
    /// Watches that were begun, and ends that were told, by watcher and watched.
    watches: BTreeMap<(Address, Address), (u64, u64)>,
}

#[message]
enum Job {
    Act {
        left: u32,
    },
    Question {
        reply_to: ActorRef<Done>,
    },
    /// From a timer, which is not counted.
    Tick,
}

#[message]
struct Done;

struct Worker {
    books: Rc<RefCell<Books>>,
}

impl Worker {
    fn someone(&self, ctx: &mut Context<Self>) -> ActorRef<Job> {
        let books = self.books.borrow();
        books.known[ctx.random() as usize % books.known.len()]
    }

    fn tell(&self, ctx: &mut Context<Self>, left: u32) {
        let to = self.someone(ctx);
        if ctx.try_tell(to, &Job::Act { left }).is_ok() {
            self.books.borrow_mut().sent += 1;
        }
    }

    fn act(&mut self, ctx: &mut Context<Self>, left: u32) -> Next<Self> {
        for _ in 0..1 + ctx.random() % 2 {
            self.tell(ctx, left - 1);
        }
        match ctx.random() % 12 {
            0 => {
                let books = Rc::clone(&self.books);
                let policy: OnFailure = match ctx.random() % 3 {
                    0 => OnFailure::Stop,
                    1 => OnFailure::Escalate,
                    _ => Restart::at_most(2).into(),
                };
                let child = ctx
                    .spawn(move || Worker { books: Rc::clone(&books) })
                    .on_failure(policy)
                    .start();
                self.books.borrow_mut().known.push(child);
            }
            1 => {
                let whom = self.someone(ctx);
                ctx.stop(whom);
            }
            2 | 3 => {
                let whom = self.someone(ctx);
                let mut books = self.books.borrow_mut();
                // One watch of each pair is enough to count by.
                books.watches.entry((ctx.me().address(), whom.address())).or_insert_with(|| {
                    ctx.watch(whom);
                    (1, 0)
                });
            }
            4 | 5 => {
                let whom = self.someone(ctx);
                let ask = |reply_to| Job::Question { reply_to };
                let asked = ctx.ask(whom, ask, Duration::from_millis(2), Self::on_done);
                if left.is_multiple_of(2) {
                    asked.exclusive();
                }
                let mut books = self.books.borrow_mut();
                books.sent += 1;
                books.asked += 1;
            }
            6 => {
                let key = ctx.random() % 3;
                ctx.timer(key).after(Duration::from_micros(50), &Job::Tick);
            }
            7 => return Next::Stop,
            _ => {}
        }
        Next::Same
    }

    fn on_done(
        &mut self,
        _: &mut Context<Self>,
        _: Result<&Archived<Done>, AskError>,
    ) -> Next<Self> {
        self.books.borrow_mut().answered += 1;
        Next::Same
    }
}

impl Actor for Worker {
    type Message = Job;

    fn started(&mut self, _: &mut Context<Self>) -> Next<Self> {
        self.books.borrow_mut().started += 1;
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, job: &Archived<Job>) -> Next<Self> {
        match job {
            ArchivedJob::Question { reply_to } => {
                self.books.borrow_mut().handled += 1;
                ctx.tell(*reply_to, &Done);
                Next::Same
            }
            ArchivedJob::Tick => Next::Same,
            ArchivedJob::Act { left } if left.to_native() == 0 => {
                self.books.borrow_mut().handled += 1;
                Next::Same
            }
            ArchivedJob::Act { left } => {
                // Before anything else is done or counted: what a failed turn did must not be in the books.
                if ctx.random().is_multiple_of(20) {
                    self.books.borrow_mut().failed += 1;
                    return Next::Fault;
                }
                self.books.borrow_mut().handled += 1;
                self.act(ctx, left.to_native())
            }
        }
    }

    fn signal(&mut self, ctx: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor, .. } = signal {
            let pair = (ctx.me().address(), *actor);
            self.books.borrow_mut().watches.entry(pair).or_default().1 += 1;
        }
        Next::Same
    }
}

#[test]
fn the_books_of_random_programs_are_balanced() {
    quietly();
    let mut failures = 0;
    let mut ends = 0;
    Simulation::for_seeds(1..=80, |sim| {
        let mut sim = sim.cores(3);
        let books = Rc::new(RefCell::new(Books::default()));
        for core in 0..6 {
            let shared = Rc::clone(&books);
            let factory = move || Worker { books: Rc::clone(&shared) };
            let worker = sim
                .at(0)
                .core(core % 3)
                .spawn_with(factory, |spawn| spawn.on_failure(Restart::at_most(3)).start());
            books.borrow_mut().known.push(worker);
        }
        let first = books.borrow().known.clone();
        for worker in first {
            sim.tell(worker, &Job::Act { left: 8 });
            books.borrow_mut().sent += 1;
        }
        let seed = sim.seed();
        sim.at(0).core(1).stall(Duration::from_micros(seed % 30));
        sim.at(0).core(2).delay_ring_to(0, Duration::from_micros(seed % 20));
        sim.run_for(Duration::from_millis(20));
        let books = books.borrow();
        // Every message was handled, failed its turn, or is a dead letter on its way to an actor's own port.
        let lost = |line: &&str| {
            let reasons = ["no_actor", "stopping", "stash_full", "full"];
            line.ends_with(":0") && reasons.iter().any(|r| line.contains(&format!("letter {r} ")))
        };
        let lost = sim.trace().lines().filter(lost).count() as u64;
        assert_eq!(sim.dead_letters(Reason::TurnFailed), books.failed, "seed {seed}");
        assert_eq!(books.handled + books.failed + lost, books.sent, "seed {seed}");
        assert!(books.answered <= books.asked, "seed {seed}");
        for (pair, (begun, told)) in &books.watches {
            assert!(told <= begun, "seed {seed}: {pair:?} told {told} times");
        }
        expect_balanced_places(&mut sim);
        expect_one_end_of_each(&mut sim, &books.known);
        expect_balanced_places(&mut sim);
        failures += books.failed;
        ends += books.watches.values().map(|(_, told)| told).sum::<u64>();
    });
    assert!(failures > 100 && ends > 100, "the programs do too little: {failures}, {ends}");
}

/// As many actors live as were made and are not gone.
fn expect_balanced_places(sim: &mut Simulation) {
    let cores: Vec<_> = (0..3).map(|core| sim.at(0).core(core).counters()).collect();
    let spawned: u64 = cores.iter().map(|core| core.spawned).sum();
    let stopped: u64 = cores.iter().map(|core| core.stopped).sum();
    assert_eq!(sim.actors() as u64, spawned - stopped, "seed {}", sim.seed());
}

/// Whoever watches all actors of a program, dead ones too, is told of the end of each, once.
fn expect_one_end_of_each(sim: &mut Simulation, known: &[ActorRef<Job>]) {
    let ends = Rc::new(RefCell::new(BTreeMap::<Address, u64>::new()));
    let (all, seen) = (known.to_vec(), Rc::clone(&ends));
    sim.spawn(move || {
        let (all, ends) = (all.clone(), Rc::clone(&seen));
        Puppet::idle()
            .on_start(move |ctx| {
                all.iter().for_each(|actor| ctx.watch(*actor));
                Next::Same
            })
            .on_signal(move |_, signal| {
                if let Signal::Terminated { actor, .. } = signal {
                    *ends.borrow_mut().entry(*actor).or_default() += 1;
                }
                Next::Same
            })
    });
    sim.run_until_idle();
    for actor in known {
        sim.stop(*actor);
    }
    sim.run_until_idle();
    let ends = ends.borrow();
    assert!(ends.values().all(|times| *times == 1), "seed {}", sim.seed());
    assert_eq!(ends.len(), known.len(), "seed {}", sim.seed());
}
