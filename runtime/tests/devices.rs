//! Devices on cores, and actors that wait for them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use mainspring::device::{Device, DeviceTurn, Extension, NodePlan, Seat, TakesTickets, Ticket};
use mainspring::prelude::*;
use mainspring::testkit::Simulation;

/// Gives every ticket back after a pause.
#[derive(Default)]
struct Delay {
    waiting: RefCell<VecDeque<(u64, Ticket<u64>)>>,
}

struct DelayDevice(Rc<Delay>);

impl Device for DelayDevice {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let mut redeemed = 0;
        loop {
            let due = {
                let mut waiting = self.0.waiting.borrow_mut();
                match waiting.front() {
                    Some((due_ns, _)) if *due_ns <= turn.now_ns() => waiting.pop_front(),
                    _ => None,
                }
            };
            let Some((due_ns, ticket)) = due else { return redeemed };
            turn.redeem(ticket, due_ns);
            redeemed += 1;
        }
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.0.waiting.borrow().front().map(|(due_ns, _)| *due_ns)
    }

    fn is_quiet(&self) -> bool {
        self.0.waiting.borrow().is_empty()
    }
}

#[message]
struct Work {
    number: u64,
    reply_to: ActorRef<Done>,
}

#[message]
struct Done {
    number: u64,
    waited: bool,
}

/// Answers a message once the device has given its ticket back, and takes no other meanwhile.
#[derive(Default)]
struct Worker {
    current: Option<(u64, ActorRef<Done>)>,
}

impl Actor for Worker {
    type Message = Work;

    fn receive(&mut self, ctx: &mut Context<Self>, work: &Archived<Work>) -> Next<Self> {
        let Some(delay) = ctx.shared::<Delay>() else { return Next::Fault };
        let ticket = ctx.ticket(|worker: &mut Worker, ctx, due_ns: u64| {
            if let Some((number, reply_to)) = worker.current.take() {
                ctx.tell(reply_to, &Done { number, waited: ctx.now_ns() >= due_ns });
            }
            Next::Same
        });
        ctx.suspend_until(&ticket);
        assert!(self.current.is_none(), "a message came although the actor waits");
        self.current = Some((work.number.to_native(), work.reply_to));
        delay.waiting.borrow_mut().push_back((ctx.now_ns() + 1_000_000, ticket));
        Next::Same
    }
}

fn install(seat: &mut Seat<'_>) {
    let delay = Rc::new(Delay::default());
    seat.share(delay.clone());
    seat.add_device(Box::new(DelayDevice(delay)));
}

#[test]
fn an_actor_that_waits_for_a_device_takes_its_messages_in_order_afterwards() {
    Simulation::for_seeds(1..=50, |mut sim| {
        sim.at(0).install(install);
        let worker = sim.spawn(Worker::default);
        let probe = sim.probe::<Done>();
        for number in 0..5 {
            sim.tell(worker, &Work { number, reply_to: probe.actor() });
        }
        sim.run_for(Duration::from_micros(900));
        probe.expect_nothing();
        for number in 0..5 {
            sim.run_for(Duration::from_millis(1));
            probe.expect(|done| done.number == number && done.waited);
        }
        sim.assert_quiet_within(Duration::from_millis(1));
    });
}

#[test]
fn a_ticket_of_an_actor_that_is_gone_does_nothing() {
    let mut sim = Simulation::seeded(3);
    sim.at(0).install(install);
    let worker = sim.spawn(Worker::default);
    let probe = sim.probe::<Done>();
    sim.tell(worker, &Work { number: 1, reply_to: probe.actor() });
    sim.run_until_idle();
    sim.stop(worker);
    sim.run_for(Duration::from_millis(5));
    probe.expect_nothing();
    sim.assert_quiet_within(Duration::from_millis(1));
}

