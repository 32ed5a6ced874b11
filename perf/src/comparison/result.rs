//! What a comparison found, for a program (JSON) and for a person (a table).
//!
//! A ratio is never that of two medians: it is the median of the ratios of rounds of the same block, with its interval,
//! because a machine that changes its speed between blocks moves both rounds of a pair. An invalid comparison has no
//! times and no ratios but that of the calibration, unless they are asked for in spite of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::contest::{ContestSettings, Contested, Standing};
use super::contestant::{Contestant, Kind};
use super::line_up::{LeftOut, LineUp};
use crate::result::to_thousandths;
use crate::statistics::bootstrap::SEED;
use crate::statistics::{Estimate, Summary, median_estimate, paired_ratios};
use crate::verdict::{self, Case, Judgement, Verdict};

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonResult {
    /// The scenario's name.
    pub scenario: String,
    /// What one message of the figures is.
    pub unit: String,
    /// The whole in one sentence; none when the comparison is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// mainspring first, then the raw limit, then the peers by name.
    pub contestants: Vec<Row>,
    /// The peer that takes the least time, and how its time relates to mainspring's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_peer: Option<BestPeer>,
    /// Peers that do not take part.
    pub left_out: Vec<LeftOut>,
    /// What the harness itself takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harness: Option<Overhead>,
    /// How many blocks.
    pub rounds: usize,
    /// How long a round was meant to take.
    pub round_ms: u64,
    /// The CPUs of every contestant.
    pub cpus: Vec<usize>,
    /// Median time of the calibration loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_ns: Option<f64>,
    /// How far the figures may be believed.
    pub verdict: Verdict,
    /// Why not further.
    pub reasons: Vec<String>,
    /// Every round, block by block.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
}

/// One contestant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Median of its rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_per_message: Option<f64>,
    /// Its fastest round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_ns_per_message: Option<f64>,
    /// Its slowest round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_ns_per_message: Option<f64>,
    /// Its time divided by mainspring's: the median of the blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_mainspring: Option<f64>,
    /// The lower bound of the ratio's 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_low: Option<f64>,
    /// The upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_high: Option<f64>,
    /// Messages of each of its rounds.
    pub messages: u64,
    /// What exactly is measured.
    pub measured: String,
    /// With which settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Why it is out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
}

/// The peer that takes the least time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestPeer {
    /// Its name.
    pub name: String,
    /// Its time divided by mainspring's.
    pub ratio: Estimate,
}

/// The harness's own share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overhead {
    /// What a section with nothing in it takes: this much of every round's time is the harness's.
    pub section_ns: f64,
    /// From before the start of a process with nothing to do until its end. No part of any figure.
    pub process_ms: f64,
}

/// The rounds of one block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Block {
    /// The calibration loop.
    pub calibration_ns: f64,
    /// Time of a message, by contestant.
    pub ns_per_message: BTreeMap<String, f64>,
}

impl ComparisonResult {
    /// Puts together what was found.
    pub fn new(
        scenario: &str,
        line_up: LineUp,
        settings: &ContestSettings,
        contested: &Contested,
        show_invalid: bool,
    ) -> ComparisonResult {
        let judgement = judged(contested, settings);
        let LineUp { contestants, left_out, unit } = line_up;
        let entries: Vec<(&Contestant, &Standing)> =
            contestants.iter().zip(&contested.standings).collect();
        let first = &contested.standings[0].ns_per_message;
        let (own, others): (Vec<_>, Vec<_>) =
            entries.iter().partition(|(contestant, _)| contestant.kind == Kind::Empty);
        let mut rows: Vec<Row> = others
            .iter()
            .map(|(contestant, standing)| Row::new(contestant, standing, first))
            .collect();
        let peers = others.iter().filter(|(contestant, _)| contestant.kind == Kind::Peer);
        let mut best_peer = best_of(peers, first);
        let mut headline = headline(scenario, unit, &rows, best_peer.as_ref());
        let mut blocks = blocks_of(&others, &contested.calibration_ns);
        if judgement.verdict == Verdict::Invalid && !show_invalid {
            rows.iter_mut().for_each(Row::lose_times);
            (best_peer, headline, blocks) = (None, None, Vec::new());
        }
        ComparisonResult {
            scenario: scenario.to_owned(),
            unit: unit.to_owned(),
            headline,
            contestants: rows,
            best_peer,
            left_out,
            harness: own.first().and_then(|(_, standing)| Overhead::of(standing)),
            rounds: contested.calibration_ns.len(),
            round_ms: settings.round.as_millis() as u64,
            cpus: settings.cpus.clone(),
            calibration_ns: Summary::of(&contested.calibration_ns)
                .map(|summary| to_thousandths(summary.median)),
            verdict: judgement.verdict,
            reasons: judgement.reasons,
            blocks,
        }
    }

