//! Two revisions beside each other, and what may be said of them.
//!
//! The first contest is between a revision and itself: its ratio would be 1 on a machine without noise, and how far
//! its interval reaches is the noise floor. The second is between the two revisions.

use std::fmt;

use serde::Serialize;

use super::contest::{ContestSettings, Contested};
use super::contestant::{Contestant, Kind};
use super::result::{judged, ratio_of};
use crate::result::to_thousandths;
use crate::revision::Revision;
use crate::statistics::{Estimate, Interval, Summary, conclude};
use crate::verdict::Verdict;

pub use crate::statistics::Conclusion;

/// What a pair of revisions came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairResult {
    /// The scenario's name.
    pub scenario: String,
    /// The whole in one sentence.
    pub headline: String,
    /// What may be said of the second revision.
    pub conclusion: Conclusion,
    /// The first revision.
    pub a: Side,
    /// The second revision.
    pub b: Side,
    /// The first revision's time divided by its own: the noise floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_a_to_a: Option<Estimate>,
    /// The second revision's time divided by the first one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_b_to_a: Option<Estimate>,
    /// How many blocks the contest between the two had.
    pub rounds: usize,
    /// The CPUs of every round.
    pub cpus: Vec<usize>,
    /// How far the figures may be believed.
    pub verdict: Verdict,
    /// Why not further.
    pub reasons: Vec<String>,
}

/// One revision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// What it was asked for by.
    pub revision: String,
    /// Its commit.
    pub commit: String,
    /// Median of its rounds beside the other revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_per_message: Option<f64>,
    /// Messages of each of these rounds.
    pub messages: u64,
}

/// The revision as a contestant with a scenario.
pub fn contestant(name: &str, revision: &Revision, scenario: &str) -> Contestant {
    let shown = format!("{name} ({})", revision.name);
    Contestant::of_harness(&shown, Kind::Mainspring, &revision.program, scenario)
        .measuring(format!("{scenario} at {}", revision.commit))
}

impl PairResult {
    /// Puts together what the contest of A with itself and that of A with B came to.
    pub fn new(
        scenario: &str,
        revisions: [&Revision; 2],
        settings: &ContestSettings,
        noise: &Contested,
        both: &Contested,
    ) -> PairResult {
        let judgements = [judged(noise, settings), judged(both, settings)];
        let verdict = judgements[0].verdict.max(judgements[1].verdict);
        let reasons = ["A beside itself", "A beside B"]
            .iter()
            .zip(&judgements)
            .flat_map(|(part, judgement)| {
                judgement.reasons.iter().map(move |reason| format!("{part}: {reason}"))
            })
            .collect();
        let is_shown = verdict != Verdict::Invalid;
        let ratio = |contested: &Contested| {
            let [first, second] = &contested.standings[..] else { return None };
            ratio_of(second, &first.ns_per_message).filter(|_| is_shown)
        };
        let (ratio_a_to_a, ratio_b_to_a) = (ratio(noise), ratio(both));
        let conclusion = match (ratio_a_to_a, ratio_b_to_a) {
            (Some(noise), Some(ratio)) => conclude(noise.interval, ratio.interval),
            _ => Conclusion::CannotTell,
        };
        let side = |place: usize| {
            let standing = &both.standings[place];
            let median = Summary::of(&standing.ns_per_message).filter(|_| is_shown);
            Side {
                revision: revisions[place].name.clone(),
                commit: revisions[place].commit.clone(),
                ns_per_message: median.map(|summary| to_thousandths(summary.median)),
                messages: standing.messages,
            }
        };
        PairResult {
            scenario: scenario.to_owned(),
            headline: headline(conclusion, revisions, ratio_a_to_a, ratio_b_to_a),
            conclusion,
            a: side(0),
            b: side(1),
            ratio_a_to_a: ratio_a_to_a.map(rounded),
            ratio_b_to_a: ratio_b_to_a.map(rounded),
            rounds: both.calibration_ns.len(),
            cpus: settings.cpus.clone(),
            verdict,
            reasons,
        }
    }