#[test]
fn a_ticket_of_an_earlier_life_does_nothing() {
    let mut sim = Simulation::seeded(4);
    sim.at(0).install(install);
    let worker = sim.at(0).spawn_with(Worker::default, |spawn| {
        spawn.on_failure(OnFailure::Restart(Restart::at_most(3))).start()
    });
    let probe = sim.probe::<Done>();
    sim.tell(worker, &Work { number: 1, reply_to: probe.actor() });
    sim.run_until_idle();
    sim.panic_turn(worker, 0);
    sim.tell(worker, &Work { number: 2, reply_to: probe.actor() });
    sim.tell(worker, &Work { number: 3, reply_to: probe.actor() });
    sim.run_for(Duration::from_secs(60));
    // The first was answered before the panic hit the second; the third came to the next life.
    probe.expect(|done| done.number == 1);
    probe.expect(|done| done.number == 3);
    probe.expect_nothing();
}

/// Keeps each message until the device is done, and has it handled again so many times.
struct Persevering {
    again: u32,
    tries: u32,
    reply_to: Option<ActorRef<Done>>,
}

impl Persevering {
    fn of(again: u32) -> Self {
        Persevering { again, tries: 0, reply_to: None }
    }

    fn settled(&mut self, ctx: &mut Context<Self>, _: u64) -> Next<Self> {
        if self.tries <= self.again {
            return Next::Again;
        }
        if let Some(reply_to) = self.reply_to {
            ctx.tell(reply_to, &Done { number: u64::from(self.tries), waited: true });
        }
        self.tries = 0;
        Next::Same
    }
}

impl Actor for Persevering {
    type Message = Work;

    fn receive(&mut self, ctx: &mut Context<Self>, work: &Archived<Work>) -> Next<Self> {
        let Some(delay) = ctx.shared::<Delay>() else { return Next::Fault };
        if self.tries == 0 {
            ctx.tell(work.reply_to, &Done { number: work.number.to_native(), waited: false });
        }
        self.tries += 1;
        self.reply_to = Some(work.reply_to);
        let ticket = ctx.ticket(Self::settled);
        ctx.suspend_until(&ticket);
        delay.waiting.borrow_mut().push_back((ctx.now_ns() + 1_000_000, ticket));
        Next::Keep
    }
}

#[test]
fn a_message_that_is_kept_is_handled_again_before_those_that_came_later_or_dropped() {
    Simulation::for_seeds(1..=20, |mut sim| {
        sim.at(0).install(install);
        for again in [0, 1, 3] {
            let worker = sim.spawn(move || Persevering::of(again));
            let probe = sim.probe::<Done>();
            for number in 10..13 {
                sim.tell(worker, &Work { number, reply_to: probe.actor() });
            }
            sim.run_for(Duration::from_millis(60));
            for number in 10..13 {
                probe.expect(|done| done.number == number && !done.waited);
                probe.expect(|done| done.number == u64::from(again + 1) && done.waited);
            }
            probe.expect_nothing();
        }
        sim.assert_quiet_within(Duration::from_millis(1));
    });
}

#[test]
fn a_message_that_is_kept_ends_with_its_actor_or_its_actors_life() {
    let mut sim = Simulation::seeded(5);
    sim.at(0).install(install);
    let worker = sim.at(0).spawn_with(
        || Persevering::of(1),
        |spawn| spawn.on_failure(OnFailure::Restart(Restart::at_most(3))).start(),
    );
    let probe = sim.probe::<Done>();
    sim.tell(worker, &Work { number: 1, reply_to: probe.actor() });
    sim.run_until_idle();
    probe.expect(|done| done.number == 1 && !done.waited);
    // The turn with the ticket's value fails: the next life does not know the message.
    sim.panic_turn(worker, 0);
    sim.tell(worker, &Work { number: 2, reply_to: probe.actor() });
    sim.tell(worker, &Work { number: 3, reply_to: probe.actor() });
    sim.run_for(Duration::from_secs(60));
    let heard: Vec<_> =
        std::iter::from_fn(|| (probe.waiting() > 0).then(|| probe.next())).collect();
    assert!(!heard.iter().any(|done| done.number == 1), "it was handled by the next life");
    assert!(heard.iter().any(|done| done.number == 3), "the next life takes messages");
    sim.tell(worker, &Work { number: 4, reply_to: probe.actor() });
    sim.run_until_idle();
    probe.expect(|done| done.number == 4 && !done.waited);
    sim.stop(worker);
    sim.assert_quiet_within(Duration::from_millis(5));
    assert_eq!(sim.dead_letters(mainspring::Reason::Stopping), 0, "it was handled once");
}

