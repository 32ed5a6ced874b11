//! Which members go down when the network breaks: the resolvers of split brain.
//!
//! A node cannot tell a crashed member from one that it does not reach. After a partition both sides see the same:
//! some answer, some do not. If both went on, everything that must exist once would exist twice. [`Downing`] looks at
//! the views that a node has of the cluster ([`View`]), waits until they have settled, and says which members are to
//! go down, by one of five strategies ([`Strategy`]).
//!
//! Promises: when both sides of a clean partition have the same view, at most one of them goes on, whatever the
//! strategy. Nobody goes down only because it was not reached for a time: without a strategy nothing is decided. Every
//! decision is logged with its reason and the view it was made on.
//!
//! Refuses to promise: that one side goes on, nor, without a lease, that only one does when their views differ. By
//! [`Strategy::LeaseMajority`] at most one side has the lease at a time, whatever they see; a node that was stopped for
//! longer than the lease is kept decides late, and may then get it.
//!
//! It does no input or output: views, answers about the lease and the time come in by [`Downing::step`]; decisions and
//! requests go out. What it decides depends on nothing else.
//!
//! The rules follow the split brain resolver of Apache Pekko (module `pekko-cluster`, package `cluster.sbr`).
//!
//! ```
//! use mainspring_sharding::downing::{
//!     Downing, DowningSettings, Input, Strategy, Unreachable, View, ViewMember,
//! };
//! use mainspring_sharding::membership::{MemberId, Status};
//!
//! let id = |port| MemberId { address: ([127, 0, 0, 1], port).into(), incarnation: 1 };
//! let member = |port| ViewMember {
//!     id: id(port),
//!     status: Status::Up,
//!     up_number: Some(u64::from(port)),
//!     roles: Vec::new(),
//! };
//! let mut downing = Downing::new(DowningSettings::of(Strategy::KeepMajority { role: None }))?;
//!
//! // Two of three find the third unreachable. The view has to be the same for seven seconds.
//! let lost = [(1, 3), (2, 3)].map(|(by, of)| Unreachable { observer: id(by), subject: id(of) });
//! let view = View::new(id(1), vec![member(1), member(2), member(3)], &lost, &[id(1), id(2)])?;
//! let outputs = downing.step(0, Input::View(view));
//! assert_eq!((outputs.decision, outputs.wake_at_ns), (None, Some(7_000_000_000)));
//!
//! let decision = downing.step(7_000_000_000, Input::Tick).decision.ok_or("it is time")?;
//! assert_eq!(decision.down, [id(3)]);
//! assert_eq!(
//!     decision.to_string(),
//!     "keep-majority keeps the members that are reached from here (2 reached, 1 not); down: 127.0.0.1:3#1"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decision;
mod settings;
mod sides;
#[cfg(test)]
mod tests;
mod view;

pub use decision::{Decision, Verdict, Why};
pub use settings::{
    DowningSettings, DowningSettingsError, LEASE_ANSWER_NS, LEASE_KEPT_NS, LONGEST_NS,
    MINORITY_DELAY_NS, Strategy, WhenUnstable, stable_after_ns,
};
pub use view::{MOST_MEMBERS, MOST_RECORDS, Unreachable, View, ViewError, ViewMember};

use sides::Sides;

/// What [`Downing::step`] is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The node's view of the cluster is now this.
    View(View),
    /// The lease is this node's.
    Acquired {
        /// The request that this answers.
        request: u64,
    },
    /// Somebody else has the lease, or the store failed.
    Refused {
        /// The request that this answers.
        request: u64,
    },
}

/// What is to be done about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseCall {
    /// Get it in this node's name, and answer. To get a lease that one has succeeds.
    Acquire {
        /// To be repeated in the answer.
        request: u64,
    },
    /// Give it back.
    Release,
}

/// What [`Downing::step`] asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// Mark these members as down.
    pub decision: Option<Decision>,
    /// Do this about the lease.
    pub lease: Option<LeaseCall>,
    /// Call again with [`Input::Tick`] at that time, in nanoseconds, unless something else comes first.
    pub wake_at_ns: Option<u64>,
}

/// How far the request for a lease is.
#[derive(Clone, Copy, Debug)]
enum Request {
    /// Not asked yet: the other side is let go first.
    At { due_ns: u64 },
    /// Asked; an answer is good until then.
    Asked { until_ns: u64 },
}

