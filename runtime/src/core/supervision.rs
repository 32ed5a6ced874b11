//! Supervision: what happens to an actor that failed, and how actors stop.
//!
//! A policy belongs to the failed actor and is set by whoever spawned it; without one the actor stops. A restart
//! makes a new state from the factory in the same cell, so references to the actor stay good; messages that come
//! meanwhile wait. Nothing resumes after a panic, since the state may be half-changed.
//!
//! Actors stop children first, one step at a time, so that a large tree does not hold up the core. An actor that has
//! neither children nor a rarely used part has nothing to wait for and nobody to tell, so it is gone at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::Core;
use super::cold::Phase;
use super::control::Control;
use super::dead_letters::Reason;
use super::schedule::{Due, nanoseconds};
use super::stash::Held;
use crate::actor::{Decision, Failure, Signal, StopReason};
use crate::address::Address;

/// What is done when an actor fails.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum OnFailure {
    /// It stops.
    #[default]
    Stop,
    /// It is made anew.
    Restart(Restart),
    /// Its parent fails in its place.
    Escalate,
}

impl From<Restart> for OnFailure {
    fn from(restart: Restart) -> Self {
        OnFailure::Restart(restart)
    }
}

/// Which siblings share an actor's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Group {
    /// None: only the failed actor restarts.
    #[default]
    OneForOne,
    /// All children of the same parent restart with it.
    OneForAll,
    /// Those that were spawned after it restart with it.
    RestForOne,
}

/// How often, how soon and with whom an actor restarts.
///
/// ```
/// use mainspring::prelude::*;
/// use std::time::Duration;
///
/// let policy = Restart::at_most(3)
///     .within(Duration::from_secs(10))
///     .backoff(Duration::from_millis(50)..Duration::from_secs(2))
///     .together(Group::OneForAll);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Restart {
    times: u32,
    window_ns: u64,
    backoff_first_ns: u64,
    backoff_last_ns: u64,
    group: Group,
}

impl Restart {
    /// At most so many restarts within the window (see [`Restart::within`]); then the actor stops.
    pub const fn at_most(times: u32) -> Self {
        Restart {
            times,
            window_ns: 60_000_000_000,
            backoff_first_ns: 0,
            backoff_last_ns: 0,
            group: Group::OneForOne,
        }
    }

    /// The window in which restarts are counted. 60 seconds by default.
    pub const fn within(mut self, window: Duration) -> Self {
        self.window_ns = nanoseconds(window);
        self
    }

    /// The pause before a restart: doubled each time within the window, from the first to the last, and lengthened
    /// by up to a fifth at random, so that actors that failed together do not come back together. None by default.
    pub const fn backoff(mut self, pause: Range<Duration>) -> Self {
        self.backoff_first_ns = nanoseconds(pause.start);
        self.backoff_last_ns = nanoseconds(pause.end);
        self
    }

    /// Which siblings restart too.
    pub const fn together(mut self, group: Group) -> Self {
        self.group = group;
        self
    }
}

/// Makes an actor's state anew in its vacant cell.
type Rebuild = Box<dyn FnMut(&mut Core, u64)>;

/// What is kept of an actor that its spawner wants supervised.
pub(crate) struct Supervised {
    pub policy: OnFailure,
    pub rebuild: Rebuild,
    /// When it restarted, within the window.
    restarts_ns: VecDeque<u64>,
}

impl Supervised {
    pub fn new(policy: OnFailure, rebuild: Rebuild) -> Self {
        Supervised { policy, rebuild, restarts_ns: VecDeque::new() }
    }

    /// The pause before the next restart, or `None` when there were too many.
    fn next_restart(&mut self, restart: Restart, now_ns: u64, random: u64) -> Option<u64> {
        while let Some(first) = self.restarts_ns.front()
            && first.saturating_add(restart.window_ns) <= now_ns
        {
            self.restarts_ns.pop_front();
        }
        let so_far = self.restarts_ns.len() as u32;
        if so_far >= restart.times {
            return None;
        }
        self.restarts_ns.push_back(now_ns);
        let doubled = restart.backoff_first_ns.saturating_mul(1 << so_far.min(32));
        let pause_ns = doubled.min(restart.backoff_last_ns.max(restart.backoff_first_ns));
        Some(pause_ns + random % (pause_ns / 5 + 1))
    }
}

impl Core {
    /// A turn of `me` failed and was taken back.
    pub(crate) fn turn_failed(&mut self, me: u64, failure: Failure) {
        self.counters.turns_failed += 1;
        self.count_dead_letter(Reason::TurnFailed, crate::frame::Header { word0: 0, word1: me }, 0);
        self.fail(me, failure);
    }

    pub(crate) fn log_failure(&self, me: u64, failure: &Failure) {
        let (actor, behavior) = self.slots.describe(me);
        let slot = me as u32;
        tracing::error!(core = self.index(), actor, behavior, slot, ?failure, "turn failed");
    }

