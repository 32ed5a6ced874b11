//! The cluster from any thread: who is in it, and what is asked of it.
//!
//! A [`ClusterHandle`] shows what the cluster's actor has written down last, and hands it requests, which it takes up
//! at its next tick. It never waits for the actor, but for the calls that say so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mainspring::prelude::*;

use super::event::{ClusterRequest, MemberView};
use crate::membership::{Status, StopReason};

/// Requests that wait for the cluster's actor.
pub const REQUESTS_LIMIT: usize = 1_024;

/// The exit code of a program whose node was given up by its cluster: started again, it joins as a new member.
pub const EXIT_CODE_DOWNED: u8 = 75;

/// The exit code for why a node is no member any more: 0 if it has left in order.
pub fn exit_code(reason: StopReason) -> u8 {
    match reason {
        StopReason::Left => 0,
        StopReason::Downed => EXIT_CODE_DOWNED,
    }
}

/// Why a request is not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterRequestError {
    /// The node is no member, or not any more.
    #[error("this node is in no cluster yet, or not any more; nothing can be asked of it")]
    NoMember,
    /// There is no such member.
    #[error("no member has the incarnation {incarnation}; look at the members again")]
    UnknownMember {
        /// The incarnation.
        incarnation: u64,
    },
    /// Too many requests wait.
    #[error("{REQUESTS_LIMIT} requests wait for the cluster's actor; ask again later")]
    TooMany,
}

/// The cluster, from any thread. Clones are handles on the same.
#[derive(Clone, Debug, Default)]
pub struct ClusterHandle {
    board: Arc<Board>,
}

#[derive(Debug, Default)]
struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// In which second since 1970, and where.
    began: Option<(u64, String)>,
    /// What all members have to agree on, said by others than the program.
    required: BTreeMap<String, String>,
    this: Option<u64>,
    members: Vec<MemberView>,
    leader: Option<u64>,
    actor: Option<ActorRef<ClusterRequest>>,
    refusal: Option<String>,
    requests: VecDeque<Request>,
    holds_exit: bool,
    stopping: Option<StopReason>,
    stopped: Option<StopReason>,
}

/// What a handle asks of the cluster's actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Leave(u64),
    Down(u64),
    ReadyToExit,
}

impl ClusterHandle {
    /// The members that this node knows, by address; none before it is let in.
    pub fn members(&self) -> Vec<MemberView> {
        self.with(|state| state.members.clone())
    }

    /// This node as a member, if it is one.
    pub fn this(&self) -> Option<MemberView> {
        self.with(|state| state.member(state.this?).cloned())
    }

    /// Who acts for all, as this node sees it.
    pub fn leader(&self) -> Option<MemberView> {
        self.with(|state| state.member(state.leader?).cloned())
    }

    /// Whether this node is a member in full: all others know it.
    pub fn is_up(&self) -> bool {
        self.this().is_some_and(|this| this.status == Status::Up)
    }

    /// Why a seed did not let this node in, if the last answer of one was a refusal.
    pub fn refusal(&self) -> Option<String> {
        self.with(|state| state.refusal.clone())
    }

    /// Where actors of this node subscribe; none before the node has started.
    pub fn actor(&self) -> Option<ActorRef<ClusterRequest>> {
        self.with(|state| state.actor)
    }

