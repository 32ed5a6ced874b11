//! Shutdowns as the machine decides them, by hand and at random, and as a program has them.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use fastrand::Rng;

use super::sequence::{Input, Output, Progress, Sequence};
use super::*;

const SECOND_NS: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

fn step(sequence: &mut Sequence, now_ns: u64, input: Input) -> Vec<Output> {
    let mut outputs = Vec::new();
    sequence.step(now_ns, input, &mut outputs);
    outputs
}

fn started(outputs: &[Output]) -> Vec<TaskKey> {
    let task = |output: &Output| match output {
        Output::Start { task, .. } => Some(*task),
        _ => None,
    };
    outputs.iter().filter_map(task).collect()
}

fn begin() -> Input {
    Input::Begin(Reason::Terminated)
}

#[test]
fn a_phase_waits_for_all_of_its_tasks_before_the_next_one_begins() {
    let mut sequence = Sequence::new(Settings::default());
    let late = sequence.add(Phase::FinishRequests, "requests").unwrap();
    let first = sequence.add(Phase::Announce, "probe").unwrap();
    let second = sequence.add(Phase::Announce, "balancer").unwrap();
    assert_eq!(started(&step(&mut sequence, 0, begin())), [first, second]);
    assert_eq!(started(&step(&mut sequence, 1, Input::Ended(second, Outcome::Done))), []);
    let running = vec!["probe".to_owned()];
    assert_eq!(sequence.progress(), Progress::InPhase { phase: Phase::Announce, running });
    // The phase between them has no tasks, and takes no time.
    assert_eq!(started(&step(&mut sequence, 2, Input::Ended(first, Outcome::Done))), [late]);
    step(&mut sequence, 7, Input::Ended(late, Outcome::Done));
    let report = sequence.report().expect("nothing is left to wait for");
    assert_eq!((report.took_ns, report.failed()), (7, 0));
    assert_eq!(report.phases.iter().map(|phase| phase.phase).collect::<Vec<_>>(), Phase::ALL);
    assert_eq!(report.phases[2].tasks[0].took_ns, 5);
}

#[test]
fn what_fails_or_does_not_end_is_reported_and_the_next_phase_begins() {
    let mut sequence = Sequence::new(Settings::default());
    let fails = sequence.add(Phase::StopAccepting, "listener").unwrap();
    let hangs = sequence.add(Phase::StopAccepting, "console").unwrap();
    let last = sequence.add(Phase::StopNode, "node").unwrap();
    step(&mut sequence, 0, begin());
    let why = Outcome::Failed("no such file".to_owned());
    step(&mut sequence, 1, Input::Ended(fails, why.clone()));
    assert_eq!(sequence.deadline_ns(), Some(2 * SECOND_NS));
    assert_eq!(step(&mut sequence, 2 * SECOND_NS - 1, Input::Tick), []);
    assert_eq!(started(&step(&mut sequence, 2 * SECOND_NS, Input::Tick)), [last]);
    // It ends at last, when nobody waits for it any more.
    step(&mut sequence, 2 * SECOND_NS + 1, Input::Ended(hangs, Outcome::Done));
    step(&mut sequence, 2 * SECOND_NS + 2, Input::Ended(last, Outcome::Done));
    let report = sequence.report().expect("all phases are over");
    let tasks = &report.phases[Phase::StopAccepting as usize].tasks;
    let outcomes: Vec<&Outcome> = tasks.iter().map(|task| &task.outcome).collect();
    assert_eq!(outcomes, [&why, &Outcome::NotEnded]);
    assert_eq!(report.failed(), 2);
    let shown = report.to_string();
    assert!(shown.starts_with("shut down in 2000 ms (SIGTERM), 2 tasks not done"), "{shown}");
    assert!(shown.contains("\n    listener: failed: no such file"), "{shown}");
}

