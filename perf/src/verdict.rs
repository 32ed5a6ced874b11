//! Whether a run's figures may be believed, and if not, why.
//!
//! The rules are a pure function of the evidence. An invalid run shows no headline figure; a degraded one shows its
//! figures with the reasons beside them.

mod load;

use serde::Serialize;

use crate::evidence::Evidence;
pub use load::{
    LATE_SHARE_DEGRADED, LATE_SHARE_INVALID, LateAt, LoadFacts, MISSING_SHARE_INVALID,
    OWN_LATENESS_SHARE, SETTLING_NS, SHORT_SHARE_DEGRADED, SHORT_SHARE_INVALID,
};

/// How far a run's figures may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing speaks against them.
    Valid,
    /// Something disturbed the run; the reasons say what.
    Degraded,
    /// They say nothing about the scenario, and are not shown.
    Invalid,
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Degraded => "degraded",
            Verdict::Invalid => "invalid",
        }
    }
}

/// A verdict with its reasons. No reasons if and only if it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The gravest of all findings.
    pub verdict: Verdict,
    /// One sentence a finding.
    pub reasons: Vec<String>,
}

/// What is to be judged.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// How many CPUs the scenario keeps busy.
    pub cpus_needed: usize,
    /// How many the run was given.
    pub cpus_given: usize,
    /// What the machine did meanwhile; none when it could not be read, with the cause in `remarks`.
    pub evidence: Option<Evidence>,
    /// Whether the threads give their CPU away by themselves: their switches are no evidence then.
    pub yields: bool,
    /// Which part of the single samples lie at multiples of the kernel's tick, where that says something.
    pub share_at_ticks: Option<f64>,
    /// The slowest calibration loop of the run divided by the fastest.
    pub calibration_spread: f64,
    /// What could not be read or counted. Each degrades the run.
    pub remarks: Vec<String>,
    /// What became of a load at a rate.
    pub load: Option<LoadFacts>,
}

/// More than this share of stolen time degrades a run.
pub const STEAL_SHARE_DEGRADED: f64 = 0.01;
/// More than this share of stolen time makes a run invalid.
pub const STEAL_SHARE_INVALID: f64 = 0.10;
/// More involuntary switches a second than this degrade a run.
pub const SWITCHES_A_SECOND_DEGRADED: f64 = 50.0;
/// More involuntary switches a second than this make a run invalid.
pub const SWITCHES_A_SECOND_INVALID: f64 = 2_000.0;
/// Others may use this many CPUs, beyond those that the scenario leaves free, before the run is degraded.
pub const MISSING_CPUS_DEGRADED: f64 = 0.05;
/// When this share of the CPUs that the scenario needs was used by others, the run is invalid.
pub const MISSING_CPU_SHARE_INVALID: f64 = 0.5;
/// More samples than this at multiples of the kernel's tick degrade a run.
pub const SHARE_AT_TICKS_DEGRADED: f64 = 0.01;
/// More than this between the slowest and the fastest calibration loop degrades a run.
pub const CALIBRATION_SPREAD_DEGRADED: f64 = 1.25;

/// Judges a run.
pub fn judge(case: &Case) -> Judgement {
    let mut findings: Vec<(Verdict, String)> =
        case.remarks.iter().map(|remark| (Verdict::Degraded, remark.clone())).collect();
    if case.cpus_given < case.cpus_needed {
        let reason =
            format!("{} CPUs given, the scenario needs {}", case.cpus_given, case.cpus_needed);
        findings.push((Verdict::Invalid, reason));
    }
    if let Some(evidence) = &case.evidence {
        if !case.yields {
            findings.extend(judge_switches(evidence));
        }
        findings.extend(judge_steal(evidence));
        findings.extend(judge_free_cpus(evidence, case));
    }
    if let Some(load) = &case.load {
        findings.extend(load.findings());
    }
    findings.extend(case.share_at_ticks.and_then(judge_ticks));
    if case.calibration_spread > CALIBRATION_SPREAD_DEGRADED {
        let reason = format!(
            "the machine changed its speed: the slowest calibration took {:.2} times the fastest",
            case.calibration_spread
        );
        findings.push((Verdict::Degraded, reason));
    }
    let verdict = findings.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::Valid);
    Judgement { verdict, reasons: findings.into_iter().map(|(_, reason)| reason).collect() }
}

fn judge_switches(evidence: &Evidence) -> Option<(Verdict, String)> {
    if evidence.wall_seconds <= 0.0 {
        return None;
    }
    let a_second = evidence.involuntary_switches as f64 / evidence.wall_seconds;
    let verdict = graded(a_second, SWITCHES_A_SECOND_DEGRADED, SWITCHES_A_SECOND_INVALID)?;
    Some((
        verdict,
        format!("threads lost their CPU against their will {a_second:.0} times a second"),
    ))
}

fn judge_ticks(share: f64) -> Option<(Verdict, String)> {
    let percent = share * 100.0;
    (share > SHARE_AT_TICKS_DEGRADED).then(|| {
        let reason =
            "lie at multiples of the kernel's tick: they waited for a CPU, not for the device";
        (Verdict::Degraded, format!("{percent:.1} % of the samples {reason}"))
    })
}