    fn fail(&mut self, me: u64, failure: Failure) {
        self.log_failure(me, &failure);
        self.observe_failure(me, &failure);
        let now_ns = self.now_ns;
        let random = self.random();
        let decision =
            match self.slots.cold_if_any(me).map(|cold| (cold.phase, &mut cold.supervised)) {
                // It is on its way out already.
                Some((Phase::Stopping, _)) => return,
                Some((_, Some(supervised))) => match supervised.policy {
                    OnFailure::Stop => Decision::Stop,
                    OnFailure::Escalate => Decision::Escalate,
                    OnFailure::Restart(restart) => supervised
                        .next_restart(restart, now_ns, random)
                        .map_or(Decision::Stop, |after_ns| Decision::Restart { after_ns }),
                },
                _ => Decision::Stop,
            };
        let parent = self.slots.parent(me);
        let actor = self.address_of(me);
        match decision {
            Decision::Restart { after_ns } => self.restart_group(me, parent, after_ns),
            Decision::Stop => self.stop_actor(me, StopReason::Failed),
            Decision::Escalate => {
                self.stop_actor(me, StopReason::Failed);
                if let Some(parent) = parent {
                    return self.fail(parent, Failure::Escalated(actor));
                }
            }
        }
        if let Some(parent) = parent {
            let signal = Signal::ChildFailed { actor, failure, decision };
            self.control.push_back(Control::Signal { me: parent, signal: Box::new(signal) });
        }
    }

    fn restart_group(&mut self, me: u64, parent: Option<u64>, after_ns: u64) {
        let group = match self.slots.cold(me).and_then(|cold| cold.supervised.as_deref()) {
            Some(Supervised { policy: OnFailure::Restart(restart), .. }) => restart.group,
            _ => Group::OneForOne,
        };
        let mut members = Vec::new();
        if let Some(parent) = parent {
            // Children are listed newest first.
            let siblings = self.slots.children(parent as u32);
            match group {
                Group::OneForOne => {}
                Group::OneForAll => members.extend(siblings),
                Group::RestForOne => members.extend(siblings.take_while(|other| *other != me)),
            }
        }
        if !members.contains(&me) {
            members.push(me);
        }
        // Oldest first, so that those who were there first are there first again.
        for member in members.into_iter().rev() {
            let (restartable, stopping) = self.slots.cold(member).map_or((false, false), |cold| {
                (cold.supervised.is_some(), cold.phase == Phase::Stopping)
            });
            match restartable {
                // It is on its way out already.
                _ if stopping => {}
                true => self.suspend_for_restart(member, after_ns),
                // Nothing is known of how to make it anew.
                false => self.stop_actor(member, StopReason::Failed),
            }
        }
    }

    /// Ends this life of the actor; the next begins after the pause.
    fn suspend_for_restart(&mut self, me: u64, after_ns: u64) {
        // An actor that stops leaves its asks to their answers and deadlines, which find nobody; the next life of this
        // one would be found.
        self.close_asks_of(me);
        self.end_life(me);
        for child in self.slots.children(me as u32).collect::<Vec<_>>() {
            self.stop_actor(child, StopReason::Stopped);
        }
        let now_ns = self.now_ns;
        let Some(cold) = self.slots.cold_mut(me) else { return };
        cold.phase = Phase::Restarting;
        cold.awaited = None;
        cold.life = cold.life.wrapping_add(1);
        let life = cold.life;
        let wards = std::mem::take(&mut cold.wards);
        self.refresh_unusual(me);
        self.stop_wards(wards, StopReason::Stopped);
        self.counters.restarts += 1;
        if after_ns == 0 {
            self.control.push_back(Control::Restart { me, life });
        } else if self
            .timers
            .insert(now_ns.saturating_add(after_ns), Due::Restart { me, life }.into())
            .is_err()
        {
            self.counters.timers_refused += 1;
            self.control.push_back(Control::Restart { me, life });
        }
    }

    /// Drops the state and all that belongs to this life only.
    fn end_life(&mut self, me: u64) {
        self.cancel_all_timers(me);
        if self.slots.cold_mut(me).is_some_and(|cold| std::mem::replace(&mut cold.vacant, true)) {
            return;
        }
        self.drop_state_of(me);
    }

