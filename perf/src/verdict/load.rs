//! The rules for a load at a rate: was it the load that was asked for, is anything missing, and are the times those
//! of the service or those of a generator that was late itself.

use super::{Verdict, graded};

/// What became of a load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadFacts {
    /// Messages that were due in the measured stretch.
    pub scheduled: u64,
    /// Of these, how many were sent.
    pub sent: u64,
    /// Of these, how many were answered.
    pub answered: u64,
    /// Of all messages, also those of the warm-up, how many failed at once because the way was full.
    pub failed_in_all: u64,
    /// How long the measured stretch was.
    pub measured_ns: u64,
    /// When the last answer came, from the beginning of the measured stretch.
    pub last_answer_ns: u64,
    /// Messages that the generator sent more than an interval late, for reasons of its own.
    pub late: u64,
    /// The interval.
    pub interval_ns: u64,
    /// The generator's own lateness beside the response, at each percentile that is shown, and at the longest.
    pub late_at: Vec<LateAt>,
    /// How long the load was under way when it was interrupted, and how long it should have been.
    pub interrupted: Option<(u64, u64)>,
}

/// How much of a response may have been the generator's own lateness.
#[derive(Clone, Debug, PartialEq)]
pub struct LateAt {
    /// As it is shown, like `p99`.
    pub name: &'static str,
    /// Whether it is a single message: it says little, whatever it was.
    pub is_single: bool,
    /// So late were messages at this percentile of lateness.
    pub lateness_ns: u64,
    /// So long were responses at this percentile of them.
    pub response_ns: u64,
}

/// An achieved rate that is lower than the offered one by more than this share degrades a run.
pub const SHORT_SHARE_DEGRADED: f64 = 0.001;
/// An achieved rate that is lower than the offered one by more than this share makes a run invalid.
pub const SHORT_SHARE_INVALID: f64 = 0.01;
/// When more than this share of the messages sent was not answered, the 99.9th percentile is not known, and a run is
/// invalid. A single one degrades it.
pub const MISSING_SHARE_INVALID: f64 = 0.001;
/// More than this share of messages that the generator sent more than an interval late degrades a run.
pub const LATE_SHARE_DEGRADED: f64 = 0.001;
/// More than this share of messages that the generator sent more than an interval late makes a run invalid.
pub const LATE_SHARE_INVALID: f64 = 0.1;
/// Where the generator's own lateness is more than this share of a percentile, the percentile is the generator's.
pub const OWN_LATENESS_SHARE: f64 = 0.5;
/// The last answers may come so long after the end before the rate is taken to be lower than it was offered.
pub const SETTLING_NS: u64 = 10_000_000;

impl LoadFacts {
    /// The rate that was due, in messages a second; none when nothing was measured.
    pub fn offered_per_second(&self) -> Option<f64> {
        (self.measured_ns > 0).then(|| self.scheduled as f64 * 1e9 / self.measured_ns as f64)
    }

    /// The rate at which answers came, in messages a second; none when nothing was measured.
    pub fn achieved_per_second(&self) -> Option<f64> {
        let took_ns = self.measured_ns.max(self.last_answer_ns.saturating_sub(SETTLING_NS));
        (self.measured_ns > 0).then(|| self.answered as f64 * 1e9 / took_ns as f64)
    }

    pub(super) fn findings(&self) -> Vec<(Verdict, String)> {
        let mut findings: Vec<_> = self.judge_interruption().into_iter().collect();
        if self.scheduled == 0 || self.answered == 0 {
            let reason = format!("nothing was measured: {} messages were due", self.scheduled);
            findings.push((Verdict::Invalid, reason));
            return findings;
        }
        findings.extend(self.judge_rate());
        findings.extend(self.judge_missing());
        findings.extend(self.judge_late());
        findings.extend(self.late_at.iter().filter_map(LateAt::judge));
        findings
    }

    fn judge_interruption(&self) -> Option<(Verdict, String)> {
        let (after_ns, of_ns) = self.interrupted?;
        let [after, of] = [after_ns, of_ns].map(|time_ns| time_ns as f64 / 1e9);
        let reason = format!("interrupted after {after:.1} s of {of:.1} s");
        Some((Verdict::Degraded, reason))
    }

    fn judge_rate(&self) -> Option<(Verdict, String)> {
        let (offered, achieved) = (self.offered_per_second()?, self.achieved_per_second()?);
        let verdict = graded(1.0 - achieved / offered, SHORT_SHARE_DEGRADED, SHORT_SHARE_INVALID)?;
        let unsent = self.scheduled.saturating_sub(self.sent);
        let unsent =
            if unsent > 0 { format!(", {unsent} messages were not sent") } else { String::new() };
        let reason = format!("offered {offered:.0} a second, achieved {achieved:.0}{unsent}");
        Some((verdict, reason))
    }

    fn judge_missing(&self) -> Option<(Verdict, String)> {
        let missing = self.sent.saturating_sub(self.answered);
        let share = missing as f64 / self.sent.max(1) as f64;
        let verdict = graded(share, 0.0, MISSING_SHARE_INVALID)?;
        let full = match self.failed_in_all {
            0 => String::new(),
            failed => format!("; {failed} found the way to the service full"),
        };
        Some((verdict, format!("{missing} of {} messages were not answered{full}", self.sent)))
    }