#[message]
struct Parcel {
    what: Local<Arc<()>>,
}

/// Keeps a parcel until the device is done, and takes what is in it when it comes again.
#[derive(Default)]
struct Careful {
    comes_again: bool,
    waited: bool,
    taken: Vec<Arc<()>>,
}

impl Actor for Careful {
    type Message = Parcel;

    fn receive(&mut self, ctx: &mut Context<Self>, parcel: &Archived<Parcel>) -> Next<Self> {
        if std::mem::replace(&mut self.waited, true) {
            self.taken.extend(parcel.what.take());
            return Next::Same;
        }
        let Some(delay) = ctx.shared::<Delay>() else { return Next::Fault };
        let ticket = ctx.ticket(
            |careful: &mut Careful, _: &mut Context<Self>, _: u64| {
                if careful.comes_again { Next::Again } else { Next::Same }
            },
        );
        ctx.suspend_until(&ticket);
        delay.waiting.borrow_mut().push_back((ctx.now_ns() + 1_000_000, ticket));
        Next::Keep
    }
}

struct ParcelSender {
    to: ActorRef<Parcel>,
    what: Arc<()>,
}

impl Actor for ParcelSender {
    type Message = Done;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Done>) -> Next<Self> {
        Next::Same
    }

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        if let Some(to) = ctx.local(self.to) {
            ctx.tell_local(to, &Parcel { what: Local::new(Arc::clone(&self.what)) });
        }
        Next::Stop
    }
}

#[test]
fn what_a_kept_message_holds_is_taken_when_it_comes_again_or_freed() {
    for (comes_again, stops, expected) in [(true, false, 1), (false, false, 0), (true, true, 0)] {
        let mut sim = Simulation::seeded(7);
        sim.at(0).install(install);
        let what = Arc::new(());
        let to = sim.spawn(move || Careful { comes_again, ..Careful::default() });
        let sent = Arc::clone(&what);
        sim.spawn(move || ParcelSender { to, what: Arc::clone(&sent) });
        sim.run_until_idle();
        let kept = Arc::strong_count(&what);
        if stops {
            sim.stop(to);
        }
        sim.run_for(Duration::from_millis(5));
        // One here; what the message holds is the only other one.
        assert_eq!(kept, 2, "it is kept while the actor waits");
        assert_eq!(Arc::strong_count(&what), 1 + expected, "again {comes_again}, stops {stops}");
    }
}

/// Takes what its tickets are redeemed with.
#[derive(Default)]
struct Collected(RefCell<Vec<(u64, bool)>>);

impl TakesTickets<u64> for Collected {
    fn redeemed(&self, key: u64, due_ns: u64) {
        self.0.borrow_mut().push((key, due_ns > 0));
    }
}

#[test]
fn a_ticket_of_no_actor_is_redeemed_to_what_is_shared_on_the_core() {
    let mut sim = Simulation::seeded(6);
    let collected = Rc::new(Collected::default());
    for shares in [false, true] {
        sim.at(0).install(|seat| {
            install(seat);
            if shares {
                seat.share(Rc::clone(&collected));
            }
            let delay = seat.shared::<Delay>().expect("it was installed just now");
            for key in [u64::MAX, 7] {
                let ticket = Ticket::for_shared::<Collected>(key);
                delay.waiting.borrow_mut().push_back((1_000, ticket));
            }
        });
        sim.run_for(Duration::from_millis(1));
    }
    // Those of the first round found nobody.
    assert_eq!(*collected.0.borrow(), [(u64::MAX, true), (7, true)]);
}