    /// One JSON object, indented.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

impl Row {
    fn new(contestant: &Contestant, standing: &Standing, first: &[f64]) -> Row {
        let summary = Summary::of(&standing.ns_per_message);
        let is_first = contestant.kind == Kind::Mainspring;
        let ratio = (!is_first).then(|| ratio_of(standing, first)).flatten();
        Row {
            name: contestant.name.clone(),
            kind: contestant.kind,
            ns_per_message: summary.map(|found| to_thousandths(found.median)),
            best_ns_per_message: summary.map(|found| to_thousandths(found.best)),
            worst_ns_per_message: summary.map(|found| to_thousandths(found.worst)),
            ratio_to_mainspring: ratio.map(|found| to_thousandths(found.median)),
            ratio_low: ratio.map(|found| to_thousandths(found.interval.low)),
            ratio_high: ratio.map(|found| to_thousandths(found.interval.high)),
            messages: standing.messages,
            measured: contestant.measured.clone(),
            settings: contestant.settings.clone(),
            out: standing.out.clone(),
        }
    }

    fn lose_times(&mut self) {
        self.ns_per_message = None;
        self.best_ns_per_message = None;
        self.worst_ns_per_message = None;
        self.ratio_to_mainspring = None;
        self.ratio_low = None;
        self.ratio_high = None;
    }
}

impl Overhead {
    fn of(standing: &Standing) -> Option<Overhead> {
        let processes = standing.ns_per_message.len();
        // A round of the empty scenario has one message, so its time a message is that of the whole section.
        let section = Summary::of(&standing.ns_per_message)?;
        let outside = standing.wall.saturating_sub(standing.measured);
        Some(Overhead {
            section_ns: to_thousandths(section.median),
            process_ms: to_thousandths(outside.as_secs_f64() * 1e3 / processes as f64),
        })
    }
}

/// Judges what the machine did during a contest.
pub fn judged(contested: &Contested, settings: &ContestSettings) -> Judgement {
    let mut case = Case {
        cpus_needed: settings.cpus.len(),
        cpus_given: settings.cpus.len(),
        yields: settings.yields,
        calibration_spread: Summary::of(&contested.calibration_ns)
            .map_or(1.0, |summary| summary.spread()),
        ..Case::default()
    };
    if contested.is_interrupted {
        let (done, wanted) = (contested.calibration_ns.len(), settings.blocks);
        case.remarks.push(format!("interrupted after {done} of {wanted} blocks"));
    }
    match &contested.evidence {
        Ok(evidence) => case.evidence = Some(*evidence),
        Err(error) => case.remarks.push(format!("nothing is known of the machine's load: {error}")),
    }
    verdict::judge(&case)
}

/// A contestant's time divided by the first one's, block by block.
pub fn ratio_of(standing: &Standing, first: &[f64]) -> Option<Estimate> {
    median_estimate(&paired_ratios(&standing.ns_per_message, first), SEED)
}

fn best_of<'a>(
    peers: impl Iterator<Item = &'a (&'a Contestant, &'a Standing)>,
    first: &[f64],
) -> Option<BestPeer> {
    let rated = peers.filter_map(|(contestant, standing)| {
        let name = contestant.name.clone();
        Some(BestPeer { name, ratio: ratio_of(standing, first)? })
    });
    rated.min_by(|one, other| one.ratio.median.total_cmp(&other.ratio.median))
}