    fn judge_late(&self) -> Option<(Verdict, String)> {
        let share = self.late as f64 / self.sent.max(1) as f64;
        let verdict = graded(share, LATE_SHARE_DEGRADED, LATE_SHARE_INVALID)?;
        let reason = format!(
            "the generator was late by more than an interval of {} ns for {:.2} % of the messages",
            self.interval_ns,
            share * 100.0
        );
        Some((verdict, reason))
    }
}

impl LateAt {
    fn judge(&self) -> Option<(Verdict, String)> {
        if self.lateness_ns as f64 <= self.response_ns as f64 * OWN_LATENESS_SHARE {
            return None;
        }
        let verdict = if self.is_single { Verdict::Degraded } else { Verdict::Invalid };
        let reason = format!(
            "{} of the response, {} ns, is for the most part the generator's own lateness, {} ns",
            self.name, self.response_ns, self.lateness_ns
        );
        Some((verdict, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Case, Judgement, judge};
    use super::*;

    /// One second at 1,000 messages a second, all sent in time and answered.
    fn fine() -> LoadFacts {
        LoadFacts {
            scheduled: 1_000,
            sent: 1_000,
            answered: 1_000,
            failed_in_all: 0,
            measured_ns: 1_000_000_000,
            last_answer_ns: 999_500_000,
            late: 0,
            interval_ns: 1_000_000,
            late_at: vec![
                LateAt { name: "p99", is_single: false, lateness_ns: 100, response_ns: 900 },
                LateAt { name: "max", is_single: true, lateness_ns: 200, response_ns: 9_000 },
            ],
            interrupted: None,
        }
    }

    fn judged(load: LoadFacts) -> Judgement {
        judge(&Case { load: Some(load), ..Case::default() })
    }

    #[test]
    fn a_load_that_was_sent_in_time_and_answered_is_valid() {
        assert_eq!(judged(fine()), Judgement { verdict: Verdict::Valid, reasons: Vec::new() });
    }

    #[test]
    fn an_achieved_rate_below_the_offered_one_is_a_reason() {
        let slow = |last_answer_ns| judged(LoadFacts { last_answer_ns, ..fine() }).verdict;
        assert_eq!(slow(1_005_000_000), Verdict::Valid);
        assert_eq!(slow(1_015_000_000), Verdict::Degraded);
        assert_eq!(slow(1_100_000_000), Verdict::Invalid);
        let unsent = judged(LoadFacts { sent: 900, answered: 900, ..fine() });
        assert_eq!(unsent.verdict, Verdict::Invalid);
        assert_eq!(
            unsent.reasons,
            ["offered 1000 a second, achieved 900, 100 messages were not sent"]
        );
    }

    #[test]
    fn a_missing_answer_is_a_reason_and_many_hide_the_worst_percentile() {
        let one = judged(LoadFacts { answered: 999, ..fine() });
        assert_eq!(one.verdict, Verdict::Degraded);
        assert!(one.reasons.contains(&"1 of 1000 messages were not answered".to_owned()));
        let two = judged(LoadFacts { answered: 998, failed_in_all: 2, ..fine() });
        assert_eq!(two.verdict, Verdict::Invalid);
        assert!(two.reasons[1].ends_with("; 2 found the way to the service full"), "{two:?}");
    }

    #[test]
    fn a_generator_that_is_often_late_is_a_reason() {
        assert_eq!(judged(LoadFacts { late: 1, ..fine() }).verdict, Verdict::Valid);
        assert_eq!(judged(LoadFacts { late: 2, ..fine() }).verdict, Verdict::Degraded);
        let often = judged(LoadFacts { late: 101, ..fine() });
        assert_eq!(often.verdict, Verdict::Invalid);
        assert!(often.reasons[0].contains("10.10 % of the messages"), "{often:?}");
    }

    #[test]
    fn a_percentile_that_is_the_generators_own_lateness_makes_a_run_invalid() {
        let mut load = fine();
        load.late_at[0].lateness_ns = 451;
        let judgement = judged(load);
        assert_eq!(judgement.verdict, Verdict::Invalid);
        assert!(judgement.reasons[0].starts_with("p99 of the response, 900 ns"), "{judgement:?}");
        let mut load = fine();
        load.late_at[1].lateness_ns = 8_000;
        assert_eq!(judged(load).verdict, Verdict::Degraded);
    }

    #[test]
    fn an_interrupted_load_says_after_how_long() {
        let interrupted = Some((1_500_000_000, 12_000_000_000));
        let judgement = judged(LoadFacts { interrupted, ..fine() });
        assert_eq!(judgement.verdict, Verdict::Degraded);
        assert_eq!(judgement.reasons, ["interrupted after 1.5 s of 12.0 s"]);
    }

    #[test]
    fn a_load_of_which_nothing_was_measured_is_invalid() {
        let nothing = LoadFacts {
            scheduled: 0,
            sent: 0,
            answered: 0,
            interrupted: Some((100_000_000, 12_000_000_000)),
            ..fine()
        };
        let judgement = judged(nothing);
        assert_eq!(judgement.verdict, Verdict::Invalid);
        assert_eq!(judgement.reasons.len(), 2);
        assert_eq!(judged(LoadFacts { answered: 0, ..fine() }).verdict, Verdict::Invalid);
    }
}
