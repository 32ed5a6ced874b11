//! Orders and their services on a simulated journal: power cuts, lost requests, a full disk.

use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Probe, Simulation};
use mainspring_journal::Persistent;
use mainspring_journal::testkit::SimulatedJournal;

use super::clerk::{Clerk, ClerkMessage, Progress, Work};
use super::desk::{Desk, DeskMessage};
use super::details::Details;
use super::ledger::{Ledger, LedgerCommand, Statement};
use super::mark::{self, Mark};
use super::order::{Description, Order, OrderCommand, Outcome, Phase};
use super::proof::{Books, Proof};
use super::service::{Request, Service};
use super::step::{Key, Step};

/// A shop in one life of a simulated process.
struct Shop {
    sim: Simulation,
    ledgers: Vec<(Step, Vec<ActorRef<LedgerCommand>>)>,
    desk: ActorRef<DeskMessage>,
}

impl Shop {
    fn open(journal: &SimulatedJournal, seed: u64, orders: u64) -> Shop {
        let mut sim = Simulation::seeded(seed);
        journal.install(&sim.at(0)).expect("a journal that can be opened");
        let ledgers = Step::ALL.map(|step| {
            let start = step.opening_balance(orders);
            let ledgers = (0..step.ledgers()).map(|number| {
                let id = format!("{}/{number}", step.service());
                sim.spawn(move || Persistent::new(id.clone(), move || Ledger::holding(start)))
            });
            (step, ledgers.collect())
        });
        let desk = sim.spawn(Desk::default);
        Shop { sim, ledgers: ledgers.into(), desk }
    }

    fn begin(&mut self, seed: u64, orders: u64, window: u64) -> ActorRef<ClerkMessage> {
        for (step, ledgers) in self.ledgers.clone() {
            self.sim.spawn(move || Service::new(step.service(), seed, ledgers.clone()));
        }
        let mark = self.sim.spawn(|| Persistent::new(mark::ID, Mark::default));
        let (desks, core_of) = (vec![self.desk], Arc::new(|_| 0));
        let work = Work { seed, orders, window, desks, core_of, mark };
        self.sim.spawn(move || Clerk::new(work.clone()))
    }

    fn ended(&mut self, clerk: ActorRef<ClerkMessage>) -> u64 {
        let probe = self.sim.probe::<Progress>();
        self.sim.tell(clerk, &ClerkMessage::Progress { reply_to: probe.actor() });
        self.sim.run_for(Duration::from_millis(1));
        // While its mark recovers, the clerk has no answer.
        if probe.waiting() == 0 { 0 } else { probe.next().ended }
    }

    fn prove(&mut self, orders: u64) -> Proof {
        let mut books = Books::default();
        for (step, ledgers) in self.ledgers.clone() {
            for (number, ledger) in (0..).zip(ledgers) {
                let ask = |reply_to| LedgerCommand::Statement { reply_to };
                let statement: Statement = self.ask(ledger, ask);
                books.add_ledger(step, number, &statement);
            }
        }
        for number in 1..=orders {
            let ask = |reply_to| DeskMessage::Describe { number, reply_to };
            let order: Description = self.ask(self.desk, ask);
            books.add_order(number, &order);
        }
        books.proof()
    }

    fn ask<M: Message, R: mainspring::message::Reply>(
        &mut self,
        of: ActorRef<M>,
        question: impl Fn(ActorRef<R>) -> M,
    ) -> R {
        let probe = self.sim.probe::<R>();
        self.sim.tell(of, &question(probe.actor()));
        while probe.waiting() == 0 {
            self.sim.run_for(Duration::from_millis(1));
        }
        probe.next()
    }
}

#[test]
fn orders_end_and_are_proved_though_the_power_is_cut_again_and_again() {
    const ORDERS: u64 = 100;
    for seed in 1..=12 {
        let journal = SimulatedJournal::seeded(seed);
        let mut cuts = 0;
        for life in 1.. {
            let mut shop = Shop::open(&journal, seed * 1_000 + life, ORDERS);
            let clerk = shop.begin(seed, ORDERS, 8);
            // First amid the work; later after longer times, so that every pause comes to its end.
            let lived_us = 2_500 * life + 400 * life.pow(3) + 37 * seed;
            shop.sim.run_for(Duration::from_micros(lived_us));
            if shop.ended(clerk) == ORDERS {
                break;
            }
            cuts += 1;
            assert!(cuts < 30, "seed {seed}: the orders do not end");
            drop(shop);
            journal.crash();
        }
        assert!(cuts >= 2, "seed {seed}: {cuts} cuts");
        let proof = Shop::open(&journal, seed, ORDERS).prove(ORDERS);
        assert_eq!(proof.first_violations, Vec::<String>::new(), "seed {seed}");
        assert_eq!(proof.done + proof.compensated, ORDERS, "seed {seed}");
    }
}

