//! The queues between the cores of a node: all that they share.
//!
//! The queues are those of a well-kept library, and nothing is shared beside them but two marks of who has ended. What
//! has to be right here is the order: something is put into a queue first, then its core is woken, by the runtime's
//! alarm; and a core asks who has ended before it looks into its queue for the last time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crossbeam_queue::ArrayQueue;
use mainspring::device::Alarm;

use super::Limits;
use super::letters::{Letter, Reply};

/// The queues to and from every core of a node.
pub(crate) struct Exchange {
    cores: Box<[Place]>,
    /// How many have ended. Rises only.
    closed: AtomicU32,
}

/// What belongs to one core.
struct Place {
    /// What the others want of its journal.
    letters: ArrayQueue<Letter>,
    /// What has become of its own letters.
    replies: ArrayQueue<Reply>,
    alarm: OnceLock<Alarm>,
    is_closed: AtomicBool,
}

impl Exchange {
    /// For a node with so many cores, at least two.
    pub fn new(cores: u16) -> Self {
        // A group is one letter and one reply; of a reading two may be on their way, because it may be cancelled
        // while it waits for records.
        let others = usize::from(cores).saturating_sub(1).max(1);
        let Limits { groups, readings } = Limits::of(cores);
        let places = others * (groups + 2 * readings);
        let place = |_| Place {
            letters: ArrayQueue::new(places),
            replies: ArrayQueue::new(places),
            alarm: OnceLock::new(),
            is_closed: AtomicBool::new(false),
        };
        Exchange { cores: (0..cores.max(1)).map(place).collect(), closed: AtomicU32::new(0) }
    }

    /// How many cores there are.
    pub(super) fn cores(&self) -> u16 {
        self.cores.len() as u16
    }

    /// From now on this core is woken when something has come for it.
    pub(super) fn open(&self, core: u16, alarm: Alarm) {
        if let Some(place) = self.cores.get(usize::from(core)) {
            // A core opens once; a second alarm of the same core would wake it as well.
            let _ = place.alarm.set(alarm);
        }
    }

    /// Nothing is done here any more: who waits for it is woken and finds out.
    pub fn close(&self, core: u16) {
        let Some(place) = self.cores.get(usize::from(core)) else { return };
        if !place.is_closed.swap(true, Ordering::AcqRel) {
            self.closed.fetch_add(1, Ordering::AcqRel);
        }
        for other in &self.cores {
            other.wake();
        }
    }

    /// How many cores have ended so far.
    pub(super) fn closed(&self) -> u32 {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether this core has ended.
    pub(super) fn is_closed(&self, core: u16) -> bool {
        self.cores
            .get(usize::from(core))
            .is_none_or(|place| place.is_closed.load(Ordering::Acquire))
    }

    /// Sends a letter to the journal of a core; whether there was a place for it. To a core that has ended nothing is
    /// sent: who waits for a reply finds out.
    #[must_use]
    pub(super) fn send(&self, to: u16, letter: Letter) -> bool {
        let Some(place) = self.cores.get(usize::from(to)) else { return false };
        if place.is_closed.load(Ordering::Acquire) {
            return true;
        }
        let is_sent = place.letters.push(letter).is_ok();
        place.wake();
        is_sent
    }

    /// Sends a reply to a core; whether there was a place for it.
    #[must_use]
    pub(super) fn reply(&self, to: u16, reply: Reply) -> bool {
        let Some(place) = self.cores.get(usize::from(to)) else { return false };
        let is_sent = place.replies.push(reply).is_ok();
        place.wake();
        is_sent
    }

    /// The next letter to this core.
    pub(super) fn next_letter(&self, core: u16) -> Option<Letter> {
        self.cores.get(usize::from(core))?.letters.pop()
    }

    /// The next reply to this core.
    pub(super) fn next_reply(&self, core: u16) -> Option<Reply> {
        self.cores.get(usize::from(core))?.replies.pop()
    }

    /// Whether a letter waits here.
    pub(super) fn has_letters(&self, core: u16) -> bool {
        self.cores.get(usize::from(core)).is_some_and(|place| !place.letters.is_empty())
    }

    /// Whether a reply waits here.
    pub(super) fn has_replies(&self, core: u16) -> bool {
        self.cores.get(usize::from(core)).is_some_and(|place| !place.replies.is_empty())
    }
}

impl Place {
    fn wake(&self) {
        // One that has not opened yet looks into its queues when it does.
        if let Some(alarm) = self.alarm.get() {
            alarm.ring();
        }
    }
}
