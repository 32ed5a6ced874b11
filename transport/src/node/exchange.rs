//! What the cores of a node tell each other about links: bounded queues without locks, one to each core.
//!
//! Core 0 greets every connection and hands it to the core that it is for; that core says when it has ended. Letters
//! of one core to another come in order; those that find no room wait with their sender.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crossbeam_queue::ArrayQueue;

use mainspring::device::Alarm;
use mainspring::net::DetachedSocket;
use mainspring::peer::{BulkBudget, BulkMessage};

use super::connection::Facts;
use crate::link::credit::Volume;
use crate::link::events::DownReason;

/// Letters that one core has room for.
const LETTERS: usize = 1_024;

/// What a core is told, or tells core 0.
pub(super) enum Letter {
    /// To every core: this life of a node can be reached.
    Open {
        /// Its incarnation.
        incarnation: u32,
        /// The largest payload that it takes.
        max_frame_bytes: u32,
        /// What may wait of large messages for it, if it takes any.
        bulk: Option<Arc<BulkBudget>>,
    },
    /// To every core: this life of a node is gone.
    Gone {
        /// Its incarnation.
        incarnation: u32,
        /// It will not come back.
        is_over: bool,
    },
    /// To a core: a connection that is greeted, for it to keep.
    Adopt {
        /// What is known of it.
        facts: Box<Facts>,
        /// The connection.
        connection: DetachedSocket,
    },
    /// To a core: a connection has to go.
    Drop {
        /// Its number.
        serial: u64,
        /// Why.
        reason: DownReason,
    },
    /// To core 0: both ends of a connection are with their cores.
    Stands {
        /// Its number.
        serial: u64,
    },
    /// To core 0: a large message for a node.
    Bulk {
        /// The node's incarnation.
        incarnation: u32,
        /// The message.
        message: Box<BulkMessage>,
    },
    /// To core 0: a connection has ended.
    Ended {
        /// Its number.
        serial: u64,
        /// Why.
        reason: DownReason,
        /// What it may have lost.
        maybe_lost: Volume,
    },
    /// To core 0: a connection's other node takes too little.
    Slow {
        /// Its number.
        serial: u64,
        /// What waits for it.
        waiting_bytes: usize,
    },
}

struct Place {
    letters: ArrayQueue<Letter>,
    alarm: OnceLock<Alarm>,
}

/// The queues to all cores of one node.
pub(super) struct Exchange {
    places: Vec<Place>,
}

impl Exchange {
    pub fn new(cores: u16) -> Exchange {
        let place = |_| Place { letters: ArrayQueue::new(LETTERS), alarm: OnceLock::new() };
        Exchange { places: (0..cores).map(place).collect() }
    }

    /// The core is there, and is woken so.
    pub fn attend(&self, core: u16, alarm: Alarm) {
        if let Some(place) = self.places.get(usize::from(core)) {
            // A second device of the same core would be another node's.
            let _ = place.alarm.set(alarm);
        }
    }

    /// The next letter to a core.
    pub fn take(&self, core: u16) -> Option<Letter> {
        self.places.get(usize::from(core))?.letters.pop()
    }

    /// Whether a letter waits for a core.
    pub fn has_letters(&self, core: u16) -> bool {
        self.places.get(usize::from(core)).is_some_and(|place| !place.letters.is_empty())
    }
}

/// One core's letters to the others, those included that found no room yet.
pub(super) struct Outgoing {
    exchange: Arc<Exchange>,
    waiting: Vec<VecDeque<Letter>>,
}

impl Outgoing {
    pub fn new(exchange: Arc<Exchange>) -> Outgoing {
        let waiting = exchange.places.iter().map(|_| VecDeque::new()).collect();
        Outgoing { exchange, waiting }
    }

    /// Cores of the node.
    pub fn cores(&self) -> u16 {
        self.waiting.len() as u16
    }

    /// Sends a letter, after those that wait.
    pub fn send(&mut self, core: u16, letter: Letter) {
        if let Some(waiting) = self.waiting.get_mut(usize::from(core)) {
            waiting.push_back(letter);
            self.push(core);
        }
    }

    /// Tries letters again that found no room; whether any still waits.
    pub fn flush(&mut self) -> bool {
        (0..self.cores()).for_each(|core| self.push(core));
        self.waits()
    }

    /// Whether a letter waits for room.
    pub fn waits(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_empty())
    }

    fn push(&mut self, core: u16) {
        let index = usize::from(core);
        let (place, waiting) = (&self.exchange.places[index], &mut self.waiting[index]);
        let mut sent = false;
        while let Some(letter) = waiting.pop_front() {
            if let Err(letter) = place.letters.push(letter) {
                waiting.push_front(letter);
                break;
            }
            sent = true;
        }
        if sent && let Some(alarm) = place.alarm.get() {
            alarm.ring();
        }
    }
}