/// An order whose services are the test.
struct Alone {
    sim: Simulation,
    order: ActorRef<OrderCommand>,
    requests: Vec<Probe<Request>>,
}

/// Passes on what a service is asked for.
struct Ear {
    name: &'static str,
    to: ActorRef<Request>,
}

impl Actor for Ear {
    type Message = Request;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.register(self.name);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, request: &Archived<Request>) -> Next<Self> {
        if let Ok(request) = mainspring::message::owned::<Request>(request) {
            ctx.tell(self.to, &request);
        }
        Next::Same
    }
}

const NUMBER: u64 = 9;

impl Alone {
    fn start(journal: &SimulatedJournal, seed: u64) -> Alone {
        let mut sim = Simulation::seeded(seed);
        journal.install(&sim.at(0)).expect("a journal that can be opened");
        sim.run_for(Duration::from_millis(5));
        let requests = Step::ALL.map(|step| {
            let probe = sim.probe::<Request>();
            let to = probe.actor();
            sim.spawn(move || Ear { name: step.service(), to });
            probe
        });
        sim.run_for(Duration::from_millis(1));
        let order = sim.spawn(|| Persistent::new(NUMBER, Order::default));
        sim.run_for(Duration::from_millis(1));
        Alone { sim, order, requests: requests.into() }
    }

    fn place(&mut self) {
        let details = Details::of(1, NUMBER);
        self.tell(&OrderCommand::Place { number: NUMBER, details });
    }

    fn tell(&mut self, command: &OrderCommand) {
        self.sim.tell(self.order, command);
        self.sim.run_for(Duration::from_millis(1));
    }

    fn answer(&mut self, step: Step, outcome: Outcome) {
        self.tell(&OrderCommand::Answered { key: Key::new(NUMBER, step).0, outcome });
    }

    /// The only request that waits: for this step, to do or to undo it.
    fn expect_request(&self, step: Step, undo: bool, attempt: u32) {
        for (of, probe) in Step::ALL.iter().zip(&self.requests) {
            assert_eq!(probe.waiting(), usize::from(*of == step), "requests for {of:?}");
        }
        let request = self.requests[step as usize].next();
        assert_eq!(request.key, Key::new(NUMBER, step).0);
        assert_eq!((request.undo, request.attempt), (undo, attempt));
    }

    fn phase(&mut self) -> Phase {
        let probe = self.sim.probe::<Description>();
        self.tell(&OrderCommand::Describe { reply_to: probe.actor() });
        probe.next().phase
    }
}

#[test]
fn steps_are_done_one_after_the_other() {
    let mut order = Alone::start(&SimulatedJournal::seeded(1), 1);
    order.place();
    for step in Step::ALL {
        order.expect_request(step, false, 1);
        order.answer(step, Outcome::Taken);
    }
    assert_eq!(order.phase(), Phase::Done);
}

#[test]
fn a_refused_step_is_not_undone_and_those_before_it_are_undone_in_reverse() {
    let mut order = Alone::start(&SimulatedJournal::seeded(2), 2);
    order.place();
    for step in [Step::Reserve, Step::Charge] {
        order.expect_request(step, false, 1);
        order.answer(step, Outcome::Taken);
    }
    order.expect_request(Step::Schedule, false, 1);
    order.answer(Step::Schedule, Outcome::Refused);
    for step in [Step::Charge, Step::Reserve] {
        order.expect_request(step, true, 1);
        order.answer(step, Outcome::GivenBack);
    }
    assert_eq!(order.phase(), Phase::Compensated);
}

#[test]
fn a_step_without_an_answer_is_tried_three_times_and_then_undone_until_that_has_succeeded() {
    let mut order = Alone::start(&SimulatedJournal::seeded(3), 3);
    order.place();
    for (attempt, pause_ms) in [(1, 100), (2, 200), (3, 300)] {
        order.expect_request(Step::Reserve, false, attempt);
        order.sim.run_for(Duration::from_millis(pause_ms + 1));
    }
    for attempt in 1..=5 {
        order.expect_request(Step::Reserve, true, attempt);
        order.sim.run_for(Duration::from_millis(100 * u64::from(attempt) + 1));
    }
    order.answer(Step::Reserve, Outcome::GivenBack);
    assert_eq!(order.phase(), Phase::Compensated);
}

