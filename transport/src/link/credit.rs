//! Credit in bytes: how much of a connection may be sent and not yet consumed, and what may be lost when it ends.
//!
//! The receiver grants a window in the handshake and reports what it has consumed, counted from the beginning of the
//! connection. "Consumed" means handed to the core of the receiver, not processed by it: one slow actor does not stop
//! a link. Frames of users and pieces of large messages count, header and padding included; frames of the link itself
//! do not.
//!
//! A frame may be sent while anything is left of the window, so a frame larger than what is left waits for nothing and
//! no frame is too large for a window. What the receiver must be able to hold is therefore the window and one frame.
//!
//! Invariants: `reported <= consumed <= received` at the receiver and `consumed <= sent` at the sender, in frames and
//! in bytes; none of them ever goes back. Who cannot send has at least a window under way, and the receiver reports a
//! quarter of a window at once: so nobody waits for a report that never comes.

use thiserror::Error;

/// The window that a receiver grants unless it is told otherwise.
pub const WINDOW_BYTES: u64 = 256 << 10;
/// A smaller window is refused: it would be a report for every frame.
pub const WINDOW_FLOOR_BYTES: u64 = 4 << 10;
/// How long a receiver keeps less than a quarter of the window to itself.
pub const REPORT_WITHIN_NS: u64 = 10_000_000;

/// Frames and the bytes of them, counted from the beginning of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Volume {
    /// Bytes, headers and padding included.
    pub bytes: u64,
    /// Frames.
    pub frames: u64,
}

impl Volume {
    /// Nothing.
    pub const NONE: Volume = Volume { bytes: 0, frames: 0 };

    /// Both with one frame more.
    #[must_use]
    pub fn with_frame(self, frame_bytes: u64) -> Volume {
        Volume { bytes: self.bytes.saturating_add(frame_bytes), frames: self.frames + 1 }
    }

    /// What is in this and not in `earlier`.
    #[must_use]
    pub fn since(self, earlier: Volume) -> Volume {
        Volume {
            bytes: self.bytes.saturating_sub(earlier.bytes),
            frames: self.frames.saturating_sub(earlier.frames),
        }
    }
}

/// What a peer did that cannot be: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CreditError {
    /// The window that the peer grants is too small to be used.
    #[error("the peer grants a window of {0} bytes; the least is {WINDOW_FLOOR_BYTES}")]
    WindowTooSmall(u64),
    /// A report of less than an earlier one.
    #[error("the peer reports {reported:?} consumed after it reported {before:?}")]
    WentBack {
        /// What it says now.
        reported: Volume,
        /// What it said before.
        before: Volume,
    },
    /// A report of more than was sent, or of all bytes without all frames.
    #[error("the peer reports {reported:?} consumed, of {sent:?} sent")]
    NeverSent {
        /// What it says.
        reported: Volume,
        /// What there was.
        sent: Volume,
    },
    /// The peer sends on although its credit is used up.
    #[error("the peer has {under_way_bytes} bytes under way; it was granted {window_bytes}")]
    Overdrawn {
        /// Received and not reported as consumed.
        under_way_bytes: u64,
        /// What was granted.
        window_bytes: u64,
    },
}

/// The sending half of one connection.
#[derive(Clone, Debug)]
pub struct SendCredit {
    window_bytes: u64,
    sent: Volume,
    consumed: Volume,
}

impl SendCredit {
    /// For a connection whose receiver granted `window_bytes`.
    ///
    /// # Errors
    ///
    /// The window is below [`WINDOW_FLOOR_BYTES`].
    pub fn new(window_bytes: u64) -> Result<SendCredit, CreditError> {
        if window_bytes < WINDOW_FLOOR_BYTES {
            return Err(CreditError::WindowTooSmall(window_bytes));
        }
        Ok(SendCredit { window_bytes, sent: Volume::NONE, consumed: Volume::NONE })
    }

