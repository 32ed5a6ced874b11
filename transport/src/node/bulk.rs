//! Large messages on their way out: from the cores that send them to core 0, and there to the one connection for them.
//!
//! Promises: those of one core to one node stay in the order of sending; a message whose connection ended while it was
//! under way is dropped and counted, those behind it wait for the next connection. How much waits is bounded by the
//! budget that each message holds its part of until it is dropped.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use mainspring::device::DeviceTurn;
use mainspring::peer::{BulkBudget, BulkMessage, BulkOutbox};

use super::connection::{BulkQueue, LargeHead};
use super::exchange::{Letter, Outgoing};
use crate::link::chunks::ChunkSettings;

/// One core's large messages for all nodes.
pub(super) struct BulkLanes {
    core: u16,
    settings: ChunkSettings,
    /// By incarnation.
    lanes: BTreeMap<u32, BulkLane>,
}

struct BulkLane {
    outbox: Rc<RefCell<BulkOutbox>>,
    /// On core 0: those of all cores.
    queue: BulkQueue,
    /// The connection that they go by, on core 0, if it stands.
    serial: Option<u64>,
}

impl BulkLanes {
    pub fn new(core: u16, settings: ChunkSettings) -> BulkLanes {
        BulkLanes { core, settings, lanes: BTreeMap::new() }
    }

    /// From now on this core's actors reach a life of a node with large messages.
    pub fn open(&mut self, incarnation: u32, budget: Arc<BulkBudget>, turn: &mut DeviceTurn<'_>) {
        let settings = self.settings;
        self.lanes.entry(incarnation).or_insert_with(|| BulkLane {
            outbox: turn.open_bulk_outbox(incarnation, budget),
            queue: BulkQueue::new(settings),
            serial: None,
        });
    }

    /// A life of a node is gone: how many messages were still to go.
    pub fn close(&mut self, incarnation: u32) -> u64 {
        let Some(lane) = self.lanes.remove(&incarnation) else { return 0 };
        (lane.outbox.borrow_mut().take().len() + lane.queue.len()) as u64
    }

    /// Takes what this core's actors have sent to core 0; how much that was.
    pub fn collect(&mut self, outgoing: &mut Outgoing) -> usize {
        let mut collected = 0;
        for (incarnation, lane) in &mut self.lanes {
            if lane.outbox.borrow().is_empty() {
                continue;
            }
            let messages = lane.outbox.borrow_mut().take();
            for message in messages {
                collected += 1;
                match self.core {
                    0 => lane.push(message),
                    _ => {
                        let incarnation = *incarnation;
                        let message = Box::new(message);
                        outgoing.send(0, Letter::Bulk { incarnation, message });
                    }
                }
            }
        }
        collected
    }

    /// Another core's message has come. False if its node is gone.
    pub fn push(&mut self, incarnation: u32, message: BulkMessage) -> bool {
        let lane = self.lanes.get_mut(&incarnation);
        lane.map(|lane| lane.push(message)).is_some()
    }

    /// The connection to a node stands; how many messages were under way on an older one.
    pub fn stands(&mut self, incarnation: u32, serial: u64) -> u64 {
        let Some(lane) = self.lanes.get_mut(&incarnation) else { return 0 };
        let dropped = lane.serial.replace(serial).and_then(|_| lane.queue.disconnected());
        dropped.map_or(0, |_| 1)
    }

    /// A connection has ended; how many messages were under way on it.
    pub fn ended(&mut self, incarnation: u32, serial: u64) -> u64 {
        let lane = self.lanes.get_mut(&incarnation);
        let Some(lane) = lane.filter(|lane| lane.serial == Some(serial)) else { return 0 };
        lane.serial = None;
        lane.queue.disconnected().map_or(0, |_| 1)
    }

    /// What is to go by this connection.
    pub fn queue(&mut self, incarnation: u32, serial: u64) -> Option<&mut BulkQueue> {
        let lane = self.lanes.get_mut(&incarnation);
        lane.filter(|lane| lane.serial == Some(serial)).map(|lane| &mut lane.queue)
    }

    /// Nodes for which messages wait and no connection stands, and how many bytes of them.
    pub fn waiting(&self) -> impl Iterator<Item = (u32, usize)> {
        let waits = |lane: &BulkLane| lane.serial.is_none() && !lane.queue.is_empty();
        let lanes = self.lanes.iter().filter(move |(_, lane)| waits(lane));
        lanes.map(|(incarnation, lane)| (*incarnation, lane.queue.waiting_bytes()))
    }

    /// Whether nothing waits here.
    pub fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.queue.is_empty() && lane.outbox.borrow().is_empty())
    }
}

impl BulkLane {
    fn push(&mut self, message: BulkMessage) {
        let head = LargeHead { header: message.header, prefix: message.prefix };
        if let Err(refused) = self.queue.push(head, message) {
            // The budget that the sender was held to is the same.
            tracing::error!(%refused, "a large message was dropped");
        }
    }
}
