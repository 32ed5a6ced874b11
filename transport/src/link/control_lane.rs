//! Control frames between two incarnations: each arrives once and in order, over any number of connections.
//!
//! Who watches whom, what has terminated, what moves: losing one of these is not an option, so they are numbered from
//! 1, kept until the peer acknowledges them, sent again on the next connection and when no acknowledgement comes, and
//! taken once by the receiver. The lane lives as long as both incarnations do. A restart of the peer starts it anew:
//! what was for the old incarnation is given back, to be reported.
//!
//! Invariants: what waits is a run of sequences without holes, of at most
//! [`waiting_limit`](ControlSettings::waiting_limit) frames; `delivered` never goes back within an incarnation; a
//! sequence is answered [`Received::New`] exactly once, and only after all sequences before it. When the limit is
//! reached the promise cannot be kept any more: the peer has to be quarantined.

use std::collections::VecDeque;

use thiserror::Error;

/// Limits and times of a control lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Frames that may wait for their acknowledgement, sent or not.
    pub waiting_limit: usize,
    /// Of those, how many may be under way on a connection.
    pub under_way_limit: usize,
    /// After how long without an acknowledgement all is sent again; doubled each time.
    pub resend_after_ns: u64,
    /// What doubling ends at.
    pub resend_after_limit_ns: u64,
}

impl Default for ControlSettings {
    /// 20,000 frames waiting, 1,024 under way, again after 1 s to 30 s.
    fn default() -> ControlSettings {
        ControlSettings {
            waiting_limit: 20_000,
            under_way_limit: 1_024,
            resend_after_ns: 1_000_000_000,
            resend_after_limit_ns: 30_000_000_000,
        }
    }
}

/// Nothing more can wait: the peer has to be quarantined. The message comes back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{waiting} control frames wait for an acknowledgement; no more fit")]
pub struct ControlLaneFull<M> {
    /// What did not fit.
    pub message: M,
    /// How many wait.
    pub waiting: usize,
}

/// What a peer did that cannot be: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ControlError {
    /// A frame of an incarnation that this lane does not belong to.
    #[error("a control frame of incarnation {found:08x}; the lane is with {expected:08x}")]
    OtherIncarnation {
        /// Whose frame it is.
        found: u32,
        /// Whose lane it is.
        expected: u32,
    },
    /// Frames are missing before this one.
    #[error("control frame {found} came after {delivered}")]
    Gap {
        /// The sequence that came.
        found: u64,
        /// The last one in order.
        delivered: u64,
    },
    /// An acknowledgement of a frame that was never sent.
    #[error("control frame {found} is acknowledged; {sent} were sent")]
    NeverSent {
        /// What is acknowledged.
        found: u64,
        /// The last sequence that was sent.
        sent: u64,
    },
    /// An acknowledgement of less than an earlier one.
    #[error("control frame {found} is acknowledged after {before} was")]
    WentBack {
        /// What is acknowledged.
        found: u64,
        /// What was acknowledged before.
        before: u64,
    },
}

/// What to do with a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Act on it.
    New,
    /// It was acted on before; drop it.
    Duplicate,
}

/// Both directions of the control frames with one incarnation of a peer.
#[derive(Clone, Debug)]
pub struct ControlLane<M> {
    settings: ControlSettings,
    /// The incarnation of the peer.
    incarnation: u32,
    is_connected: bool,
    /// Not acknowledged, oldest first.
    waiting: VecDeque<M>,
    /// The last sequence that was acknowledged: the oldest that waits is the next.
    acknowledged: u64,
    /// How many of those that wait were sent since the connection or the last resend began.
    under_way: usize,
    /// The highest sequence ever given to a connection.
    sent: u64,
    resend_due_ns: Option<u64>,
    resend_wait_ns: u64,
    resent: u64,
    /// The last sequence that was received in order.
    delivered: u64,
    is_acknowledgement_due: bool,
    duplicates: u64,
}

impl<M> ControlLane<M> {
    /// With an incarnation of a peer that nothing was sent to yet.
    #[must_use]
    pub fn new(settings: ControlSettings, incarnation: u32) -> ControlLane<M> {
        ControlLane {
            settings,
            incarnation,
            is_connected: false,
            waiting: VecDeque::new(),
            acknowledged: 0,
            under_way: 0,
            sent: 0,
            resend_due_ns: None,
            resend_wait_ns: settings.resend_after_ns,
            resent: 0,
            delivered: 0,
            is_acknowledgement_due: false,
            duplicates: 0,
        }
    }

    /// Takes a message that the peer must get; its sequence. It waits here while there is no connection.
    ///
    /// # Errors
    ///
    /// Too many wait: the peer has to be quarantined.
    pub fn push(&mut self, message: M) -> Result<u64, ControlLaneFull<M>> {
        let waiting = self.waiting.len();
        if waiting >= self.settings.waiting_limit {
            return Err(ControlLaneFull { message, waiting });
        }
        self.waiting.push_back(message);
        Ok(self.acknowledged + self.waiting.len() as u64)
    }