fn headline(scenario: &str, unit: &str, rows: &[Row], best: Option<&BestPeer>) -> Option<String> {
    let own = format!("{scenario}: mainspring {:.2} ns a {unit}", rows.first()?.ns_per_message?);
    let of_limit = rows.iter().find(|row| row.kind == Kind::Limit).and_then(|limit| {
        let times = 1.0 / limit.ratio_to_mainspring.filter(|ratio| *ratio > 0.0)?;
        Some(format!(", {times:.2} times the raw limit"))
    });
    let of_peer = best.map(|best| {
        let Estimate { median, interval } = best.ratio;
        format!(
            "; the best peer, {}, takes {median:.2} times as long (95 %: {:.2} to {:.2})",
            best.name, interval.low, interval.high
        )
    });
    Some(own + &of_limit.unwrap_or_default() + &of_peer.unwrap_or_default())
}

fn blocks_of(entries: &[(&Contestant, &Standing)], calibration_ns: &[f64]) -> Vec<Block> {
    let block = |(number, calibration_ns): (usize, &f64)| {
        let round = |(contestant, standing): &(&Contestant, &Standing)| {
            let ns = *standing.ns_per_message.get(number)?;
            Some((contestant.name.clone(), to_thousandths(ns)))
        };
        let ns_per_message = entries.iter().filter_map(round).collect();
        Block { calibration_ns: *calibration_ns, ns_per_message }
    };
    calibration_ns.iter().enumerate().map(block).collect()
}

impl fmt::Display for ComparisonResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.scenario, self.verdict.word())?;
        for reason in &self.reasons {
            writeln!(f, "  because {reason}")?;
        }
        let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
        writeln!(
            f,
            "  {} blocks of one round of about {} ms each, every second block in reverse; CPUs {}",
            self.rounds,
            self.round_ms,
            cpus.join(",")
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "  {:<18}{:>12}{:>12}{:>12}  times mainspring's (95 %)",
            format!("ns a {}", self.unit),
            "median",
            "best",
            "worst"
        )?;
        for row in &self.contestants {
            self.write_row(f, row)?;
        }
        for peer in &self.left_out {
            writeln!(f, "  {:<18}left out: {}", peer.name, peer.reason)?;
        }
        writeln!(f)?;
        if let Some(headline) = &self.headline {
            writeln!(f, "  {headline}")?;
        }
        if let Some(Overhead { section_ns, process_ms }) = self.harness {
            writeln!(
                f,
                "  the harness itself: {section_ns:.0} ns of each round; starting and ending a process, \
                 untimed, {process_ms:.1} ms"
            )?;
        }
        Ok(())
    }
}

impl ComparisonResult {
    fn write_row(&self, f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
        write!(f, "  {:<18}", row.name)?;
        if let Some(reason) = &row.out {
            return writeln!(f, "out: {reason}");
        }
        let (Some(median), Some(best), Some(worst)) =
            (row.ns_per_message, row.best_ns_per_message, row.worst_ns_per_message)
        else {
            return writeln!(f, "{:>12}{:>12}{:>12}", "-", "-", "-");
        };
        write!(f, "{median:>12.2}{best:>12.2}{worst:>12.2}")?;
        if let (Some(ratio), Some(low), Some(high)) =
            (row.ratio_to_mainspring, row.ratio_low, row.ratio_high)
        {
            write!(f, "  {ratio:.2} ({low:.2} to {high:.2})")?;
            if self.best_peer.as_ref().is_some_and(|best| best.name == row.name) {
                write!(f, "  the best peer")?;
            }
        }
        writeln!(f)
    }
}

#[cfg(test)]
#[path = "result_tests.rs"]
mod tests;
