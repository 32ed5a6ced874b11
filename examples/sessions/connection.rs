//! A client's connection: reads its requests, asks the entities of their keys, and writes the replies in the order of
//! the requests.
//!
//! All requests that have come are under way together, up to
//! [`MOST_UNDER_WAY`](super::window::MOST_UNDER_WAY); beyond that nothing more is read from the client until some are
//! answered.

use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_sharding::{EntityTarget, EntityTellError};
use mainspring_transport::ingress::{Connection, ConnectionWriter, Output, Received, WriteRefused};

use super::command::{Command, Served};
use super::info::{Course, Server};
use super::operation::{Answer, ArchivedAnswer, Operation, Request};
use super::reply::{Reply, Resp};
use super::request::{Arguments, Parsed, Places};
use super::window::Window;

/// How long a client waits for an answer before it is told that there is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a connection looks for such answers.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes that are written together.
const WRITE_BYTES: usize = 64 << 10;
/// A larger buffer is given back when it is empty.
const KEPT_BYTES: usize = 64 << 10;
/// The ticket of questions whose answers say nothing but that their turn has come.
const NO_TICKET: u64 = u64::MAX;

/// The actor of a connection.
pub struct ClientConnection {
    server: Arc<Server>,
    client: Client,
    writer: Option<ConnectionWriter>,
    places: Places,
    window: Window,
    /// The key that was asked last when the window became full.
    last_key: Vec<u8>,
    /// Replies that are to be written.
    out: Vec<u8>,
    /// Nothing more is taken from the client; when all replies are written, the connection ends.
    is_ending: bool,
}

/// What a connection knows of its client.
#[derive(Debug, Default)]
pub struct Client {
    pub id: u64,
    pub address: String,
    pub name: Vec<u8>,
    pub resp: Resp,
}

/// An entity, by the bytes of its key, in whichever process it is.
pub struct Key<'a> {
    pub entity_type: u64,
    pub id: &'a [u8],
}

impl EntityTarget<Request> for Key<'_> {
    fn entity_type(&self) -> u64 {
        self.entity_type
    }

    fn id(&self) -> &[u8] {
        self.id
    }
}

/// Why a request was not sent. Nothing was done.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    #[error("CLUSTERDOWN nothing was done: this process is out of its cluster; ask another one")]
    Out,
    #[error(
        "CLUSTERDOWN nothing was done: the process that has this key is away; ask again in a moment"
    )]
    Away,
    #[error("TRYAGAIN nothing was done: {0}")]
    Entity(EntityTellError),
}

impl From<EntityTellError> for NotSent {
    fn from(error: EntityTellError) -> NotSent {
        match error {
            EntityTellError::Over => NotSent::Out,
            EntityTellError::Send(TellError::NoRoute | TellError::Gone) => NotSent::Away,
            error => NotSent::Entity(error),
        }
    }
}

impl From<NotSent> for Reply {
    fn from(error: NotSent) -> Reply {
        Reply::error(error)
    }
}

impl ClientConnection {
    /// For a client that has just connected.
    pub fn new(server: Arc<Server>, address: String) -> ClientConnection {
        let client = Client { id: server.next_client(), address, ..Client::default() };
        ClientConnection {
            server,
            client,
            writer: None,
            places: Places::default(),
            window: Window::default(),
            last_key: Vec::new(),
            out: Vec::new(),
            is_ending: false,
        }
    }

    /// Does what these words say. Whether they are about a key.
    fn obey(&mut self, ctx: &mut Context<'_, Self>, arguments: Arguments<'_>) -> bool {
        match Command::parse(arguments) {
            Ok(Command::Key { key, operation }) => {
                let ticket = self.window.open(ctx.now_ns());
                self.ask(ctx, key, ticket, operation);
                return true;
            }
            Ok(Command::Keys { keyed, join }) => {
                let first = self.window.open_joined(ctx.now_ns(), join, keyed.len());
                for (ticket, (key, operation)) in (first..).zip(keyed) {
                    self.ask(ctx, key, ticket, operation);
                }
                return true;
            }
            Ok(Command::Served(served)) => self.serve(&served),
            Err(error) => self.reply(&Reply::error(error)),
        }
        false
    }

    fn ask(&mut self, ctx: &mut Context<'_, Self>, key: &[u8], ticket: u64, operation: Operation) {
        let request = Request { reply_to: ctx.me(), ticket, operation };
        if let Err(error) = self.send(ctx, key, request) {
            self.window.take(ticket, error.into(), self.client.resp, &mut self.out);
        }
    }

    /// Sends a request to the entity of this key, in whichever process it is.
    fn send(
        &self,
        ctx: &mut Context<'_, Self>,
        key: &[u8],
        request: Request,
    ) -> Result<(), NotSent> {
        if self.server.course() == Course::Out {
            return Err(NotSent::Out);
        }
        let entity = Key { entity_type: self.server.entity_type(), id: key };
        Ok(entity.tell(ctx, &request)?)
    }

    fn serve(&mut self, served: &Served<'_>) {
        let reply = self.server.serve(&mut self.client, served);
        self.reply(&reply);
        self.is_ending |= matches!(served, Served::Quit);
    }

    fn reply(&mut self, reply: &Reply) {
        self.window.reply(reply, self.client.resp, &mut self.out);
    }