/// Counts the cores it was installed on.
#[derive(Clone, Default)]
struct Everywhere {
    prepared: Arc<AtomicU16>,
    installed: Arc<AtomicU16>,
}

impl Extension for Everywhere {
    fn name(&self) -> &'static str {
        "delay"
    }

    fn prepare(&self, node: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.prepared.store(node.cores, Ordering::Relaxed);
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        self.installed.fetch_add(1, Ordering::Relaxed);
        install(seat);
    }
}

#[test]
fn a_node_that_shuts_down_waits_for_its_devices() {
    let everywhere = Everywhere::default();
    let node = Node::builder()
        .cores(Cores::count(1))
        .idle(IdleProfile::Eco)
        .with(everywhere.clone())
        .start()
        .expect("a node");
    assert_eq!(everywhere.prepared.load(Ordering::Relaxed), 1);
    assert_eq!(everywhere.installed.load(Ordering::Relaxed), 1);
    let worker = node.spawn(Worker::default).expect("a worker");
    let client = node.client();
    let done = client.ask(worker, |reply_to| Work { number: 7, reply_to }, Duration::from_secs(10));
    let done = done.wait().expect("an answer");
    assert!(done.number == 7 && done.waited);
    node.shutdown(Duration::from_secs(5)).expect("a clean end");
}

/// Is never ready.
struct Broken;

impl Extension for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("the disk is not there".into())
    }

    fn install(&self, _: &mut Seat<'_>) {
        panic!("a node that is not ready has no cores");
    }
}

#[test]
fn a_node_whose_extension_is_not_ready_does_not_start_and_says_why() {
    let refused = Node::builder().cores(Cores::count(1)).with(Broken).start();
    let Err(error) = refused else { panic!("it started") };
    assert_eq!(error.to_string(), "broken: the disk is not there");
}

/// Answers at once.
struct Prompt;

impl Actor for Prompt {
    type Message = Work;

    fn receive(&mut self, ctx: &mut Context<Self>, work: &Archived<Work>) -> Next<Self> {
        ctx.tell(work.reply_to, &Done { number: work.number.to_native(), waited: false });
        Next::Same
    }
}

#[test]
fn an_extension_has_actors_of_its_own_until_the_core_is_full() {
    let mut sim = Simulation::seeded(1).limits(|limits| limits.actors = 2);
    let done = sim.probe::<Done>();
    let (mut prompt, mut refused) = (None, None);
    sim.at(0).install(|seat| {
        prompt = seat.spawn(Prompt).ok();
        refused = seat.spawn(Prompt).err();
    });
    let prompt = prompt.expect("room for one");
    assert_eq!(refused.map(|error| error.limit), Some(2));
    sim.tell(prompt, &Work { number: 4, reply_to: done.actor() });
    sim.run_until_idle();
    assert_eq!(done.next().number, 4);
}

/// Takes its time to be dropped, as the tables of millions of entities do.
struct Heavy;

impl Drop for Heavy {
    fn drop(&mut self) {
        let end = std::time::Instant::now() + Duration::from_millis(800);
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
    }
}

struct HeavyExtension;

impl Extension for HeavyExtension {
    fn name(&self) -> &'static str {
        "heavy"
    }

    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        seat.share(Rc::new(Heavy));
    }
}

#[test]
fn a_core_that_gives_back_much_is_waited_for_until_the_deadline() {
    let builder = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco);
    let node = builder.with(HeavyExtension).start().expect("one core is allowed");
    node.shutdown(Duration::from_secs(30)).expect("it ends before the deadline");
}
