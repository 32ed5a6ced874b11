//! What was promised, and a record of everything that was done: any contradiction between them is [`Broken`].

use std::collections::BTreeMap;

use mainspring_transport::link::credit::Volume;

use crate::network::ConnectionId;

/// A message, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: usize,
    pub flow: Flow,
    /// Counts the messages of the flow.
    pub number: u64,
    /// The incarnation that it is for.
    pub to: u32,
}

/// What has to stay in order: from one core of an incarnation to one core of another, on one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    pub from: u32,
    pub from_core: u16,
    pub to_core: u16,
    pub is_bulk: bool,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

/// What a node did, for the record.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A frame of a message was given to a connection.
    Sent { connection: ConnectionId, message: Message },
    /// A message was handed to its receiver.
    Delivered { message: Message, at: u32 },
    /// A message was counted as dropped, by the sender or by the receiver.
    DeadLetter { message: usize },
    /// A connection ended; so much of what its sender sent may be lost.
    Ended { connection: ConnectionId, from: u32, maybe_lost: Volume },
    /// A control frame was taken by the sender.
    ControlPushed { from: u32, to: u32, body: u64 },
    /// A control frame was acted on.
    ControlTaken { from: u32, to: u32, body: u64 },
    /// The lane between two incarnations is over.
    ControlOver { from: u32, to: u32 },
    /// What an honest peer never causes.
    Error(String),
}

#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    from: u32,
    is_delivered: bool,
    is_dead_letter: bool,
    is_maybe_lost: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    pushed: u64,
    taken: u64,
    is_over: bool,
}

/// The record.
#[derive(Default)]
pub struct Ledger {
    fates: Vec<Fate>,
    /// Of each connection and sender, the messages of its frames in order.
    sent: BTreeMap<(ConnectionId, u32), Vec<usize>>,
    last_numbers: BTreeMap<(Flow, u32), u64>,
    lanes: BTreeMap<(u32, u32), Lane>,
    pub maybe_lost_messages: u64,
    pub delivered_messages: u64,
    pub dead_letters: u64,
    pub control_taken: u64,
    pub lanes_over: u64,
}

impl Ledger {
    /// A message that is about to be sent by an incarnation.
    pub fn begin(&mut self, from: u32) -> usize {
        self.fates.push(Fate { from, ..Fate::default() });
        self.fates.len() - 1
    }

    pub fn record(&mut self, deed: Deed) -> Result<(), Broken> {
        match deed {
            Deed::Sent { connection, message } => {
                self.sent.entry((connection, message.flow.from)).or_default().push(message.id);
                Ok(())
            }
            Deed::Delivered { message, at } => self.delivered(message, at),
            Deed::DeadLetter { message } => {
                self.dead_letters += 1;
                self.fates[message].is_dead_letter = true;
                Ok(())
            }
            Deed::Ended { connection, from, maybe_lost } => {
                self.ended(connection, from, maybe_lost)
            }
            Deed::ControlPushed { from, to, body } => {
                let lane = self.lanes.entry((from, to)).or_default();
                lane.pushed += 1;
                expect(body == lane.pushed, || format!("control {body} pushed out of turn"))
            }
            Deed::ControlTaken { from, to, body } => {
                self.control_taken += 1;
                let lane = self.lanes.entry((from, to)).or_default();
                lane.taken += 1;
                let taken = lane.taken;
                expect(body == taken, || {
                    format!("{to} took control frame {body} of {from} where {taken} was next")
                })
            }
            Deed::ControlOver { from, to } => {
                self.lanes_over += 1;
                self.lanes.entry((from, to)).or_default().is_over = true;
                Ok(())
            }
            Deed::Error(text) => Err(Broken(text)),
        }
    }

    /// Everything is quiet: nothing may be missing without somebody having said so.
    pub fn finish(&self, alive: &[u32]) -> Result<(), Broken> {
        for (id, fate) in self.fates.iter().enumerate() {
            let is_known = fate.is_delivered || fate.is_dead_letter || fate.is_maybe_lost;
            expect(is_known || !alive.contains(&fate.from), || {
                format!("message {id} of {} vanished without a word", fate.from)
            })?;
        }
        for ((from, to), lane) in &self.lanes {
            let is_alive = alive.contains(from) && alive.contains(to) && !lane.is_over;
            expect(!is_alive || lane.pushed == lane.taken, || {
                format!("{to} took {} of {} control frames of {from}", lane.taken, lane.pushed)
            })?;
        }
        Ok(())
    }

    fn delivered(&mut self, message: Message, at: u32) -> Result<(), Broken> {
        self.delivered_messages += 1;
        expect(message.to == at, || format!("{message:?} was delivered to {at}"))?;
        let fate = &mut self.fates[message.id];
        expect(!fate.is_delivered, || format!("{message:?} was delivered twice"))?;
        expect(!fate.is_dead_letter, || format!("{message:?} was delivered and is a dead letter"))?;
        fate.is_delivered = true;
        let last = self.last_numbers.entry((message.flow, at)).or_default();
        expect(message.number > *last, || format!("{message:?} came after number {last}"))?;
        *last = message.number;
        Ok(())
    }

    /// What was sent before the part that may be lost has to have arrived.
    fn ended(
        &mut self,
        connection: ConnectionId,
        from: u32,
        maybe_lost: Volume,
    ) -> Result<(), Broken> {
        let sent = self.sent.remove(&(connection, from)).unwrap_or_default();
        let lost = maybe_lost.frames as usize;
        expect(lost <= sent.len(), || {
            format!("connection {connection}: {lost} of {} frames of {from} lost", sent.len())
        })?;
        let (certain, uncertain) = sent.split_at(sent.len() - lost);
        for id in uncertain {
            self.fates[*id].is_maybe_lost = true;
        }
        self.maybe_lost_messages += uncertain.len() as u64;
        for id in certain {
            let fate = self.fates[*id];
            let is_known = fate.is_delivered || fate.is_dead_letter || fate.is_maybe_lost;
            expect(is_known, || {
                format!(
                    "connection {connection}: message {id} of {from} is gone, and not said to be"
                )
            })?;
        }
        Ok(())
    }
}

fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(otherwise())) }
}