/// Decides which members go down. One for each node.
#[derive(Debug)]
pub struct Downing {
    settings: DowningSettings,
    view: Option<View>,
    /// When the view last changed in a way that matters, or was last decided on.
    changed_at_ns: u64,
    /// The first change since the view was last stable, while somebody is unreachable.
    unrest_since_ns: Option<u64>,
    request: Option<Request>,
    /// The number of the last request.
    requests: u64,
    /// The lease is this node's until it gives it back then.
    release_at_ns: Option<u64>,
}

impl Downing {
    /// A resolver that has seen nothing yet.
    ///
    /// # Errors
    /// [`DowningSettingsError`]: settings that cannot be kept.
    pub fn new(settings: DowningSettings) -> Result<Self, DowningSettingsError> {
        settings.check()?;
        Ok(Self {
            settings,
            view: None,
            changed_at_ns: 0,
            unrest_since_ns: None,
            request: None,
            requests: 0,
            release_at_ns: None,
        })
    }

    /// Takes in what happened at `now_ns`, nanoseconds of a clock that never goes back, and says what is to be done.
    ///
    /// The decision of a view is made once; if it is not carried out, it is made again when the stable time has passed
    /// once more.
    #[must_use]
    pub fn step(&mut self, now_ns: u64, input: Input) -> Outputs {
        let mut outputs = Outputs::default();
        match input {
            Input::Tick => {}
            Input::View(view) => self.look(now_ns, view),
            Input::Acquired { request } => self.acquired(now_ns, request, &mut outputs),
            Input::Refused { request } if self.is_asked(request) => {
                outputs.decision = self.without_lease(now_ns, Why::LeaseRefused);
            }
            Input::Refused { .. } => {}
        }
        if outputs.decision.is_none() {
            self.pass_time(now_ns, &mut outputs);
        }
        // Not while it is asked for once more: the answer would be about a lease given back since.
        let is_asked = matches!(self.request, Some(Request::Asked { .. }));
        if self.release_at_ns.is_some_and(|at_ns| at_ns <= now_ns) && !is_asked {
            self.release_at_ns = None;
            outputs.lease = Some(LeaseCall::Release);
        }
        outputs.wake_at_ns = self.wake_at_ns(now_ns);
        if let Some(decision) = &outputs.decision {
            tracing::warn!(%decision, view = %decision.view, "members go down");
        }
        outputs
    }

    fn look(&mut self, now_ns: u64, view: View) {
        let is_same = self.view.as_ref().is_some_and(|before| before.is_as_stable_as(&view));
        if !is_same {
            if self.is_stable(now_ns) {
                self.unrest_since_ns = None;
            }
            self.changed_at_ns = now_ns;
            self.request = None;
        }
        if view.records().is_empty() {
            self.unrest_since_ns = None;
        } else if !is_same {
            self.unrest_since_ns.get_or_insert(now_ns);
        }
        self.view = Some(view);
    }

    fn acquired(&mut self, now_ns: u64, request: u64, outputs: &mut Outputs) {
        if self.is_asked(request) {
            self.request = None;
            let kept_ns = self.settings.lease_kept_ns(self.members());
            self.release_at_ns = Some(now_ns.saturating_add(kept_ns));
            outputs.decision =
                self.decide(now_ns, |_| (Verdict::KeepReachable, Why::LeaseAcquired));
        } else if self.release_at_ns.is_none()
            && !matches!(self.request, Some(Request::Asked { .. }))
        {
            // The answer to a request that was given up: nothing was decided on it.
            outputs.lease = Some(LeaseCall::Release);
        }
    }

    fn pass_time(&mut self, now_ns: u64, outputs: &mut Outputs) {
        match self.request {
            Some(Request::Asked { until_ns }) if until_ns <= now_ns => {
                outputs.decision = self.without_lease(now_ns, Why::LeaseUnanswered);
            }
            Some(Request::At { due_ns }) if due_ns <= now_ns => self.ask(now_ns, outputs),
            Some(_) => {}
            None => self.resolve(now_ns, outputs),
        }
    }