#[test]
fn a_shutdown_begins_once_and_keeps_the_reason_that_came_first() {
    let mut sequence = Sequence::new(Settings::default());
    let task = sequence.add(Phase::Announce, "probe").unwrap();
    step(&mut sequence, 0, Input::Begin(Reason::Downed));
    assert_eq!(step(&mut sequence, 1, Input::Begin(Reason::Interrupted)), []);
    step(&mut sequence, 2, Input::Ended(task, Outcome::Done));
    assert_eq!(step(&mut sequence, 3, Input::Begin(Reason::Interrupted)), []);
    assert_eq!(sequence.report().map(|report| &report.reason), Some(&Reason::Downed));
}

#[test]
fn a_task_is_refused_when_its_phase_has_begun_or_is_full_or_its_name_too_long() {
    let mut sequence = Sequence::new(Settings::default());
    for number in 0..TASK_LIMIT {
        sequence.add(Phase::LeaveCluster, &format!("shards {number}")).unwrap();
    }
    let refused = sequence.add(Phase::LeaveCluster, "one more").unwrap_err();
    assert!(matches!(refused, AddTaskError::Full { limit: TASK_LIMIT, .. }), "{refused}");
    let long = "x".repeat(TASK_NAME_LIMIT_BYTES + 1);
    let refused = sequence.add(Phase::Announce, &long).unwrap_err();
    assert!(matches!(refused, AddTaskError::NameTooLong { .. }), "{refused}");
    step(&mut sequence, 0, begin());
    for phase in [Phase::Announce, Phase::LeaveCluster] {
        let refused = sequence.add(phase, "late").unwrap_err();
        assert_eq!(refused, AddTaskError::TooLate { name: "late".to_owned(), phase });
    }
    assert!(sequence.add(Phase::ConfirmExit, "in time").is_ok());
}

#[test]
fn a_task_that_was_withdrawn_is_neither_run_nor_reported() {
    let mut sequence = Sequence::new(Settings::default());
    let gone = sequence.add(Phase::StopAccepting, "connection").unwrap();
    let stays = sequence.add(Phase::Announce, "probe").unwrap();
    assert!(sequence.withdraw(gone) && !sequence.withdraw(gone));
    step(&mut sequence, 0, begin());
    assert!(!sequence.withdraw(stays), "it runs already");
    step(&mut sequence, 1, Input::Ended(stays, Outcome::Done));
    assert!(sequence.report().is_some_and(|report| report.phases[1].tasks.is_empty()));
}

/// Tasks that end, fail and hang as a seed has it.
#[test]
fn every_task_is_started_and_reported_once_and_the_end_comes_within_the_deadlines() {
    for seed in 0..500 {
        let mut random = Rng::with_seed(seed);
        let mut settings = Settings::default();
        for phase in Phase::ALL {
            settings = settings.deadline(phase, Duration::from_nanos(random.u64(0..50)));
        }
        let mut sequence = Sequence::new(settings);
        let mut names = BTreeSet::new();
        for number in 0..random.usize(0..30) {
            let phase = Phase::ALL[random.usize(0..6)];
            if sequence.add(phase, &number.to_string()).is_ok() {
                names.insert(number.to_string());
            }
        }
        let mut seen: Vec<TaskKey> = Vec::new();
        let mut phases = Vec::new();
        let (mut now_ns, mut input) = (100, begin());
        while !sequence.has_ended() {
            let outputs = step(&mut sequence, now_ns, input);
            seen.extend(started(&outputs));
            phases.extend(outputs.iter().filter_map(|output| match output {
                Output::PhaseEnded(report) => Some(report.phase),
                _ => None,
            }));
            now_ns += random.u64(0..10);
            input = match random.choice(&seen) {
                Some(task) if random.bool() => Input::Ended(*task, Outcome::Done),
                _ => Input::Tick,
            };
        }
        let report = sequence.report().expect("it has ended");
        assert_eq!(phases, Phase::ALL, "seed {seed}");
        assert!(report.took_ns <= settings.total_ns() + 6 * 10, "seed {seed}: {report}");
        let reported: Vec<&TaskReport> =
            report.phases.iter().flat_map(|phase| &phase.tasks).collect();
        assert_eq!((reported.len(), seen.len()), (names.len(), names.len()), "seed {seed}");
        let by_name: BTreeSet<String> = reported.iter().map(|task| task.name.clone()).collect();
        assert_eq!(by_name, names, "seed {seed}");
    }
}

