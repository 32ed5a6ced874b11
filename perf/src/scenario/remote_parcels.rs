//! Payloads in a stream to actors of a linked node: one pair of actors or five, with the sizes that the throughput test
//! of Pekko's Artery has (`MaxThroughputSpec`: 1-to-1 with 100, 1,000 and 10,240 bytes, 5-to-5 with 100).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainspring::prelude::*;

use super::remote::{end, linked};
use super::stage::{Course, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};

/// Messages of each pair before those that count.
const WARM_UP: u64 = 20_000;

/// The most that a sender sends in one turn.
const BYTES_A_TURN: usize = 64 << 10;

/// Senders on one node, each with a receiver of its own on another.
pub struct RemoteParcels {
    description: &'static Description,
    pairs: u64,
    payload_bytes: usize,
}

const fn described(
    name: &'static str,
    measures: &'static str,
    limit: Option<&'static str>,
    default_messages: u64,
) -> Description {
    Description {
        name,
        measures,
        cpus_needed: 2,
        limit,
        default_messages,
        counted_messages: 20_000,
        latency_sample: None,
        actor_state_bytes: None,
        idle: Some(IdleProfile::Busy),
    }
}

macro_rules! parcels {
    ($name:ident, $pairs:literal, $bytes:literal, $description:expr) => {
        /// See the module's header.
        pub static $name: RemoteParcels = RemoteParcels {
            description: {
                static DESCRIPTION: Description = $description;
                &DESCRIPTION
            },
            pairs: $pairs,
            payload_bytes: $bytes,
        };
    };
}

parcels!(
    ONE_100,
    1,
    100,
    described(
        "remote-stream-100",
        "a payload of 100 bytes in a stream from one actor to one of a linked node",
        None,
        2_000_000
    )
);
parcels!(
    ONE_1K,
    1,
    1_000,
    described(
        "remote-stream-1k",
        "a payload of 1,000 bytes in a stream from one actor to one of a linked node",
        None,
        500_000
    )
);
parcels!(
    ONE_10K,
    1,
    10_240,
    described(
        "remote-stream-10k",
        "a payload of 10,240 bytes in a stream from one actor to one of a linked node",
        Some("raw-socket-stream-10k"),
        100_000
    )
);
parcels!(
    FIVE_100,
    5,
    100,
    described(
        "remote-stream-5-to-5",
        "a payload of 100 bytes in streams from five actors to five of a linked node",
        None,
        2_000_000
    )
);

impl Scenario for RemoteParcels {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let each = round.messages.div_ceil(self.pairs);
        let (stage, course, far) = linked(round)?;
        let in_order = Arc::new(AtomicU64::new(0));
        let (pairs, payload_bytes) = (self.pairs, self.payload_bytes);
        let referee = Referee { course: course.clone(), pairs, ended: 0, senders: Vec::new() };
        let referee = far.actor(move || referee.clone()).start();
        let referee = referee.map_err(runtime("make the referee"))?;
        for _ in 0..pairs {
            let in_order = Arc::clone(&in_order);
            let make = move || Receiver {
                next: 0,
                until: WARM_UP,
                each,
                referee,
                in_order: Arc::clone(&in_order),
            };
            let to = far.actor(make).start().map_err(runtime("make a receiver"))?;
            let pause = course.pause();
            let make = move || Sender {
                to,
                pause,
                number: 0,
                until: WARM_UP,
                each,
                payload: vec![1; payload_bytes],
            };
            stage.node().actor(make).start().map_err(runtime("make a sender"))?;
        }
        let latencies = stage.finish()?;
        end(far)?;
        let expected = pairs * (WARM_UP + each);
        check(
            "the number of parcels that came in order",
            expected,
            in_order.load(Ordering::Relaxed),
        )?;
        Ok(Outcome { messages: pairs * each, latencies, sum: None })
    }
}

/// Part of a stream.
#[message]
struct Parcel {
    number: u64,
    from: ActorRef<GoOn>,
    payload: Vec<u8>,
}

/// A sender is to go on: by its own word, or with the stretch that counts.
#[message]
struct GoOn {
    is_measured: bool,
}

/// A receiver has all of a stretch.
#[message]
struct AllHere {
    sender: ActorRef<GoOn>,
}

/// Sends as fast as its node takes it. What finds no room is sent again in the next turn.
struct Sender {
    to: ActorRef<Parcel>,
    pause: std::time::Duration,
    number: u64,
    until: u64,
    each: u64,
    payload: Vec<u8>,
}

impl Sender {
    /// Sends as much as one turn may. Whether there is more of this stretch.
    fn send(&mut self, ctx: &mut Context<'_, Self>) -> bool {
        let a_turn = (BYTES_A_TURN / self.payload.len()) as u64;
        let end = self.until.min(self.number + a_turn);
        let payload = std::mem::take(&mut self.payload);
        let mut parcel = Parcel { number: self.number, from: ctx.me(), payload };
        while parcel.number < end && ctx.try_tell(self.to, &parcel).is_ok() {
            parcel.number += 1;
        }
        (self.number, self.payload) = (parcel.number, parcel.payload);
        self.number < self.until
    }
}

impl Actor for Sender {
    type Message = GoOn;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.pause, &GoOn { is_measured: false });
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, go_on: &Archived<GoOn>) -> Next<Self> {
        if go_on.is_measured {
            self.until = WARM_UP + self.each;
        }
        if self.send(ctx) {
            ctx.tell(ctx.me(), &GoOn { is_measured: false });
        }
        Next::Same
    }
}

/// Looks whether each parcel is the one that was to come.
struct Receiver {
    next: u64,
    until: u64,
    each: u64,
    referee: ActorRef<AllHere>,
    in_order: Arc<AtomicU64>,
}

impl Actor for Receiver {
    type Message = Parcel;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, parcel: &Archived<Parcel>) -> Next<Self> {
        if parcel.number == self.next && parcel.payload.first() == Some(&1) {
            self.next += 1;
        }
        if self.next == self.until {
            if self.until == WARM_UP + self.each {
                self.in_order.fetch_add(self.next, Ordering::Relaxed);
            }
            self.until = WARM_UP + self.each;
            ctx.tell(self.referee, &AllHere { sender: parcel.from });
        }
        Next::Same
    }
}

/// Begins the section when all pairs are warm, and ends it when all have everything.
#[derive(Clone)]
struct Referee {
    course: Course,
    pairs: u64,
    ended: u64,
    senders: Vec<ActorRef<GoOn>>,
}

impl Actor for Referee {
    type Message = AllHere;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, here: &Archived<AllHere>) -> Next<Self> {
        self.ended += 1;
        self.senders.push(here.sender);
        if self.ended == self.pairs {
            self.course.begin();
            for sender in self.senders.drain(..) {
                ctx.tell(sender, &GoOn { is_measured: true });
            }
        }
        if self.ended == 2 * self.pairs {
            self.course.end(None);
        }
        Next::Same
    }
}
