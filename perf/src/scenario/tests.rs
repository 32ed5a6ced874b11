//! The registry is sound, and every scenario handles its messages, checks its sums and refuses what it cannot run.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::load::measure::{Measured, measure};
use crate::load::schedule::Arrivals;
use crate::load::settings::{self, Drive, LoadSettings};
use crate::section::Purpose;

/// A round, or none, with the reason printed, where nothing can be made durable.
fn round_of(
    scenario: &dyn Scenario,
    messages: u64,
    purpose: Purpose,
) -> Option<(Outcome, Arc<Section>)> {
    let cpus = crate::raw::affinity::allowed_cpus().expect("readable");
    let section = Arc::new(Section::new(purpose));
    let round =
        Round { messages, cpus: &cpus, idle: scenario.description().idle, section: &section };
    match scenario.round(&round) {
        Err(refused) if refused.is_of_the_place() => {
            println!("skipped {}: {refused}", scenario.description().name);
            None
        }
        outcome => Some((outcome.expect("the round's sums are right"), section)),
    }
}

/// The number of CPUs here; a scenario that needs more is skipped with a printed reason.
fn can_run(scenario: &dyn Scenario) -> bool {
    let description = scenario.description();
    let allowed = crate::raw::affinity::allowed_cpus().expect("readable").len();
    if allowed < description.cpus_needed {
        println!(
            "skipped {}: needs {} CPUs of {allowed}",
            description.name, description.cpus_needed
        );
    }
    allowed >= description.cpus_needed
}

#[test]
fn names_are_unique_and_limits_exist_and_have_no_limits_themselves() {
    let mut names: Vec<&str> = all().iter().map(|scenario| scenario.description().name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    for scenario in all() {
        if let Some(limit) = scenario.description().limit {
            assert_eq!(find(limit).expect("a limit is a scenario").description().limit, None);
        }
    }
}

#[test]
fn an_unknown_scenario_is_not_found() {
    assert!(find("no-such-scenario").is_none());
}

#[test]
fn a_short_round_of_every_scenario_handles_its_messages_within_the_section() {
    for scenario in all() {
        if !can_run(scenario) {
            continue;
        }
        let Some((outcome, section)) = round_of(scenario, 1_000, Purpose::Time) else { continue };
        let name = scenario.description().name;
        assert!(outcome.messages >= 1_000, "{name}");
        assert!(outcome.latencies.is_none(), "{name}");
        assert!(section.measured().expect("begun and ended once").elapsed_ns > 0, "{name}");
    }
}

#[test]
fn every_scenario_that_times_single_messages_delivers_samples() {
    for scenario in all() {
        if scenario.description().latency_sample.is_some() && can_run(scenario) {
            let round = round_of(scenario, 1_000, Purpose::Latency);
            let Some((outcome, _)) = round else { continue };
            let samples = outcome.latencies.map_or(0, |latencies| latencies.len());
            assert!(samples > 0, "{}", scenario.description().name);
        }
    }
}

#[test]
fn every_scenario_with_an_open_loop_answers_what_is_sent() {
    for scenario in all() {
        let Some(open_loop) = scenario.open_loop() else { continue };
        let (name, needed) = (scenario.description().name, open_loop.cpus_needed());
        let cpus = crate::raw::affinity::allowed_cpus().expect("readable");
        if cpus.len() < needed {
            println!("skipped {name} at a rate: needs {needed} CPUs of {}", cpus.len());
            continue;
        }
        let settings = LoadSettings {
            drive: Drive::Rate { per_second: 1_000, arrivals: Arrivals::Uniform },
            measured: settings::SHORTEST,
            payload_bytes: 100,
            cpus,
            idle: None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let measured = measure(scenario, &settings, &stop, &mut |_| {});
        let Measured { sent, answered, .. } = measured.unwrap_or_else(|error| panic!("{error}"));
        assert!(sent.sent > 0, "{name}");
        assert_eq!((answered.answered_in_all, sent.failed_in_all), (sent.sent_in_all, 0), "{name}");
        assert_eq!(answered.response_ns.len(), sent.sent, "{name}");
    }
}

#[test]
fn too_few_cpus_are_a_typed_refusal() {
    for scenario in all() {
        let section = Arc::new(Section::new(Purpose::Time));
        let round = Round { messages: 10, cpus: &[], idle: None, section: &section };
        let refused = scenario.round(&round);
        assert!(matches!(refused, Err(ScenarioError::TooFewCpus { given: 0, .. })), "{refused:?}");
    }
}

#[test]
fn a_wrong_sum_is_an_error() {
    assert!(check("a sum", 1, 1).is_ok());
    let error = check("a sum", 1, 2).expect_err("it is wrong").to_string();
    assert!(error.contains("a sum is 2, expected 1"), "{error}");
}