fn judge_steal(evidence: &Evidence) -> Option<(Verdict, String)> {
    let verdict = graded(evidence.steal_share, STEAL_SHARE_DEGRADED, STEAL_SHARE_INVALID)?;
    let percent = evidence.steal_share * 100.0;
    Some((verdict, format!("the hypervisor gave {percent:.1} % of the CPU time to others")))
}

fn judge_free_cpus(evidence: &Evidence, case: &Case) -> Option<(Verdict, String)> {
    let spare = case.cpus_given.saturating_sub(case.cpus_needed) as f64;
    let missing = evidence.cpus_used_by_others - spare;
    let invalid_at =
        (case.cpus_needed as f64 * MISSING_CPU_SHARE_INVALID).max(MISSING_CPUS_DEGRADED);
    let verdict = graded(missing, MISSING_CPUS_DEGRADED, invalid_at)?;
    let reason = format!(
        "other processes used {:.2} of the run's {} CPUs, and the scenario needs {}",
        evidence.cpus_used_by_others, case.cpus_given, case.cpus_needed
    );
    Some((verdict, reason))
}

fn graded(value: f64, degraded_above: f64, invalid_above: f64) -> Option<Verdict> {
    if value > invalid_above {
        Some(Verdict::Invalid)
    } else if value > degraded_above {
        Some(Verdict::Degraded)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Case {
        let evidence = Evidence { wall_seconds: 2.0, ..Evidence::default() };
        Case {
            cpus_needed: 2,
            cpus_given: 2,
            evidence: Some(evidence),
            calibration_spread: 1.02,
            ..Case::default()
        }
    }

    fn with(change: impl FnOnce(&mut Evidence)) -> Judgement {
        let mut case = quiet();
        change(case.evidence.as_mut().expect("a quiet case has evidence"));
        judge(&case)
    }

    #[test]
    fn a_quiet_run_is_valid_and_gives_no_reasons() {
        assert_eq!(judge(&quiet()), Judgement { verdict: Verdict::Valid, reasons: Vec::new() });
    }

    #[test]
    fn fewer_cpus_than_needed_make_a_run_invalid() {
        let judgement = judge(&Case { cpus_given: 1, ..quiet() });
        assert_eq!(judgement.verdict, Verdict::Invalid);
        assert_eq!(judgement.reasons, ["1 CPUs given, the scenario needs 2"]);
    }

    #[test]
    fn stolen_time_degrades_and_then_invalidates() {
        assert_eq!(with(|evidence| evidence.steal_share = 0.02).verdict, Verdict::Degraded);
        assert_eq!(with(|evidence| evidence.steal_share = 0.2).verdict, Verdict::Invalid);
    }

    #[test]
    fn involuntary_switches_are_judged_by_their_rate() {
        assert_eq!(with(|evidence| evidence.involuntary_switches = 90).verdict, Verdict::Valid);
        assert_eq!(with(|evidence| evidence.involuntary_switches = 200).verdict, Verdict::Degraded);
        assert_eq!(
            with(|evidence| evidence.involuntary_switches = 9_000).verdict,
            Verdict::Invalid
        );
    }

    #[test]
    fn switches_of_threads_that_yield_are_no_evidence() {
        let mut yielding = Case { yields: true, ..quiet() };
        let evidence = yielding.evidence.as_mut().expect("a quiet case has evidence");
        evidence.involuntary_switches = 9_000;
        assert_eq!(judge(&yielding).verdict, Verdict::Valid);
    }

    #[test]
    fn samples_that_waited_for_a_tick_degrade_a_run() {
        let with_share = |share| judge(&Case { share_at_ticks: Some(share), ..quiet() });
        assert_eq!(with_share(0.005).verdict, Verdict::Valid);
        let judgement = with_share(0.125);
        assert_eq!(judgement.verdict, Verdict::Degraded);
        assert!(judgement.reasons[0].starts_with("12.5 % of the samples"), "{judgement:?}");
    }

    #[test]
    fn a_busy_neighbour_counts_only_against_cpus_that_are_needed() {
        let busy = |evidence: &mut Evidence| evidence.cpus_used_by_others = 0.6;
        assert_eq!(with(busy).verdict, Verdict::Degraded);
        assert_eq!(with(|evidence| evidence.cpus_used_by_others = 1.2).verdict, Verdict::Invalid);
        let mut roomy = Case { cpus_needed: 1, ..quiet() };
        busy(roomy.evidence.as_mut().expect("a quiet case has evidence"));
        assert_eq!(judge(&roomy).verdict, Verdict::Valid);
    }

    #[test]
    fn a_machine_that_changes_its_speed_degrades_a_run() {
        let judgement = judge(&Case { calibration_spread: 1.85, ..quiet() });
        assert_eq!(judgement.verdict, Verdict::Degraded);
        assert!(judgement.reasons[0].contains("1.85"), "{judgement:?}");
    }

    #[test]
    fn what_could_not_be_counted_is_a_reason() {
        let judgement = judge(&Case { remarks: vec!["no ptrace".into()], ..quiet() });
        assert_eq!(
            judgement,
            Judgement { verdict: Verdict::Degraded, reasons: vec!["no ptrace".into()] }
        );
    }
}
