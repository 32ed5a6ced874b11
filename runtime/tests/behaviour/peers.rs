//! Actors of several nodes: what is sent to another node arrives there as at home, or not at all.
//!
//! The nodes are joined by a device that carries bytes from outbox to outbox, as a link does.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use mainspring::device::{Device, DeviceTurn};
use mainspring::frame::{FLAG_FOREIGN, ForeignPrefix, Header};
use mainspring::peer::{Belief, FrameBytes, NodeControl, Outbox, OutboxLimits};
use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring::{Address, AskError, LookupError, NameFound, Reason};

use crate::actors::{Answerer, Number, Puppet, Question, Text, numbers, texts};

/// What is on its way to a core, or for core 0 to the node.
#[derive(Default)]
struct Way {
    bytes: VecDeque<FrameBytes>,
    control: VecDeque<NodeControl>,
}

/// Changes bytes on their way.
type Spoil = Rc<dyn Fn(&mut [u8])>;

/// One core's end of the wire to every other node.
struct Wire {
    nodes: Rc<Vec<u32>>,
    ways: Rc<RefCell<Vec<Way>>>,
    belief: Belief,
    spoil: Spoil,
    cut: Rc<Cell<bool>>,
    /// A cut is the end of the other node.
    is_over: Rc<Cell<bool>>,
    outboxes: Vec<(usize, Rc<RefCell<Outbox>>)>,
    me: usize,
    left: Option<(FrameBytes, usize)>,
}

impl Device for Wire {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        if self.outboxes.is_empty() && !self.cut.get() {
            for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| *at != self.me) {
                self.outboxes.push((at, turn.open_outbox(*node, OutboxLimits::default())));
            }
            return 1;
        }
        if self.cut.get() {
            for (at, _) in self.outboxes.drain(..) {
                match self.is_over.get() {
                    true => turn.node_over(self.nodes[at]),
                    false => turn.node_gone(self.nodes[at]),
                }
            }
            return 0;
        }
        self.send(turn) + self.receive(turn)
    }

    fn has_work(&mut self) -> bool {
        let waits = |(_, outbox): &(usize, Rc<RefCell<Outbox>>)| !outbox.borrow().is_empty();
        let way = &self.ways.borrow()[self.me];
        self.cut.get() != self.outboxes.is_empty()
            || self.outboxes.iter().any(waits)
            || self.left.is_some()
            || !way.bytes.is_empty()
            || !way.control.is_empty()
    }
}

impl Wire {
    fn send(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let mut work = 0;
        for (at, outbox) in &self.outboxes {
            if !outbox.borrow().is_empty() {
                let (mut bytes, _) = outbox.borrow_mut().take(FrameBytes::new());
                (self.spoil)(&mut bytes);
                self.ways.borrow_mut()[*at].bytes.push_back(bytes);
                work += 1;
            }
        }
        while let Some(control) = turn.take_control() {
            let node = control.receiver().node();
            let at = self.nodes.iter().position(|other| *other == node).expect("a node");
            self.ways.borrow_mut()[at].control.push_back(control);
            work += 1;
        }
        work
    }

    fn receive(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let control = std::mem::take(&mut self.ways.borrow_mut()[self.me].control);
        let mut work = control.len();
        control.into_iter().for_each(|control| turn.deliver_control(control));
        let next = || self.ways.borrow_mut()[self.me].bytes.pop_front().map(|bytes| (bytes, 0));
        let Some((bytes, mut at)) = self.left.take().or_else(next) else { return work };
        while at < bytes.len() {
            let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
            let header = Header { word0: word(at), word1: word(at + 8) };
            let payload = &bytes[at + 16..at + 16 + header.len() as usize];
            if turn.deliver(header, payload, self.belief).is_err() {
                self.left = Some((bytes, at));
                return work;
            }
            at += header.stride();
            work += 1;
        }
        work
    }
}

/// Joins the first core of each of two nodes, of two cores each.
struct Joined {
    sim: Simulation,
    cut: Rc<Cell<bool>>,
    is_over: Rc<Cell<bool>>,
}

