//! Counters of one core. They only rise, except where a comment says that a number is a level.

use crate::core::dead_letters::DeadLetters;

/// Counters of one core since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Turns run with messages.
    pub turns: u64,
    /// Messages from the core to itself.
    pub local_messages: u64,
    /// Messages from other cores and from clients, users' lane.
    pub ring_messages: u64,
    /// Messages that came from other nodes to this core, those for its other cores included.
    pub foreign_messages: u64,
    /// Time stamps that were sent along to learn how long messages wait; they are counted among the messages.
    pub samples: u64,
    /// Control messages: starts, stops, signals, watches, names.
    pub control_messages: u64,
    /// Sweeps.
    pub sweeps: u64,
    /// Times the core slept.
    pub parks: u64,
    /// Nanoseconds slept.
    pub parked_ns: u64,
    /// Publications after which the receiver had to be woken.
    pub wakes_sent: u64,
    /// Publications after which the receiver was awake.
    pub wakes_suppressed: u64,
    /// Sends that a queue or ring refused.
    pub refused_sends: u64,
    /// Messages not delivered, by reason.
    pub dead_letters: DeadLetters,
    /// Dead letters that were counted and not published, because too many came at once.
    pub dead_letters_unpublished: u64,
    /// Subscriptions to dead letters refused at the limit.
    pub dead_letter_subscriptions_refused: u64,
    /// Actors made.
    pub spawned: u64,
    /// Spawns refused at the limit of actors.
    pub spawns_refused: u64,
    /// Actors gone.
    pub stopped: u64,
    /// Turns that panicked or faulted.
    pub turns_failed: u64,
    /// Restarts.
    pub restarts: u64,
    /// Level: bytes kept in stashes.
    pub stash_bytes: u64,
    /// Messages that no stash had room for.
    pub stash_refused: u64,
    /// Timers fired, deadlines of asks included.
    pub timers_fired: u64,
    /// Timers refused at the limit.
    pub timers_refused: u64,
    /// Answers that came after their deadline.
    pub late_replies: u64,
    /// Asks refused at the limit.
    pub asks_refused: u64,
    /// Watches refused at the limit.
    pub watches_refused: u64,
    /// Names and subscriptions refused at the limit.
    pub names_refused: u64,
    /// Futures and blocking calls that brought no result.
    pub tasks_failed: u64,
    /// Pieces of work from other threads that panicked.
    pub work_failed: u64,
    /// Turns longer than the limit.
    pub slow_turns: u64,
}
