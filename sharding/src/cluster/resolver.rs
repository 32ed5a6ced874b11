//! The resolver of a node, driven: what the membership sees goes in, and who is given up comes out.
//!
//! Invariant: it is asked when the view is new, when it wants to be, and when there is word of its lease; a new view
//! comes before that word, so that no lease decides about a view that is over.

use super::lease::LeaseDesk;
use crate::downing::{Downing, Input, Unreachable, View, ViewError, ViewMember};
use crate::membership::{MemberId, Membership};

/// See the module's header.
pub(super) struct Resolver {
    downing: Downing,
    /// When it wants to be asked again.
    due_ns: Option<u64>,
    /// The view that it has seen.
    seen: Option<u64>,
    lease: Option<LeaseDesk>,
}

impl Resolver {
    pub fn new(downing: Downing, lease: Option<LeaseDesk>) -> Resolver {
        Resolver { downing, due_ns: None, seen: None, lease }
    }

    /// Whom the resolver gives up now; this node last, because nothing is done after it.
    pub fn step(&mut self, now_ns: u64, membership: &Membership) -> Vec<MemberId> {
        let mut inputs = Vec::new();
        let digest = Some(membership.view().digest());
        if self.seen != digest {
            match view_of(membership) {
                Ok(view) => inputs.push(Input::View(view)),
                Err(error) => {
                    tracing::error!(%error, "the resolver cannot look at this view");
                    return Vec::new();
                }
            }
        } else if self.due_ns.is_some_and(|due_ns| due_ns <= now_ns) {
            inputs.push(Input::Tick);
        }
        self.seen = digest;
        inputs.extend(self.lease.as_mut().map(|lease| lease.poll(now_ns)).unwrap_or_default());
        let mut down: Vec<MemberId> = Vec::new();
        for input in inputs {
            let outputs = self.downing.step(now_ns, input);
            self.due_ns = outputs.wake_at_ns;
            if let (Some(call), Some(lease)) = (outputs.lease, &mut self.lease) {
                lease.call(now_ns, call, self.downing.lease_ttl_ns());
            }
            down.extend(outputs.decision.map(|decision| decision.down).unwrap_or_default());
        }
        down.sort_by_key(|id| *id == membership.id());
        down
    }
}

/// The view of the membership, as the resolver looks at it.
fn view_of(membership: &Membership) -> Result<View, ViewError> {
    let gossip = membership.view();
    let members = gossip.members.values().map(|member| ViewMember {
        id: member.id,
        status: member.status,
        up_number: member.up_number,
        roles: member.roles.iter().cloned().collect(),
    });
    let records = gossip.reachability.rows().flat_map(|(observer, row)| {
        row.subjects.keys().map(|subject| Unreachable { observer: *observer, subject: *subject })
    });
    let records: Vec<Unreachable> = records.collect();
    let seen: Vec<MemberId> = gossip.seen.iter().copied().collect();
    View::new(membership.id(), members.collect(), &records, &seen)
}
