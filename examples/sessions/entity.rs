//! The entity of a key: does what connections ask, and answers when it is durable.
//!
//! A change is given to the [record](super::record), and until that is durable the entity takes nothing more. What has
//! come meanwhile is then done together: one commit is shared by all who want something of one key, however many they
//! are. Without a record, when nothing is to be durable, every answer is given at once.
//!
//! Invariants: an answer says only what is durable, reads included; what a refused change has left in memory is
//! replaced by what is durable before anybody sees it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainspring::prelude::*;
use mainspring_journal::Stored;

use super::operation::{Answer, Request};
use super::record::{ArchivedRecordAnswer, RecordAnswer, RecordCommand};
use super::reply::Reply;
use super::session::{Applied, Session};

/// How long a record may take: beyond it nobody knows whether what it was told is durable.
const RECORD_WITHIN: Duration = Duration::from_secs(8);

const LEAVES: &str = "TRYAGAIN nothing was changed: the session was leaving memory";
const LEFT: &str = "ERR nobody knows whether it was done: the session has ended";

/// What comes behind everything that has come so far.
#[message(name = "sessions.gathered")]
pub struct Gathered;

/// The actor of a key.
pub struct SessionEntity {
    session: Session,
    /// The key, until the record is made.
    id: Vec<u8>,
    is_durable: bool,
    record: Option<ActorRef<RecordCommand>>,
    /// Answers that wait until what they say is durable.
    waiting: Vec<Waiting>,
    has_changed: bool,
    /// More may come that shares the next commit.
    is_gathering: bool,
}

struct Waiting {
    reply_to: ActorRef<Answer>,
    ticket: u64,
    reply: Reply,
}

impl SessionEntity {
    /// The entity of this key.
    pub fn new(id: &[u8], is_durable: bool) -> SessionEntity {
        SessionEntity {
            session: Session::default(),
            id: id.to_vec(),
            is_durable,
            record: None,
            waiting: Vec::new(),
            has_changed: false,
            is_gathering: false,
        }
    }

    /// Gives what has changed to the record, and waits.
    fn keep(&mut self, ctx: &mut Context<'_, Self>, record: ActorRef<RecordCommand>) {
        self.has_changed = false;
        self.is_gathering = false;
        let session = &self.session;
        let command = |reply_to| match session.value {
            Some(_) => RecordCommand::Keep { session: session.clone(), reply_to },
            None => RecordCommand::Drop { reply_to },
        };
        ctx.ask(record, command, RECORD_WITHIN, Self::kept).exclusive();
    }

    fn kept(
        &mut self,
        ctx: &mut Context<'_, Self>,
        answer: Result<&Archived<RecordAnswer>, AskError>,
    ) -> Next<Self> {
        match answer {
            Ok(ArchivedRecordAnswer::Refused { reason }) => {
                let error = format!("MISCONF nothing was changed: {reason}");
                self.answer_all(ctx, Some(&error));
                self.read(ctx)
            }
            Ok(_) => {
                self.answer_all(ctx, None);
                // What has come meanwhile is handled before this.
                self.is_gathering = true;
                let me = ctx.port::<Gathered>();
                ctx.tell(me, &Gathered);
                Next::Same
            }
            Err(error) => {
                let error = format!("ERR nobody knows whether it was done: the journal: {error}");
                self.answer_all(ctx, Some(&error));
                Next::Stop
            }
        }
    }

    /// Takes over what is durable.
    fn read(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let Some(record) = self.record else { return Next::Fault };
        let command = |reply_to| RecordCommand::Read { reply_to };
        ctx.ask(record, command, RECORD_WITHIN, Self::has_read).exclusive();
        Next::Same
    }

    fn has_read(
        &mut self,
        _: &mut Context<'_, Self>,
        answer: Result<&Archived<RecordAnswer>, AskError>,
    ) -> Next<Self> {
        let Ok(ArchivedRecordAnswer::Is { session }) = answer else { return Next::Fault };
        match mainspring::message::owned::<Session>(session) {
            Ok(session) => {
                self.session = session;
                Next::Same
            }
            Err(_) => Next::Fault,
        }
    }

    /// Gives all answers that have waited, or an error in place of each.
    fn answer_all(&mut self, ctx: &mut Context<'_, Self>, error: Option<&str>) {
        for Waiting { reply_to, ticket, reply } in self.waiting.drain(..) {
            let reply = error.map_or(reply, |error| Reply::Error(error.to_owned()));
            ctx.tell(reply_to, &Answer::Of { ticket, reply });
        }
    }

    /// A session that is over is gone, in the journal too.
    fn clear_if_expired(&mut self, ctx: &mut Context<'_, Self>, now_ms: u64) {
        if self.session.has_expired(now_ms) {
            self.session.clear();
            if let Some(record) = self.record {
                ctx.tell(record, &RecordCommand::Forget);
            }
        }
    }
}

impl Actor for SessionEntity {
    type Message = Request;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        if !self.is_durable {
            return Next::Same;
        }
        let record = Stored::new(&self.id[..], Session::default);
        self.id = Vec::new();
        match ctx.spawn_value(record) {
            Ok(record) => self.record = Some(record),
            Err(_) => return Next::Fault,
        }
        self.read(ctx)
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, request: &Archived<Request>) -> Next<Self> {
        let mut now_ms = 0;
        if self.session.needs_time(&request.operation) {
            now_ms = wall_clock_ms();
            self.clear_if_expired(ctx, now_ms);
        }
        let Applied { reply, has_changed } = self.session.apply(&request.operation, now_ms);
        let (reply_to, ticket) = (request.reply_to, request.ticket.to_native());
        let is_durable = !has_changed && self.waiting.is_empty();
        let record = match self.record {
            Some(record) if !is_durable => record,
            _ => {
                ctx.tell(reply_to, &Answer::Of { ticket, reply });
                return Next::Same;
            }
        };
        self.waiting.push(Waiting { reply_to, ticket, reply });
        self.has_changed |= has_changed;
        if !self.is_gathering {
            self.keep(ctx, record);
        }
        Next::Same
    }

    fn stopped(&mut self, ctx: &mut Context<'_, Self>) {
        // What was gathered was not given to the record yet; what was given to it may be durable.
        self.answer_all(ctx, Some(if self.is_gathering { LEAVES } else { LEFT }));
    }
}

impl Port<Gathered> for SessionEntity {
    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Gathered>) -> Next<Self> {
        self.is_gathering = false;
        if let (true, Some(record)) = (self.has_changed, self.record) {
            self.keep(ctx, record);
        }
        Next::Same
    }
}

/// Milliseconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "sessions expire by the clock that clients know; the session itself is told the time"
)]
fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
