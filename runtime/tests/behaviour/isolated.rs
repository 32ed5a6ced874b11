//! One actor by itself: each turn's effects, seen before anyone else would.

use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::{Effects, Isolated, Outcome, Surroundings, TimerSet};

use crate::actors::{Number, Puppet, Question, Text, quietly};

const MS: Duration = Duration::from_millis(1);

#[message]
struct Parcel {
    what: Local<Arc<()>>,
}

/// Does something else for each number.
struct Sampler {
    inbox: ActorRef<Number>,
    questions: ActorRef<Question>,
    parcels: ActorRef<Parcel>,
    payload: Arc<()>,
    answers: Vec<Option<u64>>,
}

impl Sampler {
    fn on_answer(
        &mut self,
        ctx: &mut Context<Self>,
        answer: Result<&Archived<Number>, AskError>,
    ) -> Next<Self> {
        self.answers.push(answer.ok().map(|number| number.n.to_native()));
        ctx.tell(self.inbox, &Number { n: 77 });
        Next::Same
    }

    fn other(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        ctx.tell(self.inbox, &Number { n: 1_000 + number.n.to_native() });
        Next::Same
    }

    fn ask(&mut self, ctx: &mut Context<Self>, n: u64) {
        let ask = |reply_to| Question { n, reply_to };
        let asked = ctx.ask(self.questions, ask, 5 * MS, Self::on_answer);
        if n == 5 {
            asked.exclusive();
        }
    }
}

impl Actor for Sampler {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        ctx.register("sampler");
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, number: &Archived<Number>) -> Next<Self> {
        match number.n.to_native() {
            0 => return Next::Same,
            1 => (0..3).for_each(|n| ctx.tell(self.inbox, &Number { n })),
            2 => {
                let child = ctx.spawn(Puppet::idle).start();
                ctx.tell(child, &Number { n: 8 });
                ctx.watch(child);
                ctx.unwatch(child);
                ctx.stop(child);
            }
            3 => {
                ctx.timer("once").after(MS, &Number { n: 1 });
                ctx.timer(9).every(2 * MS, &Number { n: 0 });
                ctx.timer("gone").cancel();
                ctx.receive_timeout(50 * MS, &Number { n: 0 });
            }
            n @ (4 | 5) => self.ask(ctx, n),
            6 => return Next::switch(Self::other),
            7 => return Next::Stash,
            8 => return Next::Stop,
            9 => panic!("on purpose"),
            10 => return Next::Fault,
            11 => {
                let to = ctx.local(self.parcels).expect("of this node");
                ctx.tell_local(to, &Parcel { what: Local::new(Arc::clone(&self.payload)) });
            }
            12 => {
                ctx.pipe(async { 3 }, |_: &mut Self, _, _: u64| Next::Same);
                ctx.unregister("sampler");
            }
            n => ctx.tell(ctx.me(), &Number { n }),
        }
        Next::Same
    }

    fn signal(&mut self, ctx: &mut Context<Self>, _: &Signal) -> Next<Self> {
        ctx.tell(self.inbox, &Number { n: 5 });
        Next::Same
    }
}

impl Port<Text> for Sampler {
    fn receive(&mut self, ctx: &mut Context<Self>, text: &Archived<Text>) -> Next<Self> {
        ctx.tell(self.inbox, &Number { n: text.text.len() as u64 });
        Next::Same
    }
}

struct Stage {
    sampler: Isolated<Sampler>,
    inbox: ActorRef<Number>,
    questions: ActorRef<Question>,
    parcels: ActorRef<Parcel>,
    payload: Arc<()>,
}

fn stage() -> Stage {
    quietly();
    let mut around = Surroundings::new();
    let (inbox, questions, parcels) = (around.inbox(), around.inbox(), around.inbox());
    let payload = Arc::new(());
    let kept = Arc::clone(&payload);
    let (sampler, started) = around.start(move || Sampler {
        inbox,
        questions,
        parcels,
        payload: Arc::clone(&kept),
        answers: Vec::new(),
    });
    assert_eq!(started.registered(), ["sampler"]);
    Stage { sampler, inbox, questions, parcels, payload }
}

fn turn(stage: &mut Stage, n: u64) -> Effects {
    stage.sampler.turn(&Number { n })
}

fn numbers_in(effects: &Effects, inbox: ActorRef<Number>) -> Vec<u64> {
    effects.sent_to(inbox).iter().map(|number| number.n).collect()
}

#[test]
fn a_turn_that_only_thinks_has_no_effects() {
    let mut stage = stage();
    let effects = turn(&mut stage, 0);
    assert!(effects.is_empty());
    assert_eq!(effects.outcome(), &Outcome::Same);
}

#[test]
fn messages_are_seen_by_receiver_in_order_and_go_no_further() {
    let mut stage = stage();
    let effects = turn(&mut stage, 1);
    assert_eq!(numbers_in(&effects, stage.inbox), [0, 1, 2]);
    assert_eq!(effects.receivers().len(), 3);
    // What it sends to itself does not come back.
    let effects = turn(&mut stage, 100);
    assert_eq!(numbers_in(&effects, stage.sampler.me()), [100]);
    assert!(turn(&mut stage, 0).is_empty());
}

