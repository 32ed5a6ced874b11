//! The actors of the node that connects: they measure.

use std::time::{Duration, Instant};

use mainspring::prelude::*;

use crate::latency::{Laps, RoundTrip};
use crate::message::{ArchivedProgress, Ball, Item, Progress};

/// Round trips before the first that counts.
const WARM_UP: u64 = 2_000;

/// Bytes of a stream that may be under way: less than a link's outbox and credit hold, so that nothing is refused.
const UNDER_WAY_BYTES: u64 = 2 << 20;

/// The most messages of a stream that are under way.
const MOST_UNDER_WAY: u64 = 32_768;

/// The most messages of a stream between two words of how far it has come. A turn sends twice as many.
const MOST_A_STEP: u64 = 512;

/// What an item takes on the wire besides its payload, at most.
const ITEM_BYTES: u64 = 128;

/// What a stream came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stream {
    pub messages: u64,
    pub out_of_order: u64,
    pub took: Duration,
}

/// What was measured, for the thread that waits.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    pub count: u64,
    pub took_ns: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub out_of_order: u64,
}

impl Measured {
    /// As round trips.
    pub fn round_trip(&self) -> RoundTrip {
        let Measured { count, p50_ns, p99_ns, p999_ns, .. } = *self;
        RoundTrip { count, p50_ns, p99_ns, p999_ns }
    }

    /// As a stream.
    pub fn stream(&self) -> Stream {
        let took = Duration::from_nanos(self.took_ns);
        Stream { messages: self.count, out_of_order: self.out_of_order, took }
    }
}

/// Throws a ball at a wall and waits for it, as long as it should.
pub struct Player {
    wall: ActorRef<Ball>,
    told: ActorRef<Measured>,
    length: Duration,
    number: u64,
    out_of_order: u64,
    payload: Vec<u8>,
    laps: Laps,
    began: Instant,
}

impl Player {
    pub fn new(
        wall: ActorRef<Ball>,
        told: ActorRef<Measured>,
        length: Duration,
        payload_bytes: usize,
    ) -> Player {
        let (laps, began) = (Laps::begin(), Instant::now());
        let payload = vec![0; payload_bytes];
        Player { wall, told, length, number: 0, out_of_order: 0, payload, laps, began }
    }

    fn throw(&mut self, ctx: &mut Context<Self>) {
        let payload = std::mem::take(&mut self.payload);
        let ball = Ball { number: self.number, from: ctx.me(), payload };
        ctx.tell(self.wall, &ball);
        self.payload = ball.payload;
    }
}

impl Actor for Player {
    type Message = Ball;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        self.throw(ctx);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, ball: &Archived<Ball>) -> Next<Self> {
        self.out_of_order += u64::from(ball.number.to_native() != self.number);
        self.number += 1;
        match self.number {
            ..WARM_UP => {}
            WARM_UP => (self.laps, self.began) = (Laps::begin(), Instant::now()),
            _ => self.laps.lap(),
        }
        let took = self.began.elapsed();
        if self.number > WARM_UP && took >= self.length {
            let RoundTrip { count, p50_ns, p99_ns, p999_ns } = self.laps.finish();
            let (took_ns, out_of_order) = (took.as_nanos() as u64, self.out_of_order);
            let measured = Measured { count, took_ns, p50_ns, p99_ns, p999_ns, out_of_order };
            ctx.tell(self.told, &measured);
            return Next::Stop;
        }
        self.throw(ctx);
        Next::Same
    }
}

/// Streams to a drain, as long as it should, with as much under way as a link holds.
pub struct Source {
    drain: ActorRef<Item>,
    told: ActorRef<Measured>,
    length: Duration,
    sent: u64,
    taken: u64,
    window: u64,
    /// Each so many messages the drain says how far it has come. The window is a multiple of it.
    step: u64,
    payload: Vec<u8>,
    began: Instant,
}

impl Source {
    pub fn new(
        drain: ActorRef<Item>,
        told: ActorRef<Measured>,
        length: Duration,
        payload_bytes: usize,
    ) -> Source {
        let window = UNDER_WAY_BYTES / (ITEM_BYTES + payload_bytes as u64);
        let window = window.clamp(1, MOST_UNDER_WAY);
        let step = (window / 4).clamp(1, MOST_A_STEP);
        Source {
            drain,
            told,
            length,
            sent: 0,
            taken: 0,
            window: window / step * step,
            step,
            payload: vec![0; payload_bytes],
            began: Instant::now(),
        }
    }

    /// Sends as much as may be under way: whole steps, so that all is told of.
    fn send(&mut self, ctx: &mut Context<Self>) {
        let more = (self.taken + self.window - self.sent).min(2 * self.step);
        let from = ctx.me();
        for _ in 0..more {
            let payload = std::mem::take(&mut self.payload);
            let wants_progress = (self.sent + 1).is_multiple_of(self.step);
            let item = Item { number: self.sent, from, wants_progress, payload };
            ctx.tell(self.drain, &item);
            self.payload = item.payload;
            self.sent += 1;
        }
        if self.sent < self.taken + self.window {
            // The rest goes in a turn of its own.
            ctx.tell(from, &Progress { taken: self.taken, out_of_order: 0 });
        }
    }
}

impl Actor for Source {
    type Message = Progress;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        self.began = Instant::now();
        self.send(ctx);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, progress: &Archived<Progress>) -> Next<Self> {
        let ArchivedProgress { taken, out_of_order } = progress;
        self.taken = self.taken.max(taken.to_native());
        let took = self.began.elapsed();
        if took < self.length {
            self.send(ctx);
            return Next::Same;
        }
        if self.taken < self.sent {
            return Next::Same;
        }
        ctx.tell(
            self.told,
            &Measured {
                count: self.taken,
                took_ns: took.as_nanos() as u64,
                p50_ns: 0,
                p99_ns: 0,
                p999_ns: 0,
                out_of_order: out_of_order.to_native(),
            },
        );
        Next::Stop
    }
}
