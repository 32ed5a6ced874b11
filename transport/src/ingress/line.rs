//! One connection, between its socket and its actor.

use std::collections::VecDeque;

use mainspring::device::{DeviceTurn, TurnEnd};
use mainspring::net::SocketId;
use mainspring::prelude::*;

use super::connection::{Connection, ConnectionEnd};
use super::writer::{ConnectionWriter, Output};

/// A turn that a connection is owed, beside those with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    Connected,
    Writable,
    HalfClosed,
    Draining,
    Closed(ConnectionEnd),
}

/// A connection. It is gone when its actor and its socket both are.
pub(super) struct Line<C: Connection> {
    pub socket: SocketId,
    pub actor: ActorRef<C::Message>,
    pub writer: ConnectionWriter,
    pub owed: VecDeque<Owed>,
    /// Its actor is busy, and a note comes when it is not.
    pub waits: bool,
    /// Too much waits for the peer.
    pub is_choked: bool,
    pub is_paused: bool,
    /// The actor is gone: what it wrote is sent, and the socket closes.
    pub is_ending: bool,
    pub actor_gone: bool,
    pub peer_finished: bool,
    pub sending_finished: bool,
    pub socket_gone: bool,
    pub last_active_ns: u64,
    /// When it is looked at, if at all.
    pub deadline_ns: Option<u64>,
}

impl<C: Connection> Line<C> {
    pub fn new(
        socket: SocketId,
        actor: ActorRef<C::Message>,
        writer: ConnectionWriter,
        now_ns: u64,
    ) -> Line<C> {
        Line {
            socket,
            actor,
            writer,
            owed: VecDeque::from([Owed::Connected]),
            waits: false,
            is_choked: false,
            is_paused: false,
            is_ending: false,
            actor_gone: false,
            peer_finished: false,
            sending_finished: false,
            socket_gone: false,
            last_active_ns: now_ns,
            deadline_ns: None,
        }
    }

    /// A turn of the actor, with its output.
    pub fn run(
        &self,
        turn: &mut DeviceTurn<'_>,
        work: impl FnOnce(&mut C, &mut Context<'_, C>, &mut Output<'_>) -> Next<C>,
    ) -> TurnEnd {
        let writer = &self.writer;
        turn.run::<C>(self.actor, |actor, ctx| {
            writer.join_turn(ctx);
            work(actor, ctx, &mut writer.output())
        })
    }

    /// A turn that is owed.
    pub fn run_owed(&self, owed: Owed, turn: &mut DeviceTurn<'_>) -> TurnEnd {
        match owed {
            Owed::Connected => {
                let writer = &self.writer;
                self.run(turn, |actor, ctx, _| actor.connected(ctx, writer))
            }
            Owed::Writable => self.run(turn, |actor, ctx, out| actor.writable(ctx, out)),
            Owed::HalfClosed => self.run(turn, |actor, ctx, out| actor.half_closed(ctx, out)),
            Owed::Draining => self.run(turn, |actor, ctx, out| actor.draining(ctx, out)),
            Owed::Closed(end) => self.run(turn, |actor, ctx, _| {
                actor.closed(ctx, end);
                Next::Stop
            }),
        }
    }

    /// The end of the connection comes before everything else that is owed.
    pub fn owe_end(&mut self, end: ConnectionEnd) {
        if !self.owed.iter().any(|owed| matches!(owed, Owed::Closed(_))) {
            self.owed.retain(|owed| *owed == Owed::Connected);
            self.owed.push_back(Owed::Closed(end));
        }
    }
}
