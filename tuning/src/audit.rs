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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Capability;

    fn surroundings(guest: bool, container: bool, capabilities: u64) -> Surroundings {
        Surroundings {
            guest_of: guest.then(|| "KVM".to_owned()),
            is_container: container,
            kernel: String::new(),
            capabilities,
        }
    }

    fn write(path: &str) -> Change {
        Change::Write { path: path.to_owned(), value: "1".into(), restore: "0".into() }
    }

    #[test]
    fn a_guest_asks_the_host_for_what_is_the_hosts_and_a_container_for_the_kernels_settings_too() {
        let verdict = |guest, container, scope| {
            settle(
                &surroundings(guest, container, u64::MAX),
                scope,
                Outcome::Differs(vec![write("/sys/x")]),
            )
            .0
        };
        for (guest, container, scope, is_asked) in [
            (false, false, Scope::Host, false),
            (true, false, Scope::Host, true),
            (true, false, Scope::Guest, false),
            (false, true, Scope::Host, true),
            (false, true, Scope::Guest, true),
            (true, true, Scope::Container, false),
        ] {
            let asks = matches!(verdict(guest, container, scope), Verdict::NotApplicable(_));
            assert_eq!(asks, is_asked, "guest {guest}, container {container}, {scope:?}");
        }
    }

    #[test]
    fn what_is_as_wanted_needs_nobody() {
        let (verdict, changes) = settle(&surroundings(true, true, 0), Scope::Host, Outcome::Ok);
        assert_eq!((verdict, changes), (Verdict::Ok, vec![]));
    }

    #[test]
    fn a_change_that_this_process_may_not_make_names_the_capability() {
        let net_admin_only = surroundings(false, false, 1 << Capability::NetAdmin.bit());
        let verdict = |path: &str| verdict_on(&net_admin_only, &[write(path)]);
        assert_eq!(verdict("/proc/sys/net/core/busy_poll"), Verdict::Differs);
        assert_eq!(
            verdict("/proc/sys/vm/swappiness"),
            Verdict::NeedsPrivilege(Capability::SysAdmin)
        );
        let boot = Change::Boot { parameter: "nosmt", value: String::new() };
        assert_eq!(verdict_on(&net_admin_only, std::slice::from_ref(&boot)), Verdict::NeedsReboot);
        assert_eq!(
            verdict_on(&net_admin_only, &[boot, write("/sys/x")]),
            Verdict::NeedsPrivilege(Capability::SysAdmin)
        );
        assert_eq!(verdict_on(&net_admin_only, &[]), Verdict::Differs);
    }
}
