//! What `plan` and `apply` share: the profile, the machine, and which checks are meant.

use super::CommandError;
use crate::audit::{Audit, checks_of};
use crate::check;
use crate::facts::Facts;
use crate::plan::Plan;
use crate::profile::Profile;
use crate::sys_root::SysRoot;

/// The arguments that choose what is planned.
#[derive(Debug, clap::Args)]
pub(super) struct PlannedArguments {
    /// What the machine is to become: shared-vm, latency, isolated-spin, or the path of a profile.
    #[arg(long, default_value = "latency")]
    pub(super) profile: String,
    /// Only this check; may be given again for others.
    #[arg(long, value_name = "ID")]
    pub(super) only: Vec<String>,
    /// All but this check; may be given again for others.
    #[arg(long, value_name = "ID", conflicts_with = "only")]
    pub(super) except: Vec<String>,
}

/// A plan, and what it is made of.
pub(super) struct Planned {
    pub(super) profile: Profile,
    pub(super) facts: Facts,
    pub(super) plan: Plan,
}

impl PlannedArguments {
    /// Reads the machine and plans.
    pub(super) fn plan(&self, root: &SysRoot) -> Result<Planned, CommandError> {
        for id in self.only.iter().chain(&self.except) {
            if check::by_id(id).is_none() {
                return Err(CommandError::UnknownCheck {
                    id: id.clone(),
                    nearest: check::nearest(id),
                });
            }
        }
        let profile = Profile::load(&self.profile)?;
        if profile.is_audit_only {
            return Err(CommandError::AuditOnly { profile: profile.name });
        }
        let facts = Facts::probe(root, &checks_of(&profile.wanted))?;
        let mut audit = Audit::of(&facts, &profile.wanted);
        let names = |ids: &[String], id: &str| ids.iter().any(|named| named == id);
        audit.findings.retain(|finding| {
            (self.only.is_empty() || names(&self.only, finding.id))
                && !names(&self.except, finding.id)
        });
        let plan = Plan::of(&audit);
        Ok(Planned { profile, facts, plan })
    }
}

impl Planned {
    /// Whose plan it is, in a line.
    pub(super) fn title(&self) -> String {
        let surroundings = self.facts.surroundings();
        format!(
            "profile {} for a {}, CPUs {}, {}",
            self.profile.name,
            surroundings.describe(),
            self.facts.topology().online(),
            surroundings.describe_kernel()
        )
    }
}