#[test]
fn children_watches_and_stops_are_seen() {
    let mut stage = stage();
    let effects = turn(&mut stage, 2);
    let children = effects.spawned::<Puppet>();
    assert_eq!((children.len(), effects.spawned_count()), (1, 1));
    assert!(effects.spawned::<Sampler>().is_empty());
    assert_eq!(numbers_in(&effects, children[0]), [8]);
    let child = [children[0].address()];
    assert_eq!(effects.watched(), child);
    assert_eq!(effects.unwatched(), child);
    assert_eq!(effects.stopped(), child);
}

#[test]
fn timers_are_seen_and_fire_when_time_passes() {
    let mut stage = stage();
    let effects = turn(&mut stage, 3);
    let once = TimerSet { key: "once".into(), after: MS, every: None };
    let ever = TimerSet { key: 9.into(), after: 2 * MS, every: Some(2 * MS) };
    assert_eq!(effects.timers(), [once, ever]);
    assert_eq!(effects.cancelled(), ["gone".into()]);
    assert_eq!(effects.receive_timeout(), Some(Some(50 * MS)));
    let fired = stage.sampler.advance(Duration::from_micros(4_500));
    let sent: Vec<_> = fired.iter().map(|turn| numbers_in(turn, stage.inbox).len()).collect();
    assert_eq!(sent, [3, 0, 0]);
}

#[test]
fn an_ask_is_answered_at_the_address_in_its_request() {
    let mut stage = stage();
    let effects = turn(&mut stage, 4);
    assert_eq!((effects.asked(), effects.is_exclusive()), (1, false));
    let question = effects.sent_to(stage.questions).remove(0);
    let effects = stage.sampler.deliver(question.reply_to, &Number { n: 40 });
    assert_eq!(numbers_in(&effects, stage.inbox), [77]);
    // A second answer finds nobody.
    assert_eq!(
        stage.sampler.deliver(question.reply_to, &Number { n: 41 }).outcome(),
        &Outcome::NoTurn
    );
    turn(&mut stage, 4);
    assert_eq!(stage.sampler.advance(6 * MS).len(), 1);
    assert_eq!(stage.sampler.look(|sampler| sampler.answers.clone()), Some(vec![Some(40), None]));
}

#[test]
fn an_exclusive_ask_holds_messages_until_its_answer() {
    let mut stage = stage();
    let effects = turn(&mut stage, 5);
    assert!(effects.is_exclusive());
    let question = effects.sent_to(stage.questions).remove(0);
    assert_eq!(turn(&mut stage, 1).outcome(), &Outcome::NoTurn);
    let effects = stage.sampler.deliver(question.reply_to, &Number { n: 40 });
    assert_eq!(numbers_in(&effects, stage.inbox), [77, 0, 1, 2]);
}

#[test]
fn outcomes_are_seen() {
    let mut stage = stage();
    assert_eq!(turn(&mut stage, 7).outcome(), &Outcome::Stash);
    let effects = turn(&mut stage, 6);
    assert_eq!(effects.outcome(), &Outcome::Become("other"));
    assert_eq!(stage.sampler.behavior(), "other");
    assert_eq!(numbers_in(&effects, stage.inbox), [1_007], "the stashed message follows");
    for (n, outcome) in [
        (8, Outcome::Stop),
        (9, Outcome::Failed(Failure::Panic("on purpose".into()))),
        (10, Outcome::Failed(Failure::Fault)),
    ] {
        let mut stage = self::stage();
        let effects = turn(&mut stage, n);
        assert_eq!(effects.outcome(), &outcome);
        assert!(effects.is_empty());
        assert_eq!(turn(&mut stage, 1).outcome(), &Outcome::NoTurn);
    }
}

#[test]
fn a_local_payload_can_be_looked_at_and_is_freed() {
    let mut stage = stage();
    let before = Arc::strong_count(&stage.payload);
    let effects = turn(&mut stage, 11);
    let mut parcels = 0;
    effects.each_sent_to(stage.parcels, |_| parcels += 1);
    assert_eq!(parcels, 1);
    assert_eq!(Arc::strong_count(&stage.payload), before);
}

#[test]
fn work_names_signals_and_ports_are_seen() {
    let mut stage = stage();
    let effects = turn(&mut stage, 12);
    assert_eq!((effects.work_begun(), effects.unregistered()), (1, &["sampler".to_owned()][..]));
    let taken = Signal::Unregistered { name: "x".into() };
    assert_eq!(numbers_in(&stage.sampler.signal(taken), stage.inbox), [5]);
    let effects = stage.sampler.port_turn(&Text { text: "three".into() });
    assert_eq!(numbers_in(&effects, stage.inbox), [5]);
}

#[test]
fn a_reference_of_another_actors_surroundings_sees_nothing() {
    let (mut one, two) = (stage(), stage());
    let effects = turn(&mut one, 1);
    assert!(numbers_in(&effects, two.inbox).is_empty());
    assert_ne!(one.inbox, two.inbox);
}
