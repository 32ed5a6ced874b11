//! The real generator, the real clock and real threads: what a service does to those who wait shows, and a generator
//! that stalls is found out.

use super::*;
use crate::load::run;
use crate::load::schedule::Arrivals;
use crate::load::settings::Drive;
use crate::load::{Answers, Generator, MOST_PAYLOAD_BYTES, OpenLoop, Stamp};
use crate::raw::affinity;
use crate::scenario::{Description, Outcome, Round};
use crate::verdict::Verdict;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, TryRecvError};
use std::time::Instant;

/// A service on a thread of its own, whose behaviour is known.
#[derive(Clone, Default)]
struct Known {
    /// The service is busy for so long with every hundredth message.
    hold: Duration,
    /// The generator does nothing for so long before it sends this message.
    stall: Option<(u64, Duration)>,
    /// The service never answers this message.
    unanswered: Option<u64>,
    /// The service gives back another message instead of this one.
    mistaken: Option<u64>,
    /// The load is asked to stop when this message is sent.
    stop_at: Option<(u64, Arc<AtomicBool>)>,
}

static KNOWN: Description = Description {
    name: "known",
    measures: "nothing",
    cpus_needed: 1,
    limit: None,
    default_messages: 1,
    counted_messages: 1,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for Known {
    fn description(&self) -> &'static Description {
        &KNOWN
    }

    fn round(&self, _: &Round<'_>) -> Result<Outcome, ScenarioError> {
        Err(ScenarioError::ThreadLost)
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for Known {
    fn response(&self) -> &'static str {
        "an answer"
    }

    fn cpus_needed(&self) -> usize {
        1
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let (ask, asked) = mpsc::channel::<Stamp>();
        let (answer, answers) = mpsc::channel::<Stamp>();
        let known = self.clone();
        thread::scope(|scope| {
            scope.spawn(move || known.serve(&asked, &answer));
            self.generate(load, ask, &answers);
        });
        load.wait()
    }
}

impl Known {
    fn serve(&self, asked: &mpsc::Receiver<Stamp>, answer: &mpsc::Sender<Stamp>) {
        for mut stamp in asked {
            if stamp.number % 100 == 99 {
                pass(self.hold);
            }
            if Some(stamp.number) == self.unanswered {
                continue;
            }
            if Some(stamp.number) == self.mistaken {
                stamp.number += 1;
            }
            if answer.send(stamp).is_err() {
                return;
            }
        }
    }

    fn generate(&self, load: &Load<'_>, ask: mpsc::Sender<Stamp>, answers: &mpsc::Receiver<Stamp>) {
        let mut generator = Generator::new(&load.course);
        let mut taken = Answers::new(&load.course);
        loop {
            let goes_on = generator.turn(|stamp| {
                if let Some((number, stop)) = &self.stop_at
                    && *number == stamp.number
                {
                    stop.store(true, Ordering::Relaxed);
                }
                ask.send(stamp).is_ok()
            });
            if !goes_on {
                return;
            }
            match answers.try_recv() {
                Ok(stamp) => {
                    taken.answered(stamp);
                    generator.answered(1);
                    if let Some((number, time)) = self.stall
                        && number == stamp.number
                    {
                        pass(time);
                    }
                }
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }
}

/// Lets time pass without giving the thread away, as a handler that computes.
fn pass(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// 1,000 messages a second for half a second, behind the shortest warm-up.
fn settings() -> LoadSettings {
    LoadSettings {
        drive: Drive::Rate { per_second: 1_000, arrivals: Arrivals::Uniform },
        measured: Duration::from_millis(500),
        payload_bytes: 0,
        cpus: affinity::allowed_cpus().expect("readable"),
        idle: None,
    }
}

fn measured(known: Known) -> Result<Measured, LoadError> {
    measure(&known, &settings(), &Arc::new(AtomicBool::new(false)), &mut |_| {})
}

#[test]
fn every_hundredth_message_held_for_2_ms_shows_at_its_percentile() {
    let hold = Duration::from_millis(2);
    let measured = measured(Known { hold, ..Known::default() }).expect("it runs");
    // What a machine that stands still for longer than the grace does not send, it does not send.
    let sent = measured.sent.sent;
    assert_eq!((measured.sent.scheduled, measured.answered.answered), (500, sent));
    let held = sent / 100;
    assert!(held > 0, "only {sent} of 500 sent");
    // In the whole load five messages were held, and each lets the next one wait for its second half.
    let (response, service) = (&measured.answered.response_ns, &measured.answered.service_ns);
    assert!(
        response.value_at_quantile(0.992) >= 2_000_000,
        "{}",
        response.value_at_quantile(0.992)
    );
    assert!(response.count_between(1_990_000, 60_000_000_000) >= held);
    assert!(service.count_between(1_990_000, 60_000_000_000) >= held);
    assert_eq!((response.len(), service.len()), (sent, sent));
}

#[test]
fn a_generator_that_stalls_makes_the_run_invalid_and_its_figures_go() {
    let stall = Some((700, Duration::from_millis(200)));
    let known = Known { stall, ..Known::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let run = run::run(&known, &settings(), false, &stop, &mut |_| {}).expect("it runs");
    assert_eq!(run.result.verdict, Verdict::Invalid);
    let reasons = run.result.reasons.join("\n");
    assert!(reasons.contains("the generator was late by more than an interval"), "{reasons}");
    assert!(reasons.contains("is for the most part the generator's own lateness"), "{reasons}");
    assert_eq!(run.result.figures, Default::default());
}

#[test]
fn answers_that_stay_away_are_missed_and_not_waited_for_for_ever() {
    let unanswered = Some(750);
    let measured = measured(Known { unanswered, ..Known::default() }).expect("it runs");
    assert_eq!(measured.sent.sent - measured.answered.answered, 1);
}

#[test]
fn an_answer_to_another_question_is_found_out() {
    let mistaken = Some(750);
    let error = measured(Known { mistaken, ..Known::default() }).err().expect("it is wrong");
    assert!(error.to_string().contains("the sum of the numbers answered"), "{error}");
}

#[test]
fn a_load_that_is_stopped_keeps_what_was_measured() {
    let stop = Arc::new(AtomicBool::new(false));
    let known = Known { stop_at: Some((800, Arc::clone(&stop))), ..Known::default() };
    let run = run::run(&known, &settings(), true, &stop, &mut |_| {}).expect("it runs");
    assert!(run.result.verdict >= Verdict::Degraded);
    let reasons = run.result.reasons.join("\n");
    assert!(reasons.contains("interrupted after"), "{reasons}");
    assert_eq!(run.measured.answered.answered, run.measured.sent.sent);
}

#[test]
fn what_cannot_be_driven_is_refused_before_anything_runs() {
    let known = Known::default();
    let refused = |change: fn(&mut LoadSettings)| {
        let mut settings = settings();
        change(&mut settings);
        let refused = settings.check(&known).err().expect("out of bounds");
        assert!(refused.is_refusal(), "{refused}");
        refused.to_string()
    };
    let rate = |per_second| Drive::Rate { per_second, arrivals: Arrivals::Uniform };
    assert!(refused(|it| it.payload_bytes = MOST_PAYLOAD_BYTES + 1).contains("at most 65536"));
    assert!(refused(|it| it.measured = Duration::ZERO).contains("choose 0.1 to 86400 s"));
    assert!(refused(|it| it.cpus.clear()).contains("give more with --cores"));
    assert!(refused(|it| it.drive = Drive::Window(0)).contains("choose 1 to"));
    let mut settings = settings();
    settings.drive = rate(0);
    assert!(settings.check(&known).is_err());
    let limit = crate::scenario::find("raw-system-call").expect("it exists");
    let error = settings.check(limit).err().expect("no open loop").to_string();
    assert!(error.contains("these can: ask-cross-core"), "{error}");
}
