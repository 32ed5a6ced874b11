//! Actors that tell, ask and watch each other as they are told to.

use std::collections::BTreeMap;
use std::time::Duration;

use mainspring::prelude::*;

use crate::ledger::{Shared, TalkerId, padding_of};

/// After so long a question ends without an answer.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// What a talker takes.
#[message]
pub enum Talk {
    /// From the test: tell another one so much.
    TellIt {
        to: ActorRef<Talk>,
        of: u64,
        count: u64,
    },
    /// From the test: ask it.
    AskIt {
        to: ActorRef<Talk>,
    },
    /// From the test: watch it.
    WatchIt {
        to: ActorRef<Talk>,
        of: u64,
    },
    Told {
        from: u64,
        number: u64,
        padding: Vec<u8>,
    },
    Question {
        number: u64,
        reply_to: ActorRef<Answer>,
    },
}

#[message]
pub struct Answer {
    number: u64,
}

/// See the module's header.
pub struct Talker {
    id: TalkerId,
    ledger: Shared,
    watched: BTreeMap<Address, TalkerId>,
}

impl Talker {
    pub fn new(id: TalkerId, ledger: Shared) -> Talker {
        Talker { id, ledger, watched: BTreeMap::new() }
    }

    fn on_answer(
        &mut self,
        _: &mut Context<Self>,
        answer: Result<&Archived<Answer>, AskError>,
    ) -> Next<Self> {
        let number = answer.ok().map(|answer| answer.number.to_native());
        self.ledger.borrow_mut().answered(self.id, number);
        Next::Same
    }
}

impl Actor for Talker {
    type Message = Talk;

    fn receive(&mut self, ctx: &mut Context<Self>, talk: &Archived<Talk>) -> Next<Self> {
        match talk {
            ArchivedTalk::TellIt { to, of, count } => {
                for _ in 0..count.to_native() {
                    let number = self.ledger.borrow_mut().sends(self.id, of.to_native());
                    let padding = padding_of(number);
                    ctx.tell(*to, &Talk::Told { from: self.id, number, padding });
                }
            }
            ArchivedTalk::AskIt { to } => {
                let number = self.ledger.borrow_mut().asks(self.id);
                let question = |reply_to| Talk::Question { number, reply_to };
                ctx.ask(*to, question, DEADLINE, Self::on_answer);
            }
            ArchivedTalk::WatchIt { to, of } => {
                // A second watch of the same actor would be the first one.
                if self.watched.insert(to.address(), of.to_native()).is_none() {
                    self.ledger.borrow_mut().watches(self.id, of.to_native());
                    ctx.watch(*to);
                }
            }
            ArchivedTalk::Told { from, number, padding } => {
                let (from, number) = (from.to_native(), number.to_native());
                self.ledger.borrow_mut().receives(from, self.id, number, padding);
            }
            ArchivedTalk::Question { number, reply_to } => {
                ctx.tell(*reply_to, &Answer { number: number.to_native() });
            }
        }
        Next::Same
    }

    fn signal(&mut self, _: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor, .. } = signal
            && let Some(watched) = self.watched.get(actor)
        {
            self.ledger.borrow_mut().told(self.id, *watched);
        }
        Next::Same
    }
}
