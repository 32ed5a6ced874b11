//! One actor that tells many on its own core, 256 messages in a turn: in turn, in random order, of one type and of
//! eight, with handlers that do next to nothing and with handlers that work.

use std::sync::Arc;

use mainspring::prelude::*;
use mainspring_perf_contest::Random;

use super::number::{Number, Sink, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};

/// One sender and its receivers on one core.
pub struct Tell {
    description: &'static Description,
    receivers: Receivers,
}

/// Who is told, and in which order.
#[derive(Clone, Copy)]
enum Receivers {
    /// So many of one type, in the order in which they were made, again and again.
    InTurn(usize),
    /// 1,000 of eight types, each message to one drawn at random.
    Mixed,
    /// So many of one type, shuffled once, again and again.
    Shuffled(usize),
    /// The same, of a type whose handler works for some 75 ns.
    ShuffledAndBusy(usize),
}

/// 1,000 receivers, each in turn.
pub static SAME_CORE: Tell = Tell {
    description: &Description {
        name: "tell-same-core",
        measures: "one message of 24 bytes to 1,000 actors of the same core, each in turn",
        limit: Some("raw-memory-loop"),
        ..COMMON
    },
    receivers: Receivers::InTurn(1_000),
};

/// 1,000 receivers of eight types at random.
pub static MIXED: Tell = Tell {
    description: &Description {
        name: "tell-mixed",
        measures: "one message to 1,000 actors of 8 types in random order: the jump to the handler is not foreseen",
        ..COMMON
    },
    receivers: Receivers::Mixed,
};

/// 100,000 receivers in random order.
pub static RANDOM: Tell = Tell {
    description: &Description {
        name: "tell-random",
        measures: "one message to 100,000 actors in random order: their states are not in the nearest cache",
        ..COMMON
    },
    receivers: Receivers::Shuffled(100_000),
};

/// 100,000 receivers in random order, whose handlers work.
pub static RANDOM_75NS: Tell = Tell {
    description: &Description {
        name: "tell-random-75ns",
        measures: "one message to 100,000 actors in random order whose handlers work for some 75 ns",
        limit: Some("raw-handler-work"),
        default_messages: 1_000_000,
        ..COMMON
    },
    receivers: Receivers::ShuffledAndBusy(100_000),
};

const COMMON: Description = Description {
    name: "",
    measures: "",
    cpus_needed: 1,
    limit: None,
    default_messages: 5_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for Tell {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let receivers = self.receivers;
        let warm_up = receivers.warm_up_messages();
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let (stage, course) = Stage::start(round, 1)?;
        let of_receivers = Arc::clone(&totals);
        let make =
            move || Sender::new(receivers, warm_up, measured, course.clone(), of_receivers.clone());
        stage.node().actor(make).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(warm_up + measured)?;
        let sum = Some(totals.measured_sum(warm_up, measured));
        Ok(Outcome { messages: measured, latencies, sum })
    }
}

/// How many messages are sent in one turn.
pub const MESSAGES_A_TURN: u64 = 256;

/// Steps of work that take some 75 ns at 3 GHz, five cycles each.
pub const STEPS_OF_75_NS: u32 = 45;

/// The random order of [`Receivers::Mixed`] repeats after so many messages, which is more than a processor remembers.
const MIXED_ORDER: usize = 1 << 16;

impl Receivers {
    fn number(self) -> usize {
        match self {
            Receivers::Mixed => 1_000,
            Receivers::InTurn(number)
            | Receivers::Shuffled(number)
            | Receivers::ShuffledAndBusy(number) => number,
        }
    }

    fn warm_up_messages(self) -> u64 {
        (self.number() as u64 * 2).max(50_000)
    }

    /// Makes the receivers and returns them in the order in which they are told.
    fn make(self, ctx: &mut Context<'_, Sender>, totals: &Arc<Totals>) -> Vec<ActorRef<Number>> {
        let made: Vec<ActorRef<Number>> = (0..self.number())
            .map(|number| match self {
                Receivers::InTurn(_) | Receivers::Shuffled(_) => sink::<1, 0>(ctx, totals),
                Receivers::ShuffledAndBusy(_) => sink::<1, STEPS_OF_75_NS>(ctx, totals),
                Receivers::Mixed => match number % 8 {
                    0 => sink::<1, 0>(ctx, totals),
                    1 => sink::<2, 0>(ctx, totals),
                    2 => sink::<3, 0>(ctx, totals),
                    3 => sink::<4, 0>(ctx, totals),
                    4 => sink::<5, 0>(ctx, totals),
                    5 => sink::<6, 0>(ctx, totals),
                    6 => sink::<7, 0>(ctx, totals),
                    _ => sink::<8, 0>(ctx, totals),
                },
            })
            .collect();
        // The same sequence each time, so that every round does the same.
        let mut random = Random::seeded(1);
        match self {
            Receivers::InTurn(_) => made,
            Receivers::Mixed => {
                (0..MIXED_ORDER).map(|_| made[random.below(made.len() as u64) as usize]).collect()
            }
            Receivers::Shuffled(_) | Receivers::ShuffledAndBusy(_) => shuffled(made, &mut random),
        }
    }
}

fn sink<const WEIGHT: u64, const STEPS: u32>(
    ctx: &mut Context<'_, Sender>,
    totals: &Arc<Totals>,
) -> ActorRef<Number> {
    let totals = Arc::clone(totals);
    ctx.spawn(move || Sink::<WEIGHT, STEPS>::new(&totals)).start()
}

fn shuffled<T>(mut items: Vec<T>, random: &mut Random) -> Vec<T> {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last as u64 + 1) as usize);
    }
    items
}

/// Tells its receivers the numbers from 0 up, then itself to go on.
struct Sender {
    receivers: Receivers,
    totals: Arc<Totals>,
    course: Course,
    order: Vec<ActorRef<Number>>,
    next: usize,
    number: u64,
    /// The section begins before this number.
    begin: u64,
    /// The section ends before this number.
    end: u64,
}

impl Sender {
    fn new(
        receivers: Receivers,
        warm_up: u64,
        measured: u64,
        course: Course,
        totals: Arc<Totals>,
    ) -> Self {
        let (begin, end) = (warm_up, warm_up + measured);
        Sender { receivers, totals, course, order: Vec::new(), next: 0, number: 0, begin, end }
    }
}

impl Actor for Sender {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.order = self.receivers.make(ctx, &self.totals);
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    // The queue keeps its order: when the sender is told to go on, all that it sent before has been handled.
    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        if self.number == self.begin {
            self.course.begin();
        }
        if self.number == self.end {
            self.course.end(None);
            return Next::Same;
        }
        let until = if self.number < self.begin { self.begin } else { self.end };
        let messages = MESSAGES_A_TURN.min(until - self.number);
        let from = ctx.me();
        for number in self.number..self.number + messages {
            ctx.tell(self.order[self.next], &Number { number, from });
            self.next += 1;
            if self.next == self.order.len() {
                self.next = 0;
            }
        }
        self.number += messages;
        ctx.tell(from, &Number { number: 0, from });
        Next::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_loses_nothing_and_moves_nearly_everything() {
        let mut shuffled = shuffled((0..1_000).collect::<Vec<usize>>(), &mut Random::seeded(1));
        let moved = shuffled.iter().enumerate().filter(|(place, item)| place != *item).count();
        assert!(moved > 900, "{moved}");
        shuffled.sort_unstable();
        assert_eq!(shuffled, (0..1_000).collect::<Vec<usize>>());
    }
}
