//! One actor makes others, 256 in a turn: what that takes, and how much memory each of them needs.

use std::sync::Arc;

use mainspring::prelude::*;

use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::tell::MESSAGES_A_TURN;
use super::{Description, Outcome, Round, Scenario, ScenarioError};

/// A parent and its children, which stay idle.
pub struct Spawn {
    description: &'static Description,
}

/// The time of a spawn.
pub static SPAWN: Spawn = Spawn {
    description: &Description {
        name: "spawn",
        measures: "one actor made by another of the same core, in memory that was never used before",
        ..COMMON
    },
};

/// The memory of an idle actor.
pub static ACTOR_MEMORY: Spawn = Spawn {
    description: &Description {
        name: "actor-memory",
        measures: "one idle actor: memory beyond its 64 bytes of state",
        actor_state_bytes: Some(STATE_BYTES as u64),
        ..COMMON
    },
};

const COMMON: Description = Description {
    name: "",
    measures: "",
    cpus_needed: 1,
    limit: None,
    default_messages: 1_000_000,
    counted_messages: 100_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for Spawn {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let (stage, course) = Stage::start(round, 1)?;
        let of_children = Arc::clone(&totals);
        let make = move || Parent {
            course: course.clone(),
            totals: Arc::clone(&of_children),
            made: 0,
            end: WARM_UP + measured,
        };
        stage.node().spawn(make).map_err(runtime("make the parent"))?;
        let latencies = stage.finish()?;
        totals.check_count(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }
}

const STATE_BYTES: usize = 64;
const WARM_UP: u64 = 1_000;

/// Makes actors, then tells itself to go on.
struct Parent {
    course: Course,
    totals: Arc<Totals>,
    made: u64,
    end: u64,
}

impl Actor for Parent {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        if self.made == WARM_UP {
            self.course.begin();
        }
        if self.made == self.end {
            self.course.end(None);
            return Next::Same;
        }
        let until = if self.made < WARM_UP { WARM_UP } else { self.end };
        let number = MESSAGES_A_TURN.min(until - self.made);
        for _ in 0..number {
            let totals = Arc::clone(&self.totals);
            ctx.spawn(move || Child::new(Arc::clone(&totals))).start();
        }
        self.made += number;
        let me = ctx.me();
        ctx.tell(me, &Number { number: 0, from: me });
        Next::Same
    }
}

/// Does nothing until it stops.
struct Child {
    totals: Arc<Totals>,
    _rest: [u64; 7],
}

const _: () = assert!(size_of::<Child>() == STATE_BYTES);

impl Child {
    fn new(totals: Arc<Totals>) -> Self {
        Child { totals, _rest: [0; 7] }
    }
}

impl Actor for Child {
    type Message = Number;

    fn receive(&mut self, _: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        Next::Same
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        self.totals.add(0, 1);
    }
}