    /// One JSON object, indented.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

fn headline(
    conclusion: Conclusion,
    [a, b]: [&Revision; 2],
    noise: Option<Estimate>,
    ratio: Option<Estimate>,
) -> String {
    let (Some(noise), Some(ratio)) = (noise, ratio) else {
        return format!("cannot tell whether {} is faster or slower than {}", b.name, a.name);
    };
    let measured =
        format!("B takes {} of A's time; A beside itself {}", spread(ratio), spread(noise));
    match conclusion {
        Conclusion::CannotTell => {
            format!(
                "cannot tell whether {} is faster or slower than {}: {measured}",
                b.name, a.name
            )
        }
        known => format!("{} is {} than {}: {measured}", b.name, known.words(), a.name),
    }
}

fn spread(Estimate { median, interval }: Estimate) -> String {
    format!("{median:.3} ({:.3} to {:.3})", interval.low, interval.high)
}

/// A ten-thousandth of a ratio is below any noise.
fn rounded(Estimate { median, interval }: Estimate) -> Estimate {
    let round = |value: f64| (value * 1e4).round() / 1e4;
    let interval = Interval { low: round(interval.low), high: round(interval.high) };
    Estimate { median: round(median), interval }
}

impl fmt::Display for PairResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} ({})", self.scenario, self.conclusion.words(), self.verdict.word())?;
        for reason in &self.reasons {
            writeln!(f, "  because {reason}")?;
        }
        for (letter, side) in [("A", &self.a), ("B", &self.b)] {
            write!(f, "  {letter}  {} {:.12}", side.revision, side.commit)?;
            match side.ns_per_message {
                Some(median) => writeln!(f, "  {median:.2} ns a message")?,
                None => writeln!(f)?,
            }
        }
        for (what, ratio) in [("A / A, the noise", self.ratio_a_to_a), ("B / A", self.ratio_b_to_a)]
        {
            if let Some(ratio) = ratio {
                writeln!(f, "  {what:<18}{}", spread(ratio))?;
            }
        }
        writeln!(f, "  {}", self.headline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::comparison::contest::Standing;
    use crate::evidence::Evidence;
    use std::time::Duration;

    fn revision(name: &str) -> Revision {
        Revision { name: name.into(), commit: "0123456789abcdef".into(), program: "perf".into() }
    }

    fn contested(ns_of_second: f64, evidence: Evidence) -> Contested {
        let standing = |ns: f64| Standing { ns_per_message: vec![ns; 5], ..Standing::default() };
        Contested {
            standings: vec![standing(10.0), standing(ns_of_second)],
            calibration_ns: vec![1.0; 5],
            is_interrupted: false,
            evidence: Ok(evidence),
        }
    }

    fn pair(ns_of_b: f64, evidence: Evidence) -> PairResult {
        let settings = ContestSettings {
            blocks: 5,
            round: Duration::from_millis(1),
            deadline: Duration::from_secs(1),
            cpus: vec![0],
            yields: false,
        };
        let (a, b) = (revision("old"), revision("new"));
        let noise = contested(10.0, Evidence::default());
        PairResult::new("spawn", [&a, &b], &settings, &noise, &contested(ns_of_b, evidence))
    }

    #[test]
    fn a_pair_says_which_revision_takes_less_time_and_beside_which_noise() {
        let result = pair(8.0, Evidence::default());
        assert_eq!(result.conclusion, Conclusion::Faster);
        assert!(result.headline.contains("new is faster than old"), "{}", result.headline);
        assert!(result.headline.contains("B takes 0.800 "), "{}", result.headline);
        assert!(result.to_string().contains("A / A, the noise  1.000 (1.000 to 1.000)"));
    }

    #[test]
    fn a_pair_on_a_busy_machine_cannot_tell_and_shows_no_times() {
        let busy = Evidence { cpus_used_by_others: 0.9, ..Evidence::default() };
        let result = pair(8.0, busy);
        assert_eq!((result.conclusion, result.verdict), (Conclusion::CannotTell, Verdict::Invalid));
        assert_eq!((result.ratio_b_to_a, result.b.ns_per_message), (None, None));
        assert!(result.reasons[0].starts_with("A beside B: other processes"), "{result:?}");
    }
}
