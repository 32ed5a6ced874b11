//! An ingestion actor: reads its share of the file and tells every flight to the shadows of its parties.
//!
//! It sends a few flights a turn and then lets the others of its core go on. A full queue loses nothing: the message is
//! sent again a moment later. It learns the addresses of shadows from the directories as it goes.

use super::directory::DirectoryMessage;
use super::latency::Stamp;
use super::pace::Pace;
use super::party::Party;
use super::route::{Route, Step};
use super::shadow::{Seen, ShadowMessage};
use mainspring::message::owned;
use mainspring::prelude::*;
use quanta::Clock;
use std::collections::HashMap;
use std::time::Duration;

/// Messages that are sent in one turn at most. More of them wait longer for the turn to end.
const MESSAGES_A_TURN: usize = 64;
/// How long to leave the core to the others after that.
const BREATH: Duration = Duration::from_micros(1);
/// How long to wait for room in a full queue.
const FULL_PAUSE: Duration = Duration::from_micros(20);

/// What an ingestion actor understands.
#[message]
pub enum IngestMessage {
    /// Send the next flights.
    Continue,
    /// This is the shadow of a party.
    Known { party: Party, shadow: ActorRef<ShadowMessage> },
    /// How far is it?
    Progress { reply_to: ActorRef<Progress> },
}

/// How far an ingestion actor is.
#[message]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Flights whose messages were all sent.
    pub flights: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Whether it has nothing more to send.
    pub finished: bool,
    /// Why it ended early.
    pub failure: Option<String>,
}

/// The actor that reads a share of the file.
pub struct Ingest {
    route: Route,
    pace: Option<Pace>,
    /// When the first flight was due, in the time of the core.
    started_ns: Option<u64>,
    directories: Vec<ActorRef<DirectoryMessage>>,
    shadows: HashMap<Party, ActorRef<ShadowMessage>>,
    clock: Clock,
    finished: bool,
    failure: Option<String>,
}

/// What a turn found when it wanted to send the next message.
enum Attempt {
    Sent,
    Wait(Duration),
    End,
}

impl Ingest {
    /// An actor that sends the messages of `route` when it is told to continue. `directories` has one for each core.
    pub fn new(
        route: Route,
        pace: Option<Pace>,
        directories: Vec<ActorRef<DirectoryMessage>>,
    ) -> Ingest {
        Ingest {
            route,
            pace,
            started_ns: None,
            directories,
            shadows: HashMap::new(),
            clock: Clock::new(),
            finished: false,
            failure: None,
        }
    }

    fn send_some(&mut self, ctx: &mut Context<'_, Self>) {
        for _ in 0..MESSAGES_A_TURN {
            match self.send_one(ctx) {
                Attempt::Sent => {}
                Attempt::Wait(pause) => return Self::continue_after(ctx, pause),
                Attempt::End => {
                    self.finished = true;
                    return;
                }
            }
        }
        Self::continue_after(ctx, BREATH);
    }

    fn continue_after(ctx: &mut Context<'_, Self>, pause: Duration) {
        ctx.timer("continue").after(pause, &IngestMessage::Continue);
    }

    fn send_one(&mut self, ctx: &mut Context<'_, Self>) -> Attempt {
        let step = match self.route.next() {
            Ok(Some(step)) => step,
            Ok(None) => return Attempt::End,
            Err(error) => {
                self.failure = Some(error.to_string());
                return Attempt::End;
            }
        };
        if let Some(pause) = self.until_due(ctx, &step) {
            return Attempt::Wait(pause);
        }
        match self.tell(ctx, &step) {
            Ok(()) => {
                self.route.sent();
                Attempt::Sent
            }
            Err(TellError::Full) => Attempt::Wait(FULL_PAUSE),
            Err(error) => {
                self.failure = Some(format!("{}: {error}", step.party));
                Attempt::End
            }
        }
    }

    fn until_due(&mut self, ctx: &Context<'_, Self>, step: &Step) -> Option<Duration> {
        let pace = self.pace?;
        let started_ns = *self.started_ns.get_or_insert(ctx.now_ns());
        let due_ns = started_ns.saturating_add(pace.due_ns(step.flight.time, step.pass));
        let pause_ns = due_ns.saturating_sub(ctx.now_ns());
        (pause_ns > 0).then_some(Duration::from_nanos(pause_ns))
    }

    fn tell(&mut self, ctx: &mut Context<'_, Self>, step: &Step) -> Result<(), TellError> {
        let sent: Stamp = self.clock.raw();
        let seen = Seen { sent, role: step.role, flight: step.flight };
        let party = step.party;
        if let Some(shadow) = self.shadows.get(&party) {
            return ctx.try_tell(*shadow, &ShadowMessage::Seen(seen));
        }
        let home = party.home(self.directories.len());
        let Some(&directory) = self.directories.get(home) else { return Err(TellError::Gone) };
        ctx.try_tell(directory, &DirectoryMessage::Forward { party, seen, from: ctx.me() })
    }
}

impl Actor for Ingest {
    type Message = IngestMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<IngestMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedIngestMessage::Continue => self.send_some(ctx),
            ArchivedIngestMessage::Known { party, shadow } => {
                let Ok(party) = owned::<Party>(party) else { return Next::Fault };
                self.shadows.insert(party, *shadow);
            }
            ArchivedIngestMessage::Progress { reply_to } => {
                let progress = Progress {
                    flights: self.route.flights(),
                    messages: self.route.messages(),
                    finished: self.finished,
                    failure: self.failure.clone(),
                };
                ctx.tell(*reply_to, &progress);
            }
        }
        Next::Same
    }
}