fn joined_with(seed: u64, belief: Belief, spoil: impl Fn(&mut [u8]) + 'static) -> Joined {
    let mut sim = Simulation::seeded(seed).nodes(2).cores(2);
    let mut nodes = Vec::new();
    for node in 0..2 {
        sim.at(node).install(|seat| nodes.push(seat.incarnation()));
    }
    let (nodes, cut) = (Rc::new(nodes), Rc::new(Cell::new(false)));
    let is_over = Rc::new(Cell::new(false));
    let spoil: Spoil = Rc::new(spoil);
    for core in 0..2 {
        let ways = Rc::new(RefCell::new(vec![Way::default(), Way::default()]));
        for me in 0..2 {
            let wire = Wire {
                nodes: Rc::clone(&nodes),
                ways: Rc::clone(&ways),
                belief,
                spoil: Rc::clone(&spoil),
                cut: Rc::clone(&cut),
                is_over: Rc::clone(&is_over),
                outboxes: Vec::new(),
                me,
                left: None,
            };
            sim.at(me).core(core).install(|seat| seat.add_device(Box::new(wire)));
        }
    }
    sim.run_until_idle();
    Joined { sim, cut, is_over }
}

fn joined(seed: u64) -> Joined {
    joined_with(seed, Belief::NONE, |_| ())
}

#[test]
fn a_message_to_another_node_arrives_on_every_core_in_order() {
    for seed in 1..=20 {
        let Joined { mut sim, .. } = joined(seed);
        for core in 0..2 {
            let there = sim.at(1).core(core).probe::<Number>();
            let actor = there.actor();
            let teller = sim.at(0).core((seed % 2) as u16).spawn(move || {
                Puppet::new(move |ctx, n| {
                    for step in 0..n {
                        ctx.tell(actor, &Number { n: step });
                    }
                    Next::Same
                })
            });
            sim.tell(teller, &Number { n: 500 });
            sim.run_until_idle();
            let came = numbers(&there);
            assert_eq!(came, (0..500).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}

#[test]
fn a_question_to_another_node_is_answered() {
    let Joined { mut sim, .. } = joined(3);
    let told = sim.probe::<Number>();
    let answering = sim.at(1).core(1).spawn(|| Answerer);
    let to = told.actor();
    let asker = sim.spawn(move || Asking { answering, told: to });
    sim.tell(asker, &Number { n: 21 });
    sim.run_until_idle();
    assert_eq!(numbers(&told), [210]);
}

struct Asking {
    answering: ActorRef<Question>,
    told: ActorRef<Number>,
}

impl Actor for Asking {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        let n = number.n.to_native();
        let second = Duration::from_secs(1);
        ctx.ask(self.answering, |reply_to| Question { n, reply_to }, second, Self::on_answer);
        Next::Same
    }
}

impl Asking {
    fn on_answer(
        &mut self,
        ctx: &mut Context<Self>,
        answer: Result<&Archived<Number>, AskError>,
    ) -> Next<Self> {
        let n = answer.map_or(0, |answer| answer.n.to_native());
        ctx.tell(self.told, &Number { n });
        Next::Same
    }
}

/// Looks a name up on a node, and tells who has it.
struct Seeker {
    node: u32,
    told: ActorRef<Number>,
}

impl Actor for Seeker {
    type Message = Text;

    fn receive(&mut self, ctx: &mut Context<Self>, text: &Archived<Text>) -> Next<Self> {
        ctx.lookup_on(self.node, text.text.as_str(), Duration::from_secs(1), Self::on_found);
        Next::Same
    }
}

impl Seeker {
    fn on_found(
        &mut self,
        ctx: &mut Context<Self>,
        found: Result<&Archived<NameFound>, AskError>,
    ) -> Next<Self> {
        let found = found.expect("an answer").actor::<Question>();
        match found {
            Ok(actor) => ctx.tell(actor, &Question { n: 7, reply_to: self.told }),
            Err(LookupError::WrongType { .. }) => ctx.tell(self.told, &Number { n: 1 }),
            Err(_) => ctx.tell(self.told, &Number { n: 0 }),
        }
        Next::Same
    }
}

#[test]
fn an_actor_of_another_node_is_found_by_its_name() {
    let Joined { mut sim, .. } = joined(8);
    let told = sim.at(0).core(1).probe::<Number>();
    let answering =
        sim.at(1).core(1).spawn_with(|| Answerer, |spawn| spawn.named("answers").start());
    sim.at(1).spawn_with(Puppet::idle, |spawn| spawn.named("idle").start());
    sim.run_until_idle();
    let (node, to) = (answering.node(), told.actor());
    let seeker = sim.at(0).core(1).spawn(move || Seeker { node, told: to });
    for name in ["answers", "idle", "nobody"] {
        sim.tell(seeker, &Text { text: name.to_owned() });
        sim.run_until_idle();
    }
    assert_eq!(numbers(&told), [70, 1, 0]);
    assert_eq!(sim.dead_letters(Reason::UnknownPort), 0);
}

#[test]
fn what_a_failed_turn_sent_to_another_node_is_not_sent() {
    let Joined { mut sim, .. } = joined(4);
    let there = sim.at(1).probe::<Number>();
    let actor = there.actor();
    let teller = sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            ctx.tell(actor, &Number { n });
            if n == 2 { Next::Fault } else { Next::Same }
        })
    });
    for n in 1..=2 {
        sim.tell(teller, &Number { n });
    }
    sim.run_until_idle();
    let came = numbers(&there);
    assert_eq!(came, [1]);
}