    fn resolve(&mut self, now_ns: u64, outputs: &mut Outputs) {
        let Some(view) = self.view.as_ref().filter(|view| !view.records().is_empty()) else {
            return;
        };
        if !self.is_stable(now_ns) {
            // On every node, not only on the one that leads: the leader of the moment may be another one all the time.
            if let Some(since_ns) = self.unrest_since_ns.filter(|_| self.is_over_unrest(now_ns)) {
                let why = Why::Unstable { for_ns: now_ns.saturating_sub(since_ns) };
                outputs.decision = self.decide(now_ns, |_| (Verdict::KeepNone, why));
            }
            return;
        }
        self.unrest_since_ns = None;
        if view.leader() != Some(view.this()) {
            return;
        }
        let strategy = self.settings.strategy.clone();
        if !matches!(strategy, Strategy::LeaseMajority { .. }) {
            outputs.decision = self.decide(now_ns, |sides| sides.judge(&strategy));
        } else if Sides::of(view).judge(&strategy).0 == Verdict::KeepReachable {
            self.ask(now_ns, outputs);
        } else {
            let due_ns = now_ns.saturating_add(MINORITY_DELAY_NS);
            self.request = Some(Request::At { due_ns });
        }
    }

    fn ask(&mut self, now_ns: u64, outputs: &mut Outputs) {
        self.requests = self.requests.wrapping_add(1);
        let until_ns = now_ns.saturating_add(LEASE_ANSWER_NS);
        self.request = Some(Request::Asked { until_ns });
        outputs.lease = Some(LeaseCall::Acquire { request: self.requests });
    }

    fn without_lease(&mut self, now_ns: u64, why: Why) -> Option<Decision> {
        self.request = None;
        self.decide(now_ns, |_| (Verdict::KeepUnreachable, why))
    }

    fn decide(
        &mut self,
        now_ns: u64,
        judge: impl FnOnce(&Sides<'_>) -> (Verdict, Why),
    ) -> Option<Decision> {
        let view = self.view.clone()?;
        let sides = Sides::of(&view);
        let (verdict, why) = judge(&sides);
        let down = sides.down(verdict);
        let indirectly_connected = sides.indirect.iter().copied().collect();
        self.changed_at_ns = now_ns;
        self.unrest_since_ns = None;
        let strategy = self.settings.strategy.clone();
        Some(Decision { down, verdict, why, indirectly_connected, strategy, view })
    }

    /// For how long the store is to keep the lease, if this node does not give it back.
    pub(crate) fn lease_ttl_ns(&self) -> u64 {
        self.settings.lease_kept_ns(self.members()).saturating_add(LEASE_ANSWER_NS)
    }

    fn is_asked(&self, request: u64) -> bool {
        matches!(self.request, Some(Request::Asked { .. })) && self.requests == request
    }

    /// Those that the times are about.
    fn members(&self) -> usize {
        let members = self.view.as_ref().map_or(&[][..], View::members);
        members.iter().filter(|member| member.is_downable()).count()
    }

    fn stable_at_ns(&self) -> u64 {
        self.changed_at_ns.saturating_add(self.settings.stable_ns(self.members()))
    }

    fn is_stable(&self, now_ns: u64) -> bool {
        self.stable_at_ns() <= now_ns
    }

    fn unrest_ends_ns(&self) -> Option<u64> {
        let unrest_ns = self.settings.unrest_ns(self.members())?;
        Some(self.unrest_since_ns?.saturating_add(unrest_ns))
    }

    fn is_over_unrest(&self, now_ns: u64) -> bool {
        self.unrest_ends_ns().is_some_and(|ends_ns| ends_ns <= now_ns)
    }

    fn wake_at_ns(&self, now_ns: u64) -> Option<u64> {
        let request_ns = self.request.map(|request| match request {
            Request::At { due_ns } => due_ns,
            Request::Asked { until_ns } => until_ns,
        });
        let is_broken = self.view.as_ref().is_some_and(|view| !view.records().is_empty());
        let settles_ns = (is_broken && self.request.is_none()).then(|| {
            let stable_ns = self.stable_at_ns();
            self.unrest_ends_ns().map_or(stable_ns, |ends_ns| ends_ns.min(stable_ns))
        });
        let times = [request_ns, settles_ns, self.release_at_ns];
        times.into_iter().flatten().filter(|at_ns| *at_ns > now_ns).min()
    }
}