    /// What is left of the window. While it is not 0 one more frame may be sent, of any length.
    #[inline]
    #[must_use]
    pub fn available_bytes(&self) -> u64 {
        self.window_bytes.saturating_sub(self.sent.bytes - self.consumed.bytes)
    }

    /// A frame is given to the socket; from now on it may be lost.
    #[inline]
    pub fn record_sent(&mut self, frame_bytes: u64) {
        self.sent = self.sent.with_frame(frame_bytes);
    }

    /// The receiver reports what it has consumed since the beginning. Gives back what is new of it.
    ///
    /// # Errors
    ///
    /// The report cannot be true; nothing has changed.
    pub fn record_report(&mut self, reported: Volume) -> Result<Volume, CreditError> {
        let (sent, before) = (self.sent, self.consumed);
        if reported.bytes < before.bytes || reported.frames < before.frames {
            return Err(CreditError::WentBack { reported, before });
        }
        let is_beyond = reported.bytes > sent.bytes || reported.frames > sent.frames;
        if is_beyond || (reported.bytes == sent.bytes) != (reported.frames == sent.frames) {
            return Err(CreditError::NeverSent { reported, sent });
        }
        self.consumed = reported;
        Ok(reported.since(before))
    }

    /// What was sent in all.
    #[must_use]
    pub fn sent(&self) -> Volume {
        self.sent
    }

    /// What was sent and not reported as consumed: what may be lost if the connection ends now.
    #[must_use]
    pub fn maybe_lost(&self) -> Volume {
        self.sent.since(self.consumed)
    }
}

/// The receiving half of one connection.
#[derive(Clone, Debug)]
pub struct ReceiveCredit {
    window_bytes: u64,
    frame_limit_bytes: u64,
    report_within_ns: u64,
    received: Volume,
    consumed: Volume,
    reported: Volume,
    /// When the first of what is not reported was consumed.
    unreported_since_ns: Option<u64>,
}

impl ReceiveCredit {
    /// For a connection on which `window_bytes` were granted, and no frame is larger than `frame_limit_bytes`.
    #[must_use]
    pub fn new(window_bytes: u64, frame_limit_bytes: u64) -> ReceiveCredit {
        ReceiveCredit {
            window_bytes: window_bytes.max(WINDOW_FLOOR_BYTES),
            frame_limit_bytes,
            report_within_ns: REPORT_WITHIN_NS,
            received: Volume::NONE,
            consumed: Volume::NONE,
            reported: Volume::NONE,
            unreported_since_ns: None,
        }
    }

    /// The same, with another time after which less than a quarter of the window is reported.
    #[must_use]
    pub fn with_report_within(mut self, report_within_ns: u64) -> ReceiveCredit {
        self.report_within_ns = report_within_ns;
        self
    }

    /// The most that can be received and not reported.
    #[must_use]
    pub fn under_way_limit_bytes(&self) -> u64 {
        // The last frame begins with at least one byte left.
        self.window_bytes.saturating_add(self.frame_limit_bytes).saturating_sub(1)
    }

    /// A whole frame has come.
    ///
    /// # Errors
    ///
    /// The peer had no credit for it.
    pub fn record_received(&mut self, frame_bytes: u64) -> Result<(), CreditError> {
        let received = self.received.with_frame(frame_bytes);
        let under_way_bytes = received.since(self.reported).bytes;
        if under_way_bytes > self.under_way_limit_bytes() {
            let window_bytes = self.window_bytes;
            return Err(CreditError::Overdrawn { under_way_bytes, window_bytes });
        }
        self.received = received;
        Ok(())
    }

    /// A frame that had come was handed on, dropped with a count, or refused: its memory is free.
    pub fn record_consumed(&mut self, frame_bytes: u64, now_ns: u64) {
        let consumed = self.consumed.with_frame(frame_bytes);
        debug_assert!(
            consumed.bytes <= self.received.bytes && consumed.frames <= self.received.frames,
            "{consumed:?} consumed, {:?} received",
            self.received
        );
        self.consumed = consumed;
        self.unreported_since_ns.get_or_insert(now_ns);
    }