#[test]
fn the_end_of_a_watched_actor_of_another_node_is_told_once() {
    for seed in 1..=20 {
        let Joined { mut sim, cut, .. } = joined(seed);
        let told = sim.probe::<Text>();
        let (target, teller) = (sim.at(1).core(1).spawn(Puppet::idle), told.actor());
        let watching = sim.at(0).core(1).spawn(move || {
            Puppet::new(move |ctx, _| {
                ctx.watch(target);
                Next::Same
            })
            .telling_signals(teller)
        });
        sim.tell(watching, &Number { n: 1 });
        sim.run_until_idle();
        let reason = if seed % 2 == 0 {
            sim.stop(target);
            "reason: Stopped"
        } else {
            cut.set(true);
            "reason: Unreachable"
        };
        sim.run_until_idle();
        cut.set(true);
        sim.run_until_idle();
        let came = texts(&told);
        assert_eq!(came.len(), 1, "seed {seed}: {came:?}");
        assert!(came[0].starts_with("Terminated") && came[0].contains(reason), "{came:?}");
        // To watch it once more is answered at once.
        sim.tell(watching, &Number { n: 1 });
        sim.run_until_idle();
        assert_eq!(texts(&told).len(), 1, "seed {seed}");
    }
}

#[test]
fn who_watched_from_a_node_whose_life_is_over_is_forgotten() {
    for is_over_for_good in [false, true] {
        let Joined { mut sim, cut, is_over } = joined(9);
        let target = sim.at(1).core(1).spawn(Puppet::idle);
        let watching = sim.spawn(move || {
            Puppet::new(move |ctx, _| {
                ctx.watch(target);
                Next::Same
            })
        });
        sim.tell(watching, &Number { n: 1 });
        sim.run_until_idle();
        is_over.set(is_over_for_good);
        cut.set(true);
        sim.run_until_idle();
        sim.stop(target);
        sim.run_until_idle();
        // One that may come back is still to be told, as far as a way leads there.
        assert_eq!(sim.dead_letters(Reason::NoRoute), u64::from(!is_over_for_good));
    }
}

#[test]
fn a_message_to_a_node_that_is_gone_is_a_dead_letter() {
    let Joined { mut sim, cut, .. } = joined(5);
    let there = sim.at(1).probe::<Number>().actor();
    cut.set(true);
    sim.run_until_idle();
    let teller = sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            ctx.tell(there, &Number { n });
            Next::Same
        })
    });
    sim.tell(teller, &Number { n: 1 });
    sim.run_until_idle();
    assert_eq!(sim.dead_letters(Reason::NoRoute), 1);
}

/// One message for an actor of the second node, whose bytes are changed on their way; what became of it.
fn spoilt(spoil: impl Fn(&mut [u8]) + 'static) -> (Vec<u64>, Joined) {
    let mut joined = joined_with(6, Belief::NONE, spoil);
    let there = joined.sim.at(1).probe::<Number>();
    let actor = there.actor();
    let teller = joined.sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            ctx.tell(actor, &Number { n });
            Next::Same
        })
    });
    joined.sim.tell(teller, &Number { n: 7 });
    joined.sim.run_until_idle();
    (numbers(&there), joined)
}

