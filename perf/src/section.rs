//! The measured section of a round: from the first message to the last, and nothing else.
//!
//! A scenario calls [`Section::begin`] right before its first message and [`Section::end`] right behind its last,
//! each from whatever thread that happens on. What is measured between the two depends on the round's [`Purpose`], so
//! one scenario serves all of them and no count disturbs a measurement of time.
//!
//! Invariant: a section that was not begun and ended exactly once, in this order, gives no figures.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::evidence;
use crate::raw::allocator::{self, AllocationCount, Allocations};
use crate::raw::callgrind;
use crate::raw::mark::Mark;

/// What a round is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// How long the whole section takes. Nothing is stamped or counted in between.
    Time,
    /// How long single messages take. The scenario stamps each; its section's time is of no use.
    Latency,
    /// Allocations, and how much memory the process has gained.
    Memory,
    /// System calls, counted by a tracer outside that looks for the marks.
    SystemCalls,
    /// Instructions of the thread that begins and ends the section, counted by callgrind outside.
    Instructions,
}

impl Purpose {
    /// How long to wait before the first message. Threads that only wait for the round's end fall asleep
    /// meanwhile; what they ask of the kernel and the allocator for that would otherwise be counted as the messages'.
    pub fn pause(self) -> Duration {
        match self {
            Purpose::SystemCalls | Purpose::Memory => Duration::from_millis(200),
            _ => Duration::from_millis(1),
        }
    }
}

/// One measured section; see the module's text.
#[derive(Debug)]
pub struct Section {
    purpose: Purpose,
    origin: Instant,
    state: AtomicU8,
    began_ns: AtomicU64,
    ended_ns: AtomicU64,
    memory: Mutex<Memory>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// From begin to end.
    pub elapsed_ns: u64,
    /// Only with [`Purpose::Memory`].
    pub allocations: Option<Allocations>,
    /// Memory of the process in RAM at the end, less that at the start. Only with [`Purpose::Memory`].
    pub resident_growth_bytes: Option<i64>,
}

/// The scenario has used its section wrongly, or the memory could not be read. There are no figures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// A scenario has to begin and end its section exactly once.
    #[error("the scenario has not begun and ended its measured section exactly once")]
    NotOnce,
    /// Memory was asked for and cannot be told.
    #[error("memory cannot be measured: {0}")]
    Memory(String),
}

impl Section {
    /// A section that has not begun.
    pub fn new(purpose: Purpose) -> Self {
        Section {
            purpose,
            origin: Instant::now(),
            state: AtomicU8::new(NEW),
            began_ns: AtomicU64::new(0),
            ended_ns: AtomicU64::new(0),
            memory: Mutex::new(Memory::default()),
        }
    }

    /// What the round is run for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The first message comes next.
    pub fn begin(&self) {
        self.step(NEW, BEGUN);
        if self.purpose == Purpose::Memory {
            self.memory().begin();
        }
        self.began_ns.store(self.now_ns(), Ordering::Release);
        // Innermost: on some machines reading the clock is itself a system call.
        match self.purpose {
            Purpose::SystemCalls => Mark::Begin.make(),
            Purpose::Instructions => callgrind::toggle_collecting(),
            Purpose::Time | Purpose::Latency | Purpose::Memory => {}
        }
    }

    /// The last message has been handled.
    pub fn end(&self) {
        match self.purpose {
            Purpose::SystemCalls => Mark::End.make(),
            Purpose::Instructions => callgrind::toggle_collecting(),
            Purpose::Time | Purpose::Latency | Purpose::Memory => {}
        }
        self.ended_ns.store(self.now_ns(), Ordering::Release);
        if self.purpose == Purpose::Memory {
            self.memory().end();
        }
        self.step(BEGUN, ENDED);
    }

    /// What was measured, once the section has ended.
    pub fn measured(&self) -> Result<Measured, SectionError> {
        if self.state.load(Ordering::Acquire) != ENDED {
            return Err(SectionError::NotOnce);
        }
        let (began, ended) =
            (self.began_ns.load(Ordering::Acquire), self.ended_ns.load(Ordering::Acquire));
        let memory = self.memory();
        if let Some(trouble) = &memory.trouble {
            return Err(SectionError::Memory(trouble.clone()));
        }
        Ok(Measured {
            elapsed_ns: ended.saturating_sub(began).max(1),
            allocations: memory.allocations,
            resident_growth_bytes: memory.growth_bytes,
        })
    }

    fn step(&self, from: u8, to: u8) {
        let order = (Ordering::AcqRel, Ordering::Acquire);
        if self.state.compare_exchange(from, to, order.0, order.1).is_err() {
            self.state.store(MISUSED, Ordering::Release);
        }
    }

    fn now_ns(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NEW: u8 = 0;
const BEGUN: u8 = 1;
const ENDED: u8 = 2;
const MISUSED: u8 = 3;

/// The memory side of a section.
#[derive(Debug, Default)]
struct Memory {
    count: Option<AllocationCount>,
    resident_at_begin: u64,
    allocations: Option<Allocations>,
    growth_bytes: Option<i64>,
    trouble: Option<String>,
}

impl Memory {
    fn begin(&mut self) {
        match evidence::resident_bytes() {
            Ok(bytes) => self.resident_at_begin = bytes,
            Err(error) => self.trouble = Some(error.to_string()),
        }
        match allocator::start_counting() {
            Ok(count) => self.count = Some(count),
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    fn end(&mut self) {
        self.allocations = self.count.take().map(AllocationCount::finish);
        match evidence::resident_bytes() {
            Ok(bytes) => self.growth_bytes = Some(bytes as i64 - self.resident_at_begin as i64),
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_begins_on_one_thread_and_ends_on_another() {
        let section = Section::new(Purpose::Time);
        section.begin();
        std::thread::scope(|scope| {
            scope.spawn(|| section.end());
        });
        assert!(section.measured().expect("begun and ended once").elapsed_ns > 0);
    }

    #[test]
    fn a_section_that_is_not_ended_has_no_figures() {
        let section = Section::new(Purpose::Time);
        assert_eq!(section.measured(), Err(SectionError::NotOnce));
        section.begin();
        assert_eq!(section.measured(), Err(SectionError::NotOnce));
    }

    #[test]
    fn a_section_that_is_begun_twice_has_no_figures() {
        let section = Section::new(Purpose::Time);
        section.begin();
        section.begin();
        section.end();
        assert_eq!(section.measured(), Err(SectionError::NotOnce));
    }
}
