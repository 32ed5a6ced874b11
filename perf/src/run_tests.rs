//! A run does its passes in their order, and says so when something could not be counted or must not be believed.

use super::*;
use crate::latency::LapTimer;
use crate::raw::affinity;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A scenario of known behaviour. It notes which rounds it did.
struct Fake {
    description: &'static Description,
    rounds: Mutex<Vec<Purpose>>,
    is_wrong: bool,
}

static FAKE: Description = Description {
    name: "fake",
    measures: "nothing",
    cpus_needed: 1,
    limit: Some("fake-limit"),
    default_messages: 10,
    counted_messages: 4,
    latency_sample: Some("lap"),
    actor_state_bytes: None,
    idle: None,
};
static FAKE_LIMIT: Description = Description { name: "fake-limit", limit: None, ..FAKE };
static GREEDY: Description = Description { name: "greedy", cpus_needed: 1_000, ..FAKE };

impl Fake {
    fn new(description: &'static Description) -> Self {
        Fake { description, rounds: Mutex::new(Vec::new()), is_wrong: false }
    }
}

impl Scenario for Fake {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        self.rounds.lock().expect("not poisoned").push(round.section.purpose());
        round.section.begin();
        let mut laps = LapTimer::new();
        (0..round.messages).for_each(|_| laps.lap());
        round.section.end();
        crate::scenario::check("the fake sum", 1, 1 + u64::from(self.is_wrong))?;
        Ok(Outcome { messages: round.messages, latencies: Some(laps.finish()), sum: None })
    }
}

fn settings() -> RunSettings {
    let cpus = affinity::allowed_cpus().expect("readable");
    RunSettings { rounds: 3, messages: None, cpus, idle: None, show_invalid: false }
}

fn run_with(
    scenario: &Fake,
    limit: Option<&dyn Scenario>,
    settings: &RunSettings,
    answer: Result<SystemCalls, TraceError>,
) -> Result<RunResult, RunError> {
    let mut answer = Some(answer);
    let mut surroundings = Surroundings {
        limit,
        count_system_calls: &mut |messages| {
            assert_eq!(messages, scenario.description.counted_messages);
            answer.take().expect("counted once")
        },
        progress: &mut |_| {},
        stop: &AtomicBool::new(false),
    };
    run(scenario, settings, &mut surroundings).map(|run| run.result)
}

fn two_writes() -> Result<SystemCalls, TraceError> {
    Ok(SystemCalls { by_number: BTreeMap::from([(libc::SYS_write as u64, 2)]) })
}

#[test]
fn a_run_does_one_pass_of_each_kind_and_all_its_rounds() {
    let (scenario, limit) = (Fake::new(&FAKE), Fake::new(&FAKE_LIMIT));
    let result = run_with(&scenario, Some(&limit), &settings(), two_writes()).expect("it runs");
    let rounds = scenario.rounds.lock().expect("not poisoned").clone();
    use Purpose::{Latency, Memory, Time};
    assert_eq!(rounds, [Memory, Time, Time, Time, Latency, Latency, Latency]);
    assert_eq!(
        *limit.rounds.lock().expect("not poisoned"),
        [Time, Time, Time, Latency, Latency, Latency]
    );
    if result.verdict != Verdict::Invalid {
        assert_eq!(result.messages, 10);
        assert!(result.figures.calibration_ns.expect("timed") > 0.0);
        assert!(result.figures.ratio_to_limit.expect("there is a limit") > 0.0);
        assert_eq!(result.figures.limit_name.as_deref(), Some("fake-limit"));
        assert_eq!(result.figures.syscalls_per_message, Some(0.5));
        assert!(result.figures.p50_ns.expect("laps were timed") > 0);
        assert!(result.figures.p50_ratio_to_limit.expect("its laps were timed too") > 0.0);
    }
}

#[test]
fn a_count_that_is_not_possible_degrades_the_run_with_its_reason() {
    let scenario = Fake::new(&FAKE);
    let forbidden = std::io::Error::from_raw_os_error(libc::EPERM);
    let answer = Err(TraceError::NotStarted(forbidden));
    let result = run_with(&scenario, None, &settings(), answer).expect("it runs");
    assert!(result.verdict >= Verdict::Degraded);
    let reasons = result.reasons.join("\n");
    assert!(reasons.contains("system calls not counted"), "{reasons}");
    assert_eq!(result.figures.syscalls_per_message, None);
}

#[test]
fn a_run_on_too_few_cpus_is_invalid_and_runs_nothing() {
    let scenario = Fake::new(&GREEDY);
    let result = run_with(&scenario, None, &settings(), two_writes()).expect("a result");
    assert_eq!(result.verdict, Verdict::Invalid);
    assert!(scenario.rounds.lock().expect("not poisoned").is_empty());
    assert_eq!(result.figures, Figures::default());
}

#[test]
fn a_wrong_sum_gives_no_result() {
    let scenario = Fake { is_wrong: true, ..Fake::new(&FAKE) };
    let error = run_with(&scenario, None, &settings(), two_writes()).expect_err("it is wrong");
    assert!(error.to_string().contains("the fake sum is 2"), "{error}");
}

#[test]
fn settings_out_of_bounds_are_refused_before_anything_runs() {
    let scenario = Fake::new(&FAKE);
    let refusal = |settings: RunSettings| {
        run_with(&scenario, None, &settings, two_writes()).expect_err("out of bounds")
    };
    assert!(matches!(refusal(RunSettings { rounds: 0, ..settings() }), RunError::Rounds { .. }));
    let too_many = RunSettings { messages: Some(MOST_MESSAGES + 1), ..settings() };
    assert!(matches!(refusal(too_many), RunError::Messages { .. }));
    let no_cores = RunSettings { idle: Some(IdleProfile::Busy), ..settings() };
    assert!(matches!(refusal(no_cores), RunError::NoCores { .. }));
    assert!(scenario.rounds.lock().expect("not poisoned").is_empty());
}

#[test]
fn a_run_that_is_stopped_ends_behind_its_round_and_says_so() {
    let scenario = Fake::new(&FAKE);
    let stop = AtomicBool::new(false);
    let mut surroundings = Surroundings {
        limit: None,
        count_system_calls: &mut |_| two_writes(),
        progress: &mut |step| {
            if step.starts_with("round 2") {
                stop.store(true, Ordering::Relaxed);
            }
        },
        stop: &stop,
    };
    let run = run(&scenario, &settings(), &mut surroundings).expect("it runs");
    assert_eq!((run.result.rounds, run.latencies_ns), (2, None));
    assert!(run.result.verdict >= Verdict::Degraded);
    assert!(run.result.reasons.contains(&"interrupted after 2 of 3 rounds".to_owned()));
}

#[test]
fn a_run_that_is_interrupted_before_its_first_round_is_invalid() {
    let scenario = Fake::new(&FAKE);
    let mut surroundings = Surroundings {
        limit: None,
        count_system_calls: &mut |_| panic!("nothing more is counted"),
        progress: &mut |_| {},
        stop: &AtomicBool::new(true),
    };
    let run = run(&scenario, &settings(), &mut surroundings).expect("it runs");
    assert_eq!(run.result.verdict, Verdict::Invalid);
    assert!(run.result.reasons.contains(&"interrupted after 0 of 3 rounds".to_owned()));
    assert_eq!((run.result.figures.ns_per_message, run.latencies_ns), (None, None));
}