#[test]
fn an_order_that_has_recovered_sends_its_request_again_with_the_same_key_and_attempt() {
    let journal = SimulatedJournal::seeded(4);
    let mut order = Alone::start(&journal, 4);
    order.place();
    order.answer(Step::Reserve, Outcome::Taken);
    drop(order);
    journal.crash();
    let mut order = Alone::start(&journal, 5);
    order.expect_request(Step::Charge, false, 1);
    // It is placed again, as the clerk does that does not know of it; that changes nothing.
    order.place();
    assert!(order.requests.iter().all(|probe| probe.waiting() == 0));
    order.answer(Step::Charge, Outcome::Taken);
    order.expect_request(Step::Schedule, false, 1);
}

/// A ledger that holds 10.
fn ledger(sim: &mut Simulation) -> ActorRef<LedgerCommand> {
    sim.spawn(|| Persistent::new("a", || Ledger::holding(10)))
}

fn take(sim: &mut Simulation, ledger: ActorRef<LedgerCommand>, key: u64, amount: u64) -> Outcome {
    let probe = sim.probe::<OrderCommand>();
    let reply_to = Some(probe.actor());
    sim.tell(ledger, &LedgerCommand::Take { key, amount, declined: false, reply_to });
    heard(sim, &probe)
}

fn give_back(sim: &mut Simulation, ledger: ActorRef<LedgerCommand>, key: u64) -> Outcome {
    let probe = sim.probe::<OrderCommand>();
    sim.tell(ledger, &LedgerCommand::GiveBack { key, reply_to: Some(probe.actor()) });
    heard(sim, &probe)
}

fn heard(sim: &mut Simulation, probe: &Probe<OrderCommand>) -> Outcome {
    sim.run_for(Duration::from_millis(5));
    match probe.next() {
        OrderCommand::Answered { outcome, .. } => outcome,
        _ => panic!("not an answer"),
    }
}

#[test]
fn a_ledger_answers_the_same_to_the_same_key_and_holds_what_it_says() {
    let journal = SimulatedJournal::seeded(6);
    let mut sim = Simulation::seeded(6);
    journal.install(&sim.at(0)).unwrap();
    sim.run_for(Duration::from_millis(5));
    let first = ledger(&mut sim);
    assert_eq!(take(&mut sim, first, 1, 4), Outcome::Taken);
    assert_eq!(take(&mut sim, first, 1, 4), Outcome::Taken);
    assert_eq!(take(&mut sim, first, 2, 7), Outcome::Refused, "6 are left");
    assert_eq!(give_back(&mut sim, first, 1), Outcome::GivenBack);
    assert_eq!(take(&mut sim, first, 2, 7), Outcome::Refused, "it was refused before");
    drop(sim);
    journal.crash();
    let mut sim = Simulation::seeded(7);
    journal.install(&sim.at(0)).unwrap();
    let again = ledger(&mut sim);
    assert_eq!(give_back(&mut sim, again, 1), Outcome::GivenBack);
    assert_eq!(take(&mut sim, again, 1, 4), Outcome::Refused, "it was given back");
    assert_eq!(give_back(&mut sim, again, 3), Outcome::GivenBack, "there is nothing to give back");
    assert_eq!(take(&mut sim, again, 3, 1), Outcome::Refused, "it came too late");
    assert_eq!(take(&mut sim, again, 4, 10), Outcome::Taken, "all is there again");
}

#[test]
fn an_order_goes_on_when_a_full_journal_has_room_again() {
    let journal = SimulatedJournal::seeded(8);
    journal.set_conduct(|conduct| conduct.segment_ns = 10_000);
    let mut order = Alone::start(&journal, 8);
    journal.set_space(false);
    // Others fill the journal.
    let filler = order.sim.spawn(|| Persistent::new("mark", Mark::default));
    for through in 1..1_000 {
        order.sim.tell(filler, &super::mark::MarkCommand::Advance { through, done: 0 });
        order.sim.run_for(Duration::from_micros(200));
    }
    order.place();
    assert_eq!(order.phase(), Phase::New);
    journal.set_space(true);
    order.sim.run_for(Duration::from_millis(200));
    assert_eq!(order.phase(), Phase::Doing(Step::Reserve));
}
