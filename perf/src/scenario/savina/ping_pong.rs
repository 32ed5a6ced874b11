//! `savina-ping-pong`: two actors that answer each other.
//!
//! Both live on core 0, also where there are two: only one of them has something to do at any time, so a second core
//! would add the way between cores to every message and take nothing off.

use mainspring::prelude::*;
use mainspring_perf_contest::program::PING_PONG_PINGS;

use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static PING_PONG: Savina<PingPong> = Savina {
    description: &Description {
        name: "savina-ping-pong",
        measures: "one message of 40,000 pings and pongs, with making and stopping the two actors",
        default_messages: 100 * 2 * PING_PONG_PINGS,
        counted_messages: 2 * PING_PONG_PINGS,
        ..COMMON
    },
    program: PingPong { pings: PING_PONG_PINGS },
};

/// The program.
#[derive(Clone)]
pub struct PingPong {
    /// Pings of an iteration.
    pub pings: u64,
}

impl Program for PingPong {
    type Main = PingActor;

    fn messages(&self) -> u64 {
        2 * self.pings
    }

    fn sum(&self) -> u64 {
        self.pings
    }

    fn main_actor(&self, iteration: Iteration) -> PingActor {
        PingActor { iteration, pong: None, left: self.pings, pongs: 0 }
    }
}

/// Asks for a pong.
#[message]
pub struct Ping {
    reply_to: ActorRef<Pong>,
}

/// The answer.
#[message]
pub struct Pong;

/// Sends the pings.
pub struct PingActor {
    iteration: Iteration,
    pong: Option<ActorRef<Ping>>,
    left: u64,
    pongs: u64,
}

impl Actor for PingActor {
    type Message = Pong;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let Ok(pong) = ctx.spawn_value(PongActor) else { return Next::Fault };
        self.pong = Some(pong);
        self.send(ctx)
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Pong>) -> Next<Self> {
        self.pongs += 1;
        self.send(ctx)
    }
}

impl PingActor {
    /// The next ping, or the end.
    #[inline]
    fn send(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        match self.pong {
            Some(pong) if self.left > 0 => {
                self.left -= 1;
                let reply_to = ctx.me();
                ctx.tell(pong, &Ping { reply_to });
                Next::Same
            }
            _ => {
                self.iteration.done(ctx, self.pongs);
                Next::Stop
            }
        }
    }
}

/// Answers each ping.
struct PongActor;

impl Actor for PongActor {
    type Message = Ping;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, ping: &Archived<Ping>) -> Next<Self> {
        ctx.tell(ping.reply_to, &Pong);
        Next::Same
    }
}