    /// The pause is over: the next life begins, once the children of the last one are gone.
    pub(crate) fn restart_now(&mut self, me: u64, life: u32) {
        let due = self
            .slots
            .cold(me)
            .is_some_and(|cold| cold.phase == Phase::Restarting && cold.life == life);
        if !due {
            return;
        }
        if self.slots.has_children(me as u32) {
            self.control.push_back(Control::Restart { me, life });
            return;
        }
        let Some(mut supervised) = self.slots.cold_mut(me).and_then(|cold| cold.supervised.take())
        else {
            return;
        };
        // The factory is the user's code: it may panic.
        let rebuilt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (supervised.rebuild)(self, me)
        }));
        if let Some(cold) = self.slots.cold_mut(me) {
            cold.supervised = Some(supervised);
        }
        if rebuilt.is_err() {
            return self.fail(me, Failure::Panic("the factory panicked".to_owned()));
        }
        if let Some(cold) = self.slots.cold_mut(me) {
            cold.phase = Phase::Running;
            cold.stash.unstash();
        }
        self.refresh_unusual(me);
        self.start_actor(me);
        self.replay(me);
    }

    /// The actor stops: children first. Repeated requests change nothing.
    pub(crate) fn stop_actor(&mut self, me: u64, reason: StopReason) {
        if self.slots.is_bare(me) {
            return self.leave(me, reason);
        }
        let Some(cold) = self.slots.cold_mut(me) else { return };
        if cold.phase == Phase::Stopping {
            return;
        }
        cold.phase = Phase::Stopping;
        cold.stop_reason = Some(reason);
        let wards = std::mem::take(&mut cold.wards);
        self.refresh_unusual(me);
        self.cancel_all_timers(me);
        self.stop_wards(wards, reason);
        for child in self.slots.children(me as u32).collect::<Vec<_>>() {
            self.control.push_back(Control::Stop { me: child, reason });
        }
        if !self.slots.has_children(me as u32) {
            self.control.push_back(Control::Finish { me });
        }
    }

    /// The actor stops, unless it takes no messages now: then when it has handled those that it holds.
    pub(crate) fn stop_in_turn(&mut self, me: u64) {
        if let Some(cold) = self.slots.cold_if_any(me)
            && matches!(cold.phase, Phase::Suspended | Phase::Restarting)
        {
            let again = Box::new(move |core: &mut Core| core.stop_in_turn(me));
            return cold.stash.hold_back(Held::Turn(again));
        }
        self.stop_actor(me, StopReason::Stopped);
    }

    /// Stops actors on other cores that live no longer than an actor of this one.
    fn stop_wards(&mut self, wards: Vec<Address>, reason: StopReason) {
        for ward in wards {
            self.send_control(ward, Control::Stop { me: ward.words().1, reason });
        }
    }

    /// The children are gone: the last turn, then the cell is free.
    pub(crate) fn finish_actor(&mut self, me: u64) {
        let Some(cold) = self.slots.cold(me) else { return };
        if cold.phase != Phase::Stopping || self.slots.has_children(me as u32) {
            return;
        }
        let reason = cold.stop_reason.unwrap_or(StopReason::Stopped);
        self.leave(me, reason);
    }

    /// The last turn, if the actor still has a state to run it on, and then the cell is free.
    fn leave(&mut self, me: u64, reason: StopReason) {
        if reason != StopReason::Failed {
            self.run_stopped(me);
        }
        self.observe_note(me, "stopped");
        // Its children were gone before; what the last turn has made goes too.
        for child in self.slots.disown_children(me) {
            self.control.push_back(Control::Stop { me: child, reason });
        }
        let parent = self.slots.parent(me);
        if self.slots.cold(me).is_some() {
            self.end_life(me);
            self.take_leave(me, reason);
        } else {
            self.drop_state_of(me);
        }
        self.unsubscribe_dead_letters(me);
        self.forget_subscriptions(me);
        self.slots.remove(me);
        self.counters.stopped += 1;
        if let Some(parent) = parent
            && self.slots.tracks_children(parent)
        {
            let actor = self.address_of(me);
            self.control.push_back(Control::ChildStopped { me: parent, actor, reason });
        }
        if let Some(parent) = parent
            && !self.slots.has_children(parent as u32)
            && self.slots.cold(parent).is_some_and(|cold| cold.phase == Phase::Stopping)
        {
            self.control.push_back(Control::Finish { me: parent });
        }
    }

    /// Tells all who have to do with the actor, and counts what it has kept.
    fn take_leave(&mut self, me: u64, reason: StopReason) {
        let Some(cold) = self.slots.cold_if_any(me) else { return };
        let watchers = std::mem::take(&mut cold.watchers);
        let watching = std::mem::take(&mut cold.watching);
        let names = std::mem::take(&mut cold.names);
        let kept_bytes = cold.stash.bytes();
        let kept = cold.stash.drain();
        self.counters.stash_bytes -= kept_bytes as u64;
        for frame in kept {
            self.count_dead_letter(Reason::Stopping, frame.header, frame.bytes().len());
        }
        let actor = self.address_of(me);
        for watcher in watchers {
            if watcher.node() != actor.node() {
                self.peers.forget_watched(me, watcher);
            }
            let control = Control::Terminated { me: watcher.words().1, actor, reason };
            self.send_control(watcher, control);
        }
        for watched in watching {
            let control = Control::Unwatch { me: watched.words().1, watcher: actor };
            self.send_control(watched, control);
        }
        self.release_names(me, names);
    }

    /// Takes back an actor that was made by a turn that failed.
    pub(crate) fn discard_actor(&mut self, me: u64) {
        self.counters.spawned -= 1;
        self.drop_state_of(me);
        self.slots.remove(me);
    }

    /// Drops the state; a panic in the user's `drop` is logged and changes nothing.
    fn drop_state_of(&mut self, me: u64) {
        let Some(cell) = self.slots.find(me) else { return };
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.slots.drop_state(cell);
        }));
        if dropped.is_err() {
            self.log_failure(me, &Failure::Panic("the state's drop panicked".to_owned()));
        }
    }
}