    /// The report that is due: a quarter of the window, or anything that waits for too long.
    pub fn report_due(&mut self, now_ns: u64) -> Option<Volume> {
        let unreported = self.consumed.since(self.reported);
        let is_late = self.next_deadline_ns().is_some_and(|deadline_ns| deadline_ns <= now_ns);
        let is_much = unreported.bytes >= self.window_bytes / 4;
        if is_late || is_much { self.report_all() } else { None }
    }

    /// A report of anything that is not reported: for a moment when bytes go to the peer anyway.
    pub fn report_all(&mut self) -> Option<Volume> {
        self.unreported_since_ns.take()?;
        self.reported = self.consumed;
        Some(self.reported)
    }

    /// When [`report_due`](Self::report_due) wants to be asked again.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        Some(self.unreported_since_ns?.saturating_add(self.report_within_ns))
    }

    /// What has come in all.
    #[must_use]
    pub fn received(&self) -> Volume {
        self.received
    }

    /// What was consumed in all.
    #[must_use]
    pub fn consumed(&self) -> Volume {
        self.consumed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const FRAME_LIMIT_BYTES: u64 = 64 << 10;

    #[test]
    fn a_sender_stops_with_the_window_used_up_and_goes_on_after_a_report() {
        let mut sender = SendCredit::new(10_000).unwrap();
        sender.record_sent(9_999);
        assert_eq!(sender.available_bytes(), 1);
        sender.record_sent(5_000);
        assert_eq!(sender.available_bytes(), 0, "one frame may go over the window");
        let fresh = sender.record_report(Volume { bytes: 9_999, frames: 1 }).unwrap();
        assert_eq!(fresh, Volume { bytes: 9_999, frames: 1 });
        assert_eq!(sender.available_bytes(), 5_000);
        assert_eq!(sender.maybe_lost(), Volume { bytes: 5_000, frames: 1 });
    }

    #[test]
    fn a_receiver_reports_a_quarter_at_once_and_less_after_a_time_or_with_other_bytes() {
        let mut receiver = ReceiveCredit::new(4_096, FRAME_LIMIT_BYTES).with_report_within(1_000);
        receiver.record_received(1_023).unwrap();
        receiver.record_consumed(1_023, 50);
        assert_eq!(receiver.report_due(1_049), None);
        assert_eq!(receiver.next_deadline_ns(), Some(1_050));
        assert_eq!(receiver.report_due(1_050), Some(Volume { bytes: 1_023, frames: 1 }));
        assert_eq!(receiver.next_deadline_ns(), None);
        receiver.record_received(1_024).unwrap();
        receiver.record_consumed(1_024, 60);
        assert_eq!(receiver.report_due(60), Some(Volume { bytes: 2_047, frames: 2 }));
        receiver.record_received(16).unwrap();
        receiver.record_consumed(16, 70);
        assert_eq!(receiver.report_all(), Some(Volume { bytes: 2_063, frames: 3 }));
        assert_eq!(receiver.report_all(), None);
    }

    #[test]
    fn reports_that_cannot_be_true_are_refused_and_change_nothing() {
        let mut sender = SendCredit::new(WINDOW_BYTES).unwrap();
        for _ in 0..4 {
            sender.record_sent(100);
        }
        sender.record_report(Volume { bytes: 200, frames: 2 }).unwrap();
        for (bytes, frames) in [(100, 1), (200, 1), (100, 2)] {
            let answer = sender.record_report(Volume { bytes, frames });
            assert!(matches!(answer, Err(CreditError::WentBack { .. })), "{answer:?}");
        }
        for (bytes, frames) in [(500, 4), (400, 5), (400, 3), (300, 4), (u64::MAX, u64::MAX)] {
            let answer = sender.record_report(Volume { bytes, frames });
            assert!(matches!(answer, Err(CreditError::NeverSent { .. })), "{answer:?}");
        }
        assert_eq!(sender.maybe_lost(), Volume { bytes: 200, frames: 2 });
    }

    #[test]
    fn a_window_that_is_no_use_is_refused() {
        let refused = SendCredit::new(WINDOW_FLOOR_BYTES - 1);
        assert!(matches!(refused, Err(CreditError::WindowTooSmall(_))));
    }

    #[test]
    fn a_peer_that_ignores_its_credit_is_found_out() {
        let mut receiver = ReceiveCredit::new(8_192, 4_096);
        for _ in 0..2 {
            receiver.record_received(4_096).unwrap();
        }
        receiver.record_received(4_095).unwrap();
        let answer = receiver.record_received(1);
        assert!(matches!(answer, Err(CreditError::Overdrawn { .. })), "{answer:?}");
    }

    proptest! {
        /// Whatever a peer reports: what it has consumed never goes back and is never more than was sent.
        #[test]
        fn no_report_makes_the_sums_untrue(
            steps in prop::collection::vec((any::<bool>(), 0u64..5_000, 0u64..12), 0..200),
        ) {
            let mut sender = SendCredit::new(WINDOW_FLOOR_BYTES).unwrap();
            for (is_report, bytes, frames) in steps {
                let before = sender.clone();
                if !is_report && sender.available_bytes() > 0 {
                    sender.record_sent(bytes);
                } else if sender.record_report(Volume { bytes, frames }).is_err() {
                    prop_assert_eq!(sender.consumed, before.consumed);
                }
                prop_assert!(sender.consumed.bytes >= before.consumed.bytes);
                prop_assert!(sender.consumed.bytes <= sender.sent.bytes);
                prop_assert!(sender.consumed.frames <= sender.sent.frames);
                prop_assert!(sender.available_bytes() <= WINDOW_FLOOR_BYTES);
            }
        }

        /// Frames and reports are under way in any interleaving: the sender is never accused, the receiver never holds
        /// more than it granted, and when nothing is under way any more the sender may send again.
        #[test]
        fn no_interleaving_overdraws_or_stalls(
            window_bytes in WINDOW_FLOOR_BYTES..200_000,
            steps in prop::collection::vec((0u8..4, 1u64..=FRAME_LIMIT_BYTES), 1..400),
        ) {
            let mut sender = SendCredit::new(window_bytes).unwrap();
            let mut receiver = ReceiveCredit::new(window_bytes, FRAME_LIMIT_BYTES);
            let (mut frames, mut held, mut reports) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
            for (step, frame_bytes) in steps {
                match step {
                    0 if sender.available_bytes() > 0 => {
                        sender.record_sent(frame_bytes);
                        frames.push_back(frame_bytes);
                    }
                    1 => if let Some(bytes) = frames.pop_front() {
                        receiver.record_received(bytes).unwrap();
                        held.push_back(bytes);
                    },
                    2 => if let Some(bytes) = held.pop_front() {
                        receiver.record_consumed(bytes, 0);
                        reports.extend(receiver.report_due(0));
                    },
                    _ => if let Some(report) = reports.pop_front() {
                        sender.record_report(report).unwrap();
                    },
                }
                let held_bytes: u64 = held.iter().sum();
                prop_assert!(held_bytes <= receiver.under_way_limit_bytes());
                let consumed = receiver.consumed();
                prop_assert!(sender.sent().since(consumed).bytes <= sender.maybe_lost().bytes);
            }
            for bytes in frames {
                receiver.record_received(bytes).unwrap();
                held.push_back(bytes);
            }
            for bytes in held {
                receiver.record_consumed(bytes, 0);
                reports.extend(receiver.report_due(0));
            }
            for report in reports {
                sender.record_report(report).unwrap();
            }
            prop_assert!(sender.available_bytes() > 0, "stalled without a flush");
        }
    }
}