    /// Blocks this thread until `wanted` holds for the members, but not longer than `patience`; the members, if it
    /// does. Not on a core's thread.
    pub fn wait_until(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&[MemberView]) -> bool,
    ) -> Option<Vec<MemberView>> {
        self.wait(patience, |state| wanted(&state.members).then(|| state.members.clone()))
    }

    /// As [`wait_until`](Self::wait_until), for this node to be up.
    pub fn wait_up(&self, patience: Duration) -> bool {
        let up = |state: &mut State| {
            let this = state.member(state.this?)?;
            (this.status == Status::Up).then_some(())
        };
        self.wait(patience, up).is_some()
    }

    /// This node leaves the cluster: it becomes leaving, then exiting when all know that, and stops being a member
    /// when everybody who holds up its exit is ready.
    ///
    /// # Errors
    /// [`ClusterRequestError`].
    pub fn leave(&self) -> Result<(), ClusterRequestError> {
        self.with(|state| {
            let this = state.this.ok_or(ClusterRequestError::NoMember)?;
            state.ask(this, Request::Leave(this))
        })
    }

    /// A member leaves the cluster, this one or another one.
    ///
    /// # Errors
    /// [`ClusterRequestError`].
    pub fn leave_member(&self, incarnation: u64) -> Result<(), ClusterRequestError> {
        self.with(|state| state.ask(incarnation, Request::Leave(incarnation)))
    }

    /// Gives a member up, as one that has crashed or must not go on. It cannot come back; its node can, when it starts
    /// again. If it runs after all, it finds out when it is reached.
    ///
    /// # Errors
    /// [`ClusterRequestError`].
    pub fn down(&self, incarnation: u64) -> Result<(), ClusterRequestError> {
        self.with(|state| state.ask(incarnation, Request::Down(incarnation)))
    }

    /// From now on this node does not leave before [`ready_to_exit`](Self::ready_to_exit) is called.
    pub fn hold_exit(&self) {
        self.with(|state| state.holds_exit = true);
    }

    /// This node, which is exiting or will be, has handed over what it had, as far as this handle is concerned.
    ///
    /// # Errors
    /// [`ClusterRequestError`].
    pub fn ready_to_exit(&self) -> Result<(), ClusterRequestError> {
        self.with(|state| {
            state.holds_exit = false;
            let this = state.this.ok_or(ClusterRequestError::NoMember)?;
            state.ask(this, Request::ReadyToExit)
        })
    }

    /// Why this node is no member any more, or is about to be none; none as long as it is one, or was not yet.
    pub fn stopping(&self) -> Option<StopReason> {
        self.with(|state| state.stopping)
    }

    /// Blocks this thread until this node has handed over what it had and is about to be no member any more, or was
    /// given up, but not longer than `patience`; why. Not on a core's thread.
    pub fn wait_stopping(&self, patience: Duration) -> Option<StopReason> {
        self.wait(patience, |state| state.stopping)
    }

    /// Blocks this thread until this node is no member any more, but not longer than `patience`; why.
    /// [`exit_code`] says how the program should end. Not on a core's thread.
    pub fn wait_stopped(&self, patience: Duration) -> Option<StopReason> {
        self.wait(patience, |state| state.stopped)
    }

    /// The incarnation and the address of this life of the node, if its cluster has begun.
    pub(crate) fn own_record(&self, node: u32) -> Option<(u64, String)> {
        let began = self.with(|state| state.began.clone());
        began.map(|(began_s, address)| (began_s << 32 | u64::from(node), address))
    }

    /// A value that all members have to agree on, said before the node starts by what is put onto it beside the
    /// cluster. A node that has another one is refused, and the value is named.
    pub fn require(&self, name: impl Into<String>, value: impl Into<String>) {
        self.with(|state| state.required.insert(name.into(), value.into()));
    }

    pub(super) fn required(&self) -> BTreeMap<String, String> {
        self.with(|state| state.required.clone())
    }

    pub(super) fn begin(&self, began_s: u64, address: String) {
        self.with(|state| state.began = Some((began_s, address)));
    }

    pub(super) fn set_actor(&self, actor: ActorRef<ClusterRequest>) {
        self.with(|state| state.actor = Some(actor));
    }

    pub(super) fn set_refusal(&self, refusal: String) {
        self.change(|state| state.refusal = Some(refusal));
    }

    pub(crate) fn publish(&self, this: u64, members: Vec<MemberView>, leader: Option<u64>) {
        self.change(|state| {
            (state.this, state.leader) = (Some(this), leader);
            state.members = members;
            state.refusal = None;
        });
    }

    pub(crate) fn set_stopping(&self, reason: StopReason) {
        self.change(|state| {
            state.stopping.get_or_insert(reason);
        });
    }

    pub(super) fn set_stopped(&self, reason: StopReason) {
        self.change(|state| {
            state.stopped.get_or_insert(reason);
            state.requests.clear();
        });
    }

    pub(super) fn holds_exit(&self) -> bool {
        self.with(|state| state.holds_exit)
    }

    pub(crate) fn take_requests(&self) -> VecDeque<Request> {
        self.with(|state| std::mem::take(&mut state.requests))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.with(change);
        self.board.changed.notify_all();
    }

    fn wait<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + patience;
        let mut state = self.board.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            let waited = self.board.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.board.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn member(&self, incarnation: u64) -> Option<&MemberView> {
        self.members.iter().find(|member| member.incarnation == incarnation)
    }

    fn ask(&mut self, incarnation: u64, request: Request) -> Result<(), ClusterRequestError> {
        if self.this.is_none() || self.stopping.is_some() {
            return Err(ClusterRequestError::NoMember);
        }
        if self.member(incarnation).is_none() {
            return Err(ClusterRequestError::UnknownMember { incarnation });
        }
        if self.requests.len() >= REQUESTS_LIMIT {
            return Err(ClusterRequestError::TooMany);
        }
        self.requests.push_back(request);
        Ok(())
    }
}