#[test]
fn a_message_of_another_schema_is_refused_and_counted() {
    let (came, mut joined) = spoilt(|bytes| bytes[16] ^= 1);
    assert!(came.is_empty(), "{came:?}");
    assert_eq!(joined.sim.dead_letters(Reason::SchemaMismatch), 1);
}

#[test]
fn bytes_that_are_no_such_message_are_refused_and_counted() {
    let (came, mut joined) = spoilt(|bytes| bytes[0] -= 1);
    assert!(came.is_empty(), "{came:?}");
    assert_eq!(joined.sim.dead_letters(Reason::Malformed), 1);
}

#[test]
fn a_frame_of_the_runtimes_own_kinds_is_not_taken_from_another_node() {
    for kind in 1..=u8::MAX {
        let (came, mut joined) = spoilt(move |bytes| bytes[6] = kind);
        assert!(came.is_empty(), "kind {kind}: {came:?}");
        assert_eq!(joined.sim.dead_letters(Reason::UnknownKind), 1, "kind {kind}");
        assert_eq!(joined.sim.actors(), 2);
    }
    for flags in (0..=u8::MAX).filter(|flags| *flags != FLAG_FOREIGN) {
        let (came, mut joined) = spoilt(move |bytes| bytes[7] = flags);
        assert!(came.is_empty(), "flags {flags}: {came:?}");
        assert_eq!(joined.sim.dead_letters(Reason::UnknownKind), 1, "flags {flags}");
    }
}

/// Asks an actor of the second node by a reference that the first one has forged: its place is `forged`.
fn forged(
    belief: Belief,
    core: u16,
    forged: impl Fn(ActorRef<Text>) -> Address + 'static,
) -> Joined {
    let target = Rc::new(Cell::new(None::<Address>));
    let seen = Rc::clone(&target);
    // The reference is the last thing in a question: two words.
    let mut joined = joined_with(7, belief, move |bytes| {
        let Some(forged) = seen.get() else { return };
        let prefix = ForeignPrefix::split(&bytes[16..]).expect("a frame").0;
        if prefix.core != core {
            return;
        }
        let end = 16 + u32::from_le_bytes(bytes[..4].try_into().expect("four")) as usize;
        let (to, me) = forged.words();
        bytes[end - 16..end - 8].copy_from_slice(&to.to_le_bytes());
        bytes[end - 8..end].copy_from_slice(&me.to_le_bytes());
    });
    let victim = joined.sim.at(1).core(1).probe::<Text>();
    let answering = joined.sim.at(1).core(core).spawn(|| Answerer);
    target.set(Some(forged(victim.actor())));
    let asker = joined.sim.spawn(move || {
        Puppet::new(move |ctx, n| {
            let reply_to = ctx.me();
            ctx.tell(answering, &Question { n, reply_to });
            Next::Same
        })
    });
    joined.sim.tell(asker, &Number { n: 7 });
    joined.sim.run_until_idle();
    assert_eq!(victim.waiting(), 0, "a number was told to an actor that takes texts");
    joined
}

#[test]
fn a_reference_to_an_actor_of_another_type_is_refused_where_that_is_known() {
    let mut joined = forged(Belief::NONE, 1, |victim| victim.address());
    assert_eq!(joined.sim.dead_letters(Reason::Malformed), 1);
}

#[test]
fn a_reference_to_another_core_is_refused_from_a_node_that_is_not_believed() {
    let mut joined = forged(Belief::NONE, 0, |victim| victim.address());
    assert_eq!(joined.sim.dead_letters(Reason::Malformed), 1);
}

#[test]
fn a_reference_to_an_actor_that_may_be_one_day_is_refused() {
    let mut joined = forged(Belief::NONE, 1, |victim| {
        let (to, me) = victim.address().words();
        Address::from_words(to, me + (1 << 32))
    });
    assert_eq!(joined.sim.dead_letters(Reason::Malformed), 1);
}
