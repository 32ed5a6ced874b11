//! The ways out of a core: one pair of rings to each other core, one ring to each client.
//!
//! What a turn writes stays behind the published tail until the sweep's flush, so a failed turn takes it back and a
//! batch costs one publication and at most one wake-up.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::frame::{HEADER_BYTES, Header};
use crate::ring::{Mark, Producer};

/// Parcels that wait for room in a control lane; beyond it they are counted and dropped.
pub(crate) const BACKLOG_LIMIT: usize = 1 << 20;

/// Wakes whoever reads the other end of a ring.
pub(crate) trait Wake: Send + Sync {
    /// Called after frames were published; whether the other side had to be woken.
    fn wake_after_publish(&self) -> bool;
}

/// One way out.
pub(crate) struct Outbound {
    pub user: Producer,
    /// Answers and control messages; clients have none and get answers in the user lane.
    control: Option<Producer>,
    pub wake: Arc<dyn Wake>,
    user_mark: Option<Mark>,
    control_mark: Option<Mark>,
    backlog: VecDeque<Box<dyn Any + Send>>,
    pub backlog_refused: u64,
    /// Set while frames wait for the flush.
    pub unpublished: bool,
    /// The last turn that wrote here; numbers begin at 1.
    turn: u64,
    /// The simulator lets this lane look full.
    pub jammed: bool,
}

impl Outbound {
    pub fn new(user: Producer, control: Option<Producer>, wake: Arc<dyn Wake>) -> Self {
        Outbound {
            user,
            control,
            wake,
            user_mark: None,
            control_mark: None,
            backlog: VecDeque::new(),
            backlog_refused: 0,
            unpublished: false,
            turn: 0,
            jammed: false,
        }
    }

    /// Remembers where the turn with this number began to write.
    #[inline]
    pub fn touch(&mut self, turn: u64) {
        if self.turn != turn {
            self.turn = turn;
            self.user_mark = Some(self.user.mark());
            self.control_mark = self.control.as_ref().map(Producer::mark);
        }
    }

    /// The lane for answers.
    #[inline]
    pub fn reply_lane(&mut self) -> &mut Producer {
        self.control.as_mut().unwrap_or(&mut self.user)
    }

    /// The turn with this number failed.
    pub fn rollback(&mut self, turn: u64) {
        if self.turn != turn {
            return;
        }
        if let Some(mark) = self.user_mark.take() {
            self.user.rollback(mark);
        }
        if let (Some(mark), Some(control)) = (self.control_mark.take(), &mut self.control) {
            control.rollback(mark);
        }
    }

    /// Queues a parcel. Never called inside a turn: parcels are effects.
    pub fn send_parcel(&mut self, parcel: Box<dyn Any + Send>) {
        if self.backlog.len() >= BACKLOG_LIMIT {
            self.backlog_refused += 1;
            return;
        }
        self.backlog.push_back(parcel);
    }

    /// Publishes what was written; whether parcels still wait, and whether the reader had to be woken.
    pub fn flush(&mut self) -> (bool, Option<bool>) {
        while let Some(parcel) = self.backlog.pop_front() {
            let header = Header::new(HEADER_BYTES as u32, 0, super::KIND_CONTROL, 0, 0, 0);
            let lane = self.control.as_mut().unwrap_or(&mut self.user);
            if self.jammed {
                self.backlog.push_front(parcel);
                break;
            }
            if let Err(refused) = lane.push_parcel(header, parcel) {
                self.backlog.push_front(refused.into_value());
                break;
            }
        }
        let control = self.control.as_mut().is_some_and(Producer::publish);
        let user = self.user.publish();
        let woken = (control || user).then(|| self.wake.wake_after_publish());
        (!self.backlog.is_empty(), woken)
    }

    /// Whether the reader is gone.
    pub fn is_abandoned(&self) -> bool {
        self.user.is_abandoned()
    }
}
