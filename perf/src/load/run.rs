//! One load with its verdict: calibration, the load, calibration again, and what the machine did meanwhile.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::measure::{self, Measured, Progress};
use super::result::{LoadResult, Parts, facts};
use super::settings::{LoadError, LoadSettings};
use crate::calibration::calibration_ns_on;
use crate::evidence::{self, Snapshot};
use crate::result::to_thousandths;
use crate::scenario::{IdleProfile, Scenario};
use crate::statistics::Summary;
use crate::verdict::{self, Case};

/// What came of a load.
pub struct LoadRun {
    /// The result.
    pub result: LoadResult,
    /// What it was made from.
    pub measured: Measured,
}

/// Runs a load. Takes as long as its stretches do, and less when the flag is raised.
///
/// # Errors
/// [`LoadError`].
pub fn run(
    scenario: &dyn Scenario,
    settings: &LoadSettings,
    show_invalid: bool,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<LoadRun, LoadError> {
    let open_loop = settings.check(scenario)?;
    let calibrate = || calibration_ns_on(settings.cpus[0]).map_err(LoadError::from);
    let calibrated_before = calibrate()?;
    let before = Snapshot::of(&settings.cpus);
    let measured = measure::measure(scenario, settings, stop, progress)?;
    let after = Snapshot::of(&settings.cpus);
    let calibration = [calibrated_before as f64, calibrate()? as f64];
    let calibration = Summary::of(&calibration);

    let facts = facts(&measured, settings);
    let mut case = Case {
        cpus_needed: open_loop.cpus_needed(),
        cpus_given: settings.cpus.len(),
        yields: scenario.yields(),
        calibration_spread: calibration.map_or(1.0, |summary| summary.spread()),
        load: Some(facts.clone()),
        ..Case::default()
    };
    match evidence::between(before, after, settings.cpus.len()) {
        Ok(evidence) => case.evidence = Some(evidence),
        Err(error) => case.remarks.push(format!("nothing is known of the machine's load: {error}")),
    }
    let idle = settings.idle.or(scenario.description().idle).unwrap_or(IdleProfile::Busy);
    let parts = Parts {
        scenario: scenario.description().name,
        response: open_loop.response(),
        settings,
        idle: idle.to_string(),
        measured: &measured,
        facts: &facts,
        calibration_ns: calibration.map_or(0.0, |summary| to_thousandths(summary.median)),
        show_invalid,
    };
    let result = LoadResult::new(&parts, verdict::judge(&case));
    Ok(LoadRun { result, measured })
}