fn ways() -> (Sender<&'static str>, Receiver<&'static str>) {
    channel()
}

#[test]
fn tasks_of_a_phase_run_at_the_same_time_and_phases_one_after_the_other() {
    let shutdown = Shutdown::new(Settings::default());
    let (log, logged) = ways();
    let (to_second, from_first) = ways();
    let (to_first, from_second) = ways();
    // Each needs the other one to end.
    let first_log = log.clone();
    let first = move |_: &Stopping| {
        to_second.send("first")?;
        from_second.recv()?;
        Ok(first_log.send("met")?)
    };
    let second = move |_: &Stopping| {
        to_first.send("second")?;
        from_first.recv()?;
        Ok(())
    };
    shutdown.add(Phase::StopNode, "node", move |_| Ok(log.send("node")?)).unwrap();
    shutdown.add(Phase::FinishRequests, "first", first).unwrap();
    shutdown.add(Phase::FinishRequests, "second", second).unwrap();
    assert!(shutdown.begin(Reason::Asked("the test ends".to_owned())).unwrap());
    let report = shutdown.wait(PATIENCE).expect("all tasks end");
    assert!(report.is_clean(), "{report}");
    assert_eq!(logged.iter().collect::<Vec<_>>(), ["met", "node"]);
}

#[test]
fn a_task_that_panics_and_one_that_hangs_do_not_keep_the_node_from_stopping() {
    let short = Duration::from_millis(30);
    let settings = Settings::default().deadline(Phase::StopAccepting, short);
    let shutdown = Shutdown::new(settings);
    let (release, released) = ways();
    shutdown.add(Phase::Announce, "probe", |_| panic!("no probe")).unwrap();
    let hangs = move |stopping: &Stopping| {
        assert!(stopping.time_left() <= short && stopping.phase() == Phase::StopAccepting);
        let _ = released.recv();
        Ok(())
    };
    shutdown.add(Phase::StopAccepting, "listener", hangs).unwrap();
    shutdown.add(Phase::StopNode, "node", |_| Err("a turn does not end".into())).unwrap();
    assert!(shutdown.begin(Reason::LeftCluster).unwrap());
    assert!(!shutdown.clone().begin(Reason::Interrupted).unwrap());
    let report = shutdown.wait(PATIENCE).expect("a task that hangs is not waited for");
    let outcomes: Vec<&Outcome> =
        report.phases.iter().flat_map(|phase| &phase.tasks).map(|task| &task.outcome).collect();
    let panicked = Outcome::Panicked("no probe".to_owned());
    let failed = Outcome::Failed("a turn does not end".to_owned());
    assert_eq!(outcomes, [&panicked, &Outcome::NotEnded, &failed]);
    assert_eq!(report.reason, Reason::LeftCluster);
    drop(release);
}

#[test]
fn progress_names_the_phase_and_the_tasks_that_are_waited_for() {
    let shutdown = Shutdown::new(Settings::default());
    assert_eq!(shutdown.progress(), Progress::NotBegun);
    let (begun, has_begun) = ways();
    let (release, released) = ways();
    let drain = move |_: &Stopping| {
        begun.send("draining")?;
        released.recv()?;
        Ok(())
    };
    shutdown.add(Phase::LeaveCluster, "shards", drain).unwrap();
    shutdown.begin(Reason::Downed).unwrap();
    has_begun.recv_timeout(PATIENCE).expect("the task runs");
    let running = vec!["shards".to_owned()];
    let draining = Progress::InPhase { phase: Phase::LeaveCluster, running };
    assert_eq!(shutdown.progress(), draining);
    assert!(shutdown.wait(Duration::ZERO).is_none());
    release.send("go on").unwrap();
    let report = shutdown.wait_for_end();
    assert_eq!(shutdown.progress(), Progress::Ended(report));
}
