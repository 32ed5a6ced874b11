//! `savina-thread-ring`: a token goes round a ring of actors.

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{THREAD_RING_ACTORS, THREAD_RING_HOPS};
use tokio::sync::oneshot;

use super::stage;

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let (done, hops) = oneshot::channel();
        let ring = Ring { members: Vec::new(), stopped: 0, hops: 0, done: Some(done) };
        let ring = stage.start(ring);
        let members: Vec<Addr<Member>> = (0..THREAD_RING_ACTORS)
            .map(|_| {
                let member = Member { hops: 0, next: None, ring: ring.clone() };
                stage.start(member)
            })
            .collect();
        for (member, next) in members.iter().zip(members.iter().cycle().skip(1)) {
            member.do_send(ToMember::Next(next.clone()));
        }
        ring.do_send(ToRing::Begin(members));
        hops.await.unwrap_or(0)
    })
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToMember {
    Next(Addr<Member>),
    /// The token, with the number of hops that are left, this one counted.
    Token(u64),
    Stop,
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToRing {
    Begin(Vec<Addr<Member>>),
    /// The token has made its last hop.
    Arrived,
    /// A member has stopped.
    Stopped {
        hops: u64,
    },
}

struct Member {
    hops: u64,
    next: Option<Addr<Member>>,
    ring: Addr<Ring>,
}

impl Actor for Member {
    type Context = Context<Self>;
}

impl Handler<ToMember> for Member {
    type Result = ();

    fn handle(&mut self, message: ToMember, ctx: &mut Self::Context) {
        match message {
            ToMember::Next(next) => self.next = Some(next),
            ToMember::Token(left) => {
                self.hops += 1;
                match &self.next {
                    Some(next) if left > 1 => next.do_send(ToMember::Token(left - 1)),
                    _ => self.ring.do_send(ToRing::Arrived),
                }
            }
            ToMember::Stop => {
                self.ring.do_send(ToRing::Stopped { hops: self.hops });
                ctx.stop();
            }
        }
    }
}

/// Begins the round, and adds up the hops that the members have counted.
struct Ring {
    members: Vec<Addr<Member>>,
    stopped: usize,
    hops: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Ring {
    type Context = Context<Self>;
}

impl Handler<ToRing> for Ring {
    type Result = ();

    fn handle(&mut self, message: ToRing, ctx: &mut Self::Context) {
        match message {
            ToRing::Begin(members) => {
                self.members = members;
                self.members[0].do_send(ToMember::Token(THREAD_RING_HOPS));
            }
            ToRing::Arrived => {
                self.members.iter().for_each(|member| member.do_send(ToMember::Stop));
            }
            ToRing::Stopped { hops } => {
                self.hops += hops;
                self.stopped += 1;
                if self.stopped == self.members.len() {
                    if let Some(done) = self.done.take() {
                        let _ = done.send(self.hops);
                    }
                    ctx.stop();
                }
            }
        }
    }
}
