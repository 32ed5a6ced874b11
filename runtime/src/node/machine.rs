//! What the machine does that costs a node latency, told when it starts.
//!
//! Promises: a line for each finding, with what was found, what is wanted, what it costs and where to read on; nothing
//! where the machine is as wanted or does not say. A node starts whatever the findings are.

use mainspring_tuning::{Audit, Facts, SysRoot, Wanted, checks_of};

use super::idle::IdleProfile;

/// Logs the findings on this machine for cores on these CPUs.
pub(super) fn log(node: &str, cpus: &[u32], idle: IdleProfile) {
    for line in findings(&SysRoot::real(), cpus, idle) {
        tracing::warn!(node, "{line}");
    }
}

fn findings(root: &SysRoot, cpus: &[u32], idle: IdleProfile) -> Vec<String> {
    let sleeps = idle.spin().is_some();
    let wanted = Wanted::of_a_node(cpus.iter().copied().collect(), sleeps);
    // Whatever keeps the machine from telling its CPUs has kept the node from starting before.
    let Ok(facts) = Facts::probe(root, &checks_of(&wanted)) else { return Vec::new() };
    let findings = Audit::of(&facts, &wanted).findings.into_iter();
    findings
        .filter(|finding| finding.verdict.differs())
        .map(|finding| {
            format!(
                "the machine: {id} is {found}, wanted {wanted}: {effect}; `mainspring-tune explain {id}`",
                id = finding.id,
                found = finding.found,
                wanted = finding.wanted,
                effect = finding.effect,
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(machine: &str, idle: IdleProfile) -> Vec<String> {
        let machines =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tuning/tests/machines");
        let lines = findings(&SysRoot::recorded(machines.join(machine)), &[2, 3], idle);
        let id = |line: &String| line.split_whitespace().nth(2).map(str::to_owned);
        lines.iter().filter_map(id).collect()
    }

    #[test]
    fn a_machine_as_wanted_is_not_worth_a_line() {
        assert_eq!(ids("arm64-tuned", IdleProfile::default()), [""; 0]);
        assert_eq!(ids("firecracker-2vcpu", IdleProfile::default()), [""; 0]);
    }

    #[test]
    fn a_core_that_never_sleeps_does_not_care_how_the_others_wake_up() {
        let always = ["mem.thp"];
        let sleeping = ["cpu.governor", "cpu.idle_latency", "mem.thp"];
        assert_eq!(ids("two-socket-smt", IdleProfile::Busy), always);
        assert_eq!(ids("two-socket-smt", IdleProfile::Eco), sleeping);
    }

    #[test]
    fn what_only_the_host_could_change_is_not_told_in_a_container() {
        assert_eq!(ids("container-cpuset", IdleProfile::Eco), ["limits.cpu_quota"]);
    }

    #[test]
    fn a_line_says_what_it_costs_and_where_to_read_on() {
        let machines =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tuning/tests/machines");
        let root = SysRoot::recorded(machines.join("container-cpuset"));
        let lines = findings(&root, &[2], IdleProfile::Busy);
        assert_eq!(
            lines,
            [
                "the machine: limits.cpu_quota is 2.000 CPUs, wanted none: when the quota is used up, all threads of \
              the group stop until the period ends, often for 50 ms and more; `mainspring-tune explain \
              limits.cpu_quota`"
            ]
        );
    }
}
