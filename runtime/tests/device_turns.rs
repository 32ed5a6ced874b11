//! Turns that devices ask for, and things outside the core that have their part in a turn.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use mainspring::device::{Device, DeviceTurn, Enlisted, Seat, Ticket, TurnEnd};
use mainspring::prelude::*;
use mainspring::testkit::Simulation;

/// What a test and its device leave for each other.
#[derive(Default)]
struct Desk {
    actor: Cell<Option<ActorRef<Word>>>,
    words: RefCell<Vec<&'static str>>,
    ends: RefCell<Vec<TurnEnd>>,
    free: Cell<u32>,
    ticket: RefCell<Option<Ticket<()>>>,
    redeems: Cell<bool>,
}

struct DeskDevice(Rc<Desk>);

impl Device for DeskDevice {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let words = std::mem::take(&mut *self.0.words.borrow_mut());
        let Some(actor) = self.0.actor.get() else { return 0 };
        for word in &words {
            let end = turn.run::<Clerk>(actor, |clerk, ctx| clerk.hear(ctx, word));
            assert_eq!(end == TurnEnd::Busy, turn.is_busy(actor) && *word != "wait");
            if end == TurnEnd::Busy {
                let desk = Rc::clone(&self.0);
                turn.when_free(actor, move || desk.free.set(desk.free.get() + 1));
            }
            self.0.ends.borrow_mut().push(end);
        }
        if self.0.redeems.take()
            && let Some(ticket) = self.0.ticket.borrow_mut().take()
        {
            turn.redeem(ticket, ());
        }
        words.len()
    }

    fn has_work(&mut self) -> bool {
        !self.0.words.borrow().is_empty() || self.0.redeems.get()
    }
}

/// Counts how the turns that it was enlisted in have ended.
#[derive(Default)]
struct Tally {
    committed: Cell<u32>,
    aborted: Cell<u32>,
}

impl Enlisted for Tally {
    fn committed(&self) {
        self.committed.set(self.committed.get() + 1);
    }

    fn aborted(&self) {
        self.aborted.set(self.aborted.get() + 1);
    }
}

#[message]
struct Word;

struct Clerk {
    desk: Rc<Desk>,
    tally: Rc<Tally>,
    heard: Rc<RefCell<Vec<String>>>,
}

impl Actor for Clerk {
    type Message = Word;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Word>) -> Next<Self> {
        Next::Same
    }

    fn started(&mut self, _: &mut Context<Self>) -> Next<Self> {
        self.heard.borrow_mut().push("(started)".to_owned());
        Next::Same
    }
}

impl Clerk {
    fn hear(&mut self, ctx: &mut Context<Self>, word: &str) -> Next<Self> {
        self.heard.borrow_mut().push(word.to_owned());
        ctx.enlist(self.tally.clone());
        match word {
            "panic" => panic!("a word that this clerk does not survive"),
            "stop" => Next::Stop,
            "fault" => Next::Fault,
            "wait" => {
                let ticket = ctx.ticket(|_: &mut Clerk, _, ()| Next::Same);
                ctx.suspend_until(&ticket);
                self.desk.ticket.replace(Some(ticket));
                Next::Same
            }
            _ => Next::Same,
        }
    }
}

/// A clerk that has heard these words from its device; what it heard, how the turns ended, and the tally.
fn told(words: &[&'static str]) -> (Vec<String>, Vec<TurnEnd>, (u32, u32)) {
    let mut office = Office::open();
    office.say(words);
    let ends = office.desk.ends.take();
    (office.heard.take(), ends, (office.tally.committed.get(), office.tally.aborted.get()))
}

struct Office {
    sim: Simulation,
    desk: Rc<Desk>,
    tally: Rc<Tally>,
    heard: Rc<RefCell<Vec<String>>>,
}

impl Office {
    fn open() -> Office {
        let mut sim = Simulation::seeded(11);
        let (desk, tally) = (Rc::new(Desk::default()), Rc::new(Tally::default()));
        let heard = Rc::new(RefCell::default());
        let device = Rc::clone(&desk);
        sim.at(0).install(move |seat: &mut Seat<'_>| seat.add_device(Box::new(DeskDevice(device))));
        let clerk = (Rc::clone(&desk), Rc::clone(&tally), Rc::clone(&heard));
        let actor = sim.spawn(move || {
            let (desk, tally, heard) = (clerk.0.clone(), clerk.1.clone(), clerk.2.clone());
            Clerk { desk, tally, heard }
        });
        desk.actor.set(Some(actor));
        Office { sim, desk, tally, heard }
    }

    fn say(&mut self, words: &[&'static str]) {
        self.desk.words.borrow_mut().extend(words);
        self.sim.run_for(Duration::from_millis(1));
    }
}

#[test]
fn a_device_runs_turns_of_an_actor_that_starts_before_them() {
    let (heard, ends, tally) = told(&["one", "two"]);
    assert_eq!(heard, ["(started)", "one", "two"]);
    assert_eq!(ends, [TurnEnd::Ran; 2]);
    assert_eq!(tally, (2, 0));
}

#[test]
fn a_turn_that_fails_or_stops_is_told_and_the_next_finds_nobody() {
    for failing in ["panic", "fault"] {
        let (_, ends, tally) = told(&["one", failing, "three"]);
        assert_eq!(ends, [TurnEnd::Ran, TurnEnd::Failed, TurnEnd::Gone], "{failing}");
        assert_eq!(tally, (1, 1), "{failing}");
    }
    let (_, ends, tally) = told(&["stop", "two"]);
    assert_eq!(ends, [TurnEnd::Ran, TurnEnd::Gone]);
    assert_eq!(tally, (1, 0));
}

#[test]
fn a_busy_actor_has_no_turn_and_says_when_it_is_free() {
    let mut office = Office::open();
    office.say(&["wait", "two"]);
    assert_eq!(*office.desk.ends.borrow(), [TurnEnd::Ran, TurnEnd::Busy]);
    assert_eq!(office.desk.free.get(), 0);
    office.desk.redeems.set(true);
    office.sim.run_for(Duration::from_millis(1));
    assert_eq!(office.desk.free.get(), 1);
    office.say(&["three"]);
    assert_eq!(*office.heard.borrow(), ["(started)", "wait", "three"]);
}