    /// Nothing more is read until the entity that was asked last has come to this question.
    fn catch_up(&mut self, ctx: &mut Context<'_, Self>) {
        let entity = Key { entity_type: self.server.entity_type(), id: &self.last_key };
        let request =
            |reply_to| Request { reply_to, ticket: NO_TICKET, operation: Operation::Exists };
        // If it cannot be asked, the next bytes try again.
        if let Ok(asked) = entity.ask(ctx, request, ANSWER_WITHIN, Self::caught_up) {
            asked.exclusive();
        }
    }

    fn caught_up(
        &mut self,
        _: &mut Context<'_, Self>,
        _: Result<&Archived<Answer>, AskError>,
    ) -> Next<Self> {
        Next::Same
    }

    /// Writes what is to be written, as far as there is room.
    fn write(&mut self, mut write: impl FnMut(&[u8]) -> Result<(), WriteRefused>) {
        let mut written = 0;
        for part in self.out.chunks(WRITE_BYTES) {
            match write(part) {
                Ok(()) => written += part.len(),
                Err(WriteRefused::Gone { .. } | WriteRefused::Finished { .. }) => {
                    written = self.out.len();
                    break;
                }
                // There will be room: the connection is told.
                Err(_) => break,
            }
        }
        self.out.drain(..written);
        if self.out.is_empty() && self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
    }

    fn next(&self) -> Next<Self> {
        match self.is_ending && self.window.is_empty() && self.out.is_empty() {
            true => Next::Stop,
            false => Next::Same,
        }
    }

    fn write_later(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        if let (false, Some(writer)) = (self.out.is_empty(), self.writer.clone()) {
            self.write(|part| writer.write(ctx, part));
        }
        self.next()
    }

    fn write_now(&mut self, out: &mut Output<'_>) -> Next<Self> {
        if !self.out.is_empty() {
            self.write(|part| out.write(part));
        }
        self.next()
    }

    /// Gives up what has no answer, and ends when the process does.
    fn look(&mut self, now_ns: u64) {
        let before_ns = now_ns.saturating_sub(ANSWER_WITHIN.as_nanos() as u64);
        let error = Reply::error(format_args!(
            "ERR no answer within {} s: nobody knows whether it was done",
            ANSWER_WITHIN.as_secs()
        ));
        self.window.give_up(before_ns, &error, self.client.resp, &mut self.out);
        self.follow_course();
    }

    /// A process that leaves its cluster ends its connections, so that clients turn to another one. One that is out of
    /// it has no answers any more, and refuses what is asked until it ends.
    fn follow_course(&mut self) {
        match self.server.course() {
            Course::Serving => {}
            Course::Leaving => self.is_ending = true,
            Course::Out => {
                let error = "ERR nobody knows whether it was done: this process is out of its cluster; ask another one";
                let error = Reply::Error(error.to_owned());
                self.window.give_up(u64::MAX, &error, self.client.resp, &mut self.out);
            }
        }
    }
}

impl Actor for ClientConnection {
    type Message = Answer;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        match answer {
            ArchivedAnswer::Of { ticket, reply } => {
                let ticket = ticket.to_native();
                self.window.answer(ticket, reply, self.client.resp, &mut self.out);
            }
            ArchivedAnswer::Look => self.look(ctx.now_ns()),
        }
        self.write_later(ctx)
    }
}

impl Connection for ClientConnection {
    fn connected(&mut self, ctx: &mut Context<'_, Self>, writer: &ConnectionWriter) -> Next<Self> {
        self.writer = Some(writer.clone());
        ctx.timer("look").every(LOOK_EVERY, &Answer::Look);
        Next::Same
    }

    fn received(
        &mut self,
        ctx: &mut Context<'_, Self>,
        bytes: &[u8],
        out: &mut Output<'_>,
    ) -> Received<Self> {
        let (mut taken, mut wanted, mut commands) = (0, 0, 0);
        let mut places = std::mem::take(&mut self.places);
        while taken < bytes.len() && !self.is_ending {
            let rest = &bytes[taken..];
            match places.parse(rest) {
                Parsed::Request { bytes } => {
                    let arguments = places.of(rest);
                    taken += bytes;
                    if arguments.len() == 0 {
                        continue;
                    }
                    commands += 1;
                    if self.obey(ctx, arguments) && self.window.is_full() {
                        self.last_key.clear();
                        self.last_key.extend_from_slice(arguments.get(1));
                    }
                    if self.window.is_full() {
                        self.catch_up(ctx);
                        break;
                    }
                }
                Parsed::Incomplete { wanted_bytes } => {
                    wanted = wanted_bytes;
                    break;
                }
                Parsed::Refused(error) => {
                    self.reply(&Reply::error(error));
                    self.is_ending = true;
                }
            }
        }
        self.places = places;
        self.server.count(ctx.core(), commands);
        self.is_ending |= self.server.course() == Course::Leaving;
        if self.is_ending {
            taken = bytes.len();
        }
        let next = self.write_now(out);
        Received::taken(taken).wanting(wanted).then(next)
    }

    fn half_closed(&mut self, _: &mut Context<'_, Self>, out: &mut Output<'_>) -> Next<Self> {
        self.is_ending = true;
        self.write_now(out)
    }

    fn writable(&mut self, _: &mut Context<'_, Self>, out: &mut Output<'_>) -> Next<Self> {
        self.write_now(out)
    }

    fn draining(&mut self, _: &mut Context<'_, Self>, out: &mut Output<'_>) -> Next<Self> {
        self.follow_course();
        self.is_ending = true;
        self.write_now(out)
    }
}
