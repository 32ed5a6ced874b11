//! A service that cannot be relied on: the way to its ledgers is simulated.
//!
//! Requests get lost on the way, or their answers do; some are late, after the asker has given up; some are declined.
//! What happens to a request follows from the seed, the key and the attempt.

use std::time::Duration;

use mainspring::message::owned;
use mainspring::prelude::*;

use super::details::drawn;
use super::ledger::LedgerCommand;
use super::order::{ANSWER_WITHIN, ATTEMPTS, OrderCommand};

/// How late a late request is: after all attempts, and a while into the undoing.
const LATE: Duration = Duration::from_millis(
    ANSWER_WITHIN.as_millis() as u64 * (ATTEMPTS * (ATTEMPTS + 1) / 2) as u64 + 50,
);

/// What a service is asked for.
#[message]
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The same for every attempt, and for undoing it.
    pub key: u64,
    /// Whether it is to be undone.
    pub undo: bool,
    /// Which of the service's ledgers.
    pub ledger: u32,
    /// How much.
    pub amount: u64,
    /// The number of this attempt, from 1; 0 for one that was late.
    pub attempt: u32,
    /// Who is told.
    pub reply_to: ActorRef<OrderCommand>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is done and answered.
    Heard,
    /// It is refused.
    Declined,
    /// It is not done, and nobody answers.
    RequestLost,
    /// It is done, and nobody hears of it.
    AnswerLost,
    /// It is done when nobody waits for it any more.
    Late,
}

impl Fate {
    fn of(seed: u64, request: &Archived<Request>) -> Fate {
        let (key, attempt) = (request.key.to_native(), request.attempt.to_native());
        if attempt == 0 {
            return Fate::AnswerLost;
        }
        let of_attempt =
            drawn(seed, key, u64::from(attempt) << 1 | u64::from(request.undo)) % 1_000;
        // One step in 250 has bad luck with every attempt.
        if !request.undo && drawn(seed, key, 0).is_multiple_of(250) {
            return match of_attempt % 3 {
                0 => Fate::RequestLost,
                1 => Fate::AnswerLost,
                _ => Fate::Late,
            };
        }
        match of_attempt {
            0..10 => Fate::RequestLost,
            10..20 => Fate::AnswerLost,
            20..23 => Fate::Late,
            23..45 if !request.undo => Fate::Declined,
            _ => Fate::Heard,
        }
    }
}

/// A service.
pub struct Service {
    name: &'static str,
    seed: u64,
    ledgers: Vec<ActorRef<LedgerCommand>>,
}

impl Service {
    /// The service with these ledgers, known by this name.
    pub fn new(name: &'static str, seed: u64, ledgers: Vec<ActorRef<LedgerCommand>>) -> Service {
        Service { name, seed, ledgers }
    }

    fn pass_on(&self, ctx: &mut Context<'_, Self>, request: &Archived<Request>, fate: Fate) {
        let Some(ledger) = self.ledgers.get(request.ledger.to_native() as usize) else { return };
        let key = request.key.to_native();
        let reply_to = (fate != Fate::AnswerLost).then_some(request.reply_to);
        let command = if request.undo {
            LedgerCommand::GiveBack { key, reply_to }
        } else {
            let (amount, declined) = (request.amount.to_native(), fate == Fate::Declined);
            LedgerCommand::Take { key, amount, declined, reply_to }
        };
        ctx.tell(*ledger, &command);
    }
}

impl Actor for Service {
    type Message = Request;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.register(self.name);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, request: &Archived<Request>) -> Next<Self> {
        match Fate::of(self.seed, request) {
            Fate::RequestLost => {}
            Fate::Late => {
                if let Ok(late) = owned::<Request>(request) {
                    let late = Request { attempt: 0, ..late };
                    // One for each key: a request that is late twice comes once.
                    ctx.timer(late.key).after(LATE, &late);
                }
            }
            fate => self.pass_on(ctx, request, fate),
        }
        Next::Same
    }
}
