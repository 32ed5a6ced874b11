//! Two processes that serve each other's keys.
//!
//! Each key belongs to one of them, by its hash, and for ever. A connection asks the entities of the other process
//! through a port there: an actor that is found by its name, and that passes requests on to entities; their answers
//! come straight to the connection. While the other process is away, its keys are refused and the own ones go on.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mainspring::ArchivedNameFound;
use mainspring::prelude::*;
use mainspring_sharding::EntityTarget;
use mainspring_transport::Links;
use xxhash_rust::xxh3::xxh3_64;

use super::connection::Key;
use super::operation::{Answer, Request};
use super::reply::Reply;

/// By which each process finds the other's port.
const PORT_NAME: &str = "sessions.port";
/// How often a process looks for the other one.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long it waits for word of it.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

/// Which of the two a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Waits for the other one.
    Listens,
    /// Connects to the other one.
    Joins,
}

impl Side {
    /// Whose key it is.
    fn of(key: &[u8]) -> Side {
        match xxh3_64(key) >> 63 {
            0 => Side::Listens,
            _ => Side::Joins,
        }
    }
}

/// What the connections of a process know of the other one.
#[derive(Debug)]
pub struct Pair {
    side: Side,
    /// The other one's port, while it is there.
    port: RwLock<Option<ActorRef<PortMessage>>>,
}

impl Pair {
    /// The other process was not found yet.
    pub fn new(side: Side) -> Pair {
        Pair { side, port: RwLock::new(None) }
    }

    /// Whether the other process has this key.
    pub fn is_elsewhere(&self, key: &[u8]) -> bool {
        Side::of(key) != self.side
    }

    /// The way to the keys of the other process.
    pub fn port(&self) -> Option<ActorRef<PortMessage>> {
        *self.port.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_port(&self, port: Option<ActorRef<PortMessage>>) {
        *self.port.write().unwrap_or_else(PoisonError::into_inner) = port;
    }
}

/// What a port understands.
#[message(name = "sessions.port_message")]
pub enum PortMessage {
    /// For a key of this process.
    Forwarded { key: Vec<u8>, request: Request },
    /// Time to look for the other process.
    Look,
}

/// The port of a process.
pub struct PairPort {
    entity_type: u64,
    pair: Arc<Pair>,
    links: Links,
}

impl PairPort {
    /// The port to entities of this type.
    pub fn new(entity_type: u64, pair: Arc<Pair>, links: Links) -> PairPort {
        PairPort { entity_type, pair, links }
    }

    fn pass_on(&self, ctx: &mut Context<'_, Self>, key: &[u8], request: &Archived<Request>) {
        let Ok(request) = mainspring::message::owned::<Request>(request) else { return };
        let entity = Key { entity_type: self.entity_type, id: key };
        if let Err(error) = entity.tell(ctx, &request) {
            let reply = Reply::error(format_args!("TRYAGAIN nothing was done: {error}"));
            ctx.tell(request.reply_to, &Answer::Of { ticket: request.ticket, reply });
        }
    }

    fn look(&self, ctx: &mut Context<'_, Self>) {
        if self.pair.port().is_some() {
            return;
        }
        for node in self.links.nodes() {
            let _ = ctx.lookup_on(node.incarnation, PORT_NAME, FOUND_WITHIN, Self::found);
        }
    }

    fn found(
        &mut self,
        ctx: &mut Context<'_, Self>,
        found: Result<&ArchivedNameFound, AskError>,
    ) -> Next<Self> {
        // Nobody there, or not yet: the next look tries again.
        if let Ok(Ok(port)) = found.map(|found| found.actor::<PortMessage>()) {
            ctx.watch(port);
            self.pair.set_port(Some(port));
        }
        Next::Same
    }
}

impl Actor for PairPort {
    type Message = PortMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.register(PORT_NAME);
        ctx.timer("look").every(LOOK_EVERY, &PortMessage::Look);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<PortMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedPortMessage::Forwarded { key, request } => self.pass_on(ctx, key, request),
            ArchivedPortMessage::Look => self.look(ctx),
        }
        Next::Same
    }

    fn signal(&mut self, _: &mut Context<'_, Self>, signal: &Signal) -> Next<Self> {
        if let Signal::Terminated { actor, .. } = signal
            && self.pair.port().is_some_and(|port| port.address() == *actor)
        {
            self.pair.set_port(None);
        }
        Next::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_belongs_to_one_side_and_about_half_of_them_to_each() {
        let (one, other) = (Pair::new(Side::Listens), Pair::new(Side::Joins));
        let keys: Vec<String> = (0..1_000).map(|number| format!("key {number}")).collect();
        let elsewhere =
            |pair: &Pair| keys.iter().filter(|key| pair.is_elsewhere(key.as_bytes())).count();
        assert_eq!(elsewhere(&one) + elsewhere(&other), keys.len());
        assert!((400..600).contains(&elsewhere(&one)), "{}", elsewhere(&one));
    }
}