    /// The next frame for the connection, until there is none to send now.
    pub fn next_to_send(&mut self, now_ns: u64) -> Option<(u64, &M)> {
        if !self.is_connected || self.under_way >= self.settings.under_way_limit {
            return None;
        }
        let message = self.waiting.get(self.under_way)?;
        self.under_way += 1;
        let sequence = self.acknowledged + self.under_way as u64;
        if sequence <= self.sent {
            self.resent += 1;
        }
        self.sent = self.sent.max(sequence);
        if self.resend_due_ns.is_none() {
            self.resend_due_ns = Some(now_ns.saturating_add(self.resend_wait_ns));
        }
        Some((sequence, message))
    }

    /// The peer says that it has everything up to `sequence`. Gives back how many frames need not wait any more.
    ///
    /// # Errors
    ///
    /// That cannot be; nothing has changed.
    pub fn record_acknowledgement(
        &mut self,
        sequence: u64,
        now_ns: u64,
    ) -> Result<usize, ControlError> {
        if sequence < self.acknowledged {
            return Err(ControlError::WentBack { found: sequence, before: self.acknowledged });
        }
        if sequence > self.sent {
            return Err(ControlError::NeverSent { found: sequence, sent: self.sent });
        }
        let count = (sequence - self.acknowledged) as usize;
        if count > 0 {
            self.waiting.drain(..count);
            self.acknowledged = sequence;
            self.under_way = self.under_way.saturating_sub(count);
            self.resend_wait_ns = self.settings.resend_after_ns;
            let due_ns = now_ns.saturating_add(self.resend_wait_ns);
            self.resend_due_ns = (self.under_way > 0).then_some(due_ns);
        }
        Ok(count)
    }

    /// A control frame has come from `incarnation`.
    ///
    /// # Errors
    ///
    /// It is not of this lane, or frames before it are missing.
    pub fn receive(&mut self, incarnation: u32, sequence: u64) -> Result<Received, ControlError> {
        if incarnation != self.incarnation {
            let expected = self.incarnation;
            return Err(ControlError::OtherIncarnation { found: incarnation, expected });
        }
        if sequence > self.delivered + 1 {
            return Err(ControlError::Gap { found: sequence, delivered: self.delivered });
        }
        self.is_acknowledgement_due = true;
        if sequence <= self.delivered {
            self.duplicates += 1;
            return Ok(Received::Duplicate);
        }
        self.delivered = sequence;
        Ok(Received::New)
    }

    /// The acknowledgement to send with the next flush, if one is due.
    pub fn acknowledgement(&mut self) -> Option<u64> {
        let is_due = self.is_connected && std::mem::take(&mut self.is_acknowledgement_due);
        is_due.then_some(self.delivered)
    }

    /// A connection with the same incarnation stands: all that waits is sent on it, and what was received is
    /// acknowledged once more.
    pub fn connected(&mut self) {
        self.is_connected = true;
        self.begin_again();
        self.resend_wait_ns = self.settings.resend_after_ns;
        self.is_acknowledgement_due = self.delivered > 0;
    }

    /// The connection is gone; everything waits.
    pub fn disconnected(&mut self) {
        self.is_connected = false;
        self.begin_again();
    }

    /// Begins again with the oldest frame if no acknowledgement came in time; whether it did.
    pub fn tick(&mut self, now_ns: u64) -> bool {
        if self.resend_due_ns.is_none_or(|due_ns| due_ns > now_ns) {
            return false;
        }
        self.begin_again();
        let doubled_ns = self.resend_wait_ns.saturating_mul(2);
        self.resend_wait_ns = doubled_ns.min(self.settings.resend_after_limit_ns);
        true
    }

    /// When [`tick`](Self::tick) wants to be called.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.resend_due_ns
    }

    /// The peer has restarted: the lane begins anew with the new incarnation. Gives back what the old one never
    /// acknowledged, in order; nothing if the incarnation is the one that the lane is with.
    pub fn restarted(&mut self, incarnation: u32) -> VecDeque<M> {
        if incarnation == self.incarnation {
            return VecDeque::new();
        }
        let fresh = ControlLane::new(self.settings, incarnation);
        std::mem::replace(self, fresh).waiting
    }

    /// The incarnation of the peer.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Frames that are not acknowledged.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Frames that were sent more than once, with this incarnation.
    #[must_use]
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Frames that came more than once, from this incarnation.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    fn begin_again(&mut self) {
        self.under_way = 0;
        self.resend_due_ns = None;
    }
}

#[cfg(test)]
#[path = "control_lane_tests.rs"]
mod tests;
