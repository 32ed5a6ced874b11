//! Holds what is wanted against what was read.
//!
//! Promises: a pure function: the same facts and wants give the same findings, in the order of the checks. What is not
//! this system's to change is said to be somebody else's, and whose.

use crate::check::{self, Case, Check, Scope, Seen, seen::Outcome};
use crate::facts::Facts;
use crate::finding::{Change, Finding, Verdict};
use crate::roles::Roles;
use crate::surroundings::Surroundings;
use crate::want::{Want, Wanted};

/// The findings on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The CPUs by what they are for.
    pub roles: Roles,
    /// One for each check of which something is wanted, in the order of [`crate::check::all`].
    pub findings: Vec<Finding>,
}

impl Audit {
    /// Holds what is wanted against the facts.
    pub fn of(facts: &Facts, wanted: &Wanted) -> Audit {
        let roles = Roles::of(facts.topology(), &wanted.shards);
        let wants = check::all().into_iter().filter_map(|check| {
            let want = wanted.of(check.id)?;
            Some(finding(facts, &roles, check, want, &wanted.data_folder))
        });
        let findings = wants.collect();
        Audit { roles, findings }
    }

    /// How many findings ask for somebody's attention.
    pub fn attention(&self) -> usize {
        self.findings.iter().filter(|finding| finding.verdict.is_finding()).count()
    }
}

/// The checks of which something is wanted.
pub fn checks_of(wanted: &Wanted) -> Vec<&'static Check> {
    check::all().into_iter().filter(|check| wanted.of(check.id).is_some()).collect()
}

fn finding(
    facts: &Facts,
    roles: &Roles,
    check: &'static Check,
    want: &Want,
    data_folder: &str,
) -> Finding {
    let Seen { found, evidence, outcome } =
        (check.look)(&Case { facts, roles, takes: check.takes, want, data_folder });
    let (verdict, changes) = settle(facts.surroundings(), check.scope, outcome);
    Finding {
        id: check.id,
        wanted: check.takes.describe(want),
        found,
        verdict,
        effect: check.effect,
        evidence,
        changes,
    }
}

/// Takes into account whose the setting is and what this process may do.
fn settle(surroundings: &Surroundings, scope: Scope, outcome: Outcome) -> (Verdict, Vec<Change>) {
    let owner = somebody_else(surroundings, scope);
    match (outcome, owner) {
        (Outcome::Ok, _) => (Verdict::Ok, Vec::new()),
        (_, Some(owner)) => (Verdict::NotApplicable(owner.to_owned()), Vec::new()),
        (Outcome::NotApplicable(why), None) => (Verdict::NotApplicable(why), Vec::new()),
        (Outcome::Unreadable(why), None) => (Verdict::Unreadable(why), Vec::new()),
        (Outcome::Differs(changes), None) => (verdict_on(surroundings, &changes), changes),
    }
}

fn verdict_on(surroundings: &Surroundings, changes: &[Change]) -> Verdict {
    if !changes.is_empty() && changes.iter().all(Change::needs_reboot) {
        return Verdict::NeedsReboot;
    }
    let needed = changes.iter().filter_map(Change::capability);
    match needed.filter(|capability| !surroundings.has(*capability)).max() {
        Some(capability) => Verdict::NeedsPrivilege(capability),
        None => Verdict::Differs,
    }
}

/// Whom to ask when a setting is not this system's to change.
fn somebody_else(surroundings: &Surroundings, scope: Scope) -> Option<&'static str> {
    if surroundings.is_container && scope >= Scope::Guest {
        return Some("ask the host: a container shares its kernel");
    }
    (surroundings.guest_of.is_some() && scope == Scope::Host)
        .then_some("ask the host: it is not a guest's to change")
}
