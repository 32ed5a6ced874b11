//! The two ends of a load inside a scenario: the [`Generator`] sends, [`Answers`] takes what comes back.
//!
//! They are the thin driver of [`Pacer`] and [`Recorder`]: they read the clock and hand over what was measured. One
//! actor may own both; where another actor or another thread receives, it owns the answers and says now and then how
//! many there were.
//!
//! Invariant: while a load runs, nothing here allocates, waits or enters the kernel, apart from handing over an
//! interval once a second.

use mainspring::driver::clock::Clock;

use super::course::{LoadCourse, Part};
use super::pacer::{Pacer, Stamp, Step};
use super::recorder::Recorder;

/// The most messages that one turn sends: whoever sends in between turns also looks for answers in between.
pub const SENDS_A_TURN: usize = 16;

/// Sends what is due.
#[derive(Debug)]
pub struct Generator {
    course: LoadCourse,
    clock: Clock,
    pacer: Option<Pacer>,
    is_finished: bool,
}

impl Generator {
    /// A generator that begins with its first turn.
    pub fn new(course: &LoadCourse) -> Generator {
        Generator { course: course.clone(), clock: Clock::new(), pacer: None, is_finished: false }
    }

    /// Sends what is due, at most [`SENDS_A_TURN`] messages. `send` sends one with the stamp it is given, or says
    /// false when the way is full; the message is then tried again in the next turn. Whether there will be another
    /// turn: an actor tells itself to go on then, a thread calls again.
    #[inline]
    pub fn turn(&mut self, mut send: impl FnMut(Stamp) -> bool) -> bool {
        if self.is_finished {
            return false;
        }
        let mut now_ns = self.clock.now_ns();
        let course = &self.course;
        let pacer = self.pacer.get_or_insert_with(|| course.begin(now_ns));
        if self.course.is_stopped() {
            pacer.stop(now_ns);
        }
        for _ in 0..SENDS_A_TURN {
            match pacer.step(now_ns) {
                Step::Wait => return true,
                Step::Finished => {
                    self.finish();
                    return false;
                }
                Step::Send(stamp) if send(stamp) => pacer.sent(stamp),
                Step::Send(stamp) => {
                    pacer.refused(stamp);
                    return true;
                }
            }
            now_ns = self.clock.now_ns();
        }
        true
    }

    /// So many more messages were answered.
    #[inline]
    pub fn answered(&mut self, messages: u64) {
        if let Some(pacer) = &mut self.pacer {
            pacer.answered(messages);
        }
    }

    /// A message that was sent has failed and will not be answered.
    pub fn failed(&mut self) {
        if let Some(pacer) = &mut self.pacer {
            pacer.failed();
        }
    }

    #[cold]
    fn finish(&mut self) {
        self.is_finished = true;
        if let Some(pacer) = self.pacer.take() {
            self.course.hand_over(Part::Sent(Box::new(pacer.finish())));
        }
        self.course.end();
    }
}

/// Takes answers and hands over what they took when it is dropped, with its actor.
#[derive(Debug)]
pub struct Answers {
    course: LoadCourse,
    clock: Clock,
    recorder: Option<Recorder>,
}

impl Answers {
    /// Answers of a load that has not begun.
    pub fn new(course: &LoadCourse) -> Answers {
        Answers { course: course.clone(), clock: Clock::new(), recorder: None }
    }

    /// The answer to this message has come now.
    #[inline]
    pub fn answered(&mut self, stamp: Stamp) {
        let now_ns = self.clock.now_ns();
        if self.recorder.is_none() {
            self.recorder = self.course.recorder();
        }
        let Some(recorder) = &mut self.recorder else { return };
        recorder.answered(stamp, now_ns);
        if recorder.interval_is_over() {
            self.hand_over_interval();
        }
    }

    #[cold]
    fn hand_over_interval(&mut self) {
        // Without an empty histogram the interval goes on; the next answer tries again.
        if let (Some(recorder), Some(empty)) = (&mut self.recorder, self.course.empty_histogram()) {
            self.course.hand_over(Part::Interval(Box::new(recorder.take_interval(empty))));
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let recorder = self.recorder.take().or_else(|| self.course.recorder());
        if let Some(recorder) = recorder {
            self.course.hand_over(Part::Answered(Box::new(recorder.finish())));
        }
    }
}
