//! Every program comes to its sum on one core and on two, and a program that loses something is refused.

use super::*;
use crate::raw::affinity;
use crate::section::{Purpose, Section};

/// Does a round of several small iterations on so many cores; none, with the reason printed, when there are too few.
fn round<P: Program>(program: P, cores: usize) -> Option<Result<Outcome, ScenarioError>> {
    let allowed = affinity::allowed_cpus().expect("readable");
    let Some(cpus) = allowed.get(..cores) else {
        println!("skipped: {cores} cores need as many CPUs, {} allowed", allowed.len());
        return None;
    };
    let section = Arc::new(Section::new(Purpose::Time));
    let messages = ITERATIONS * program.messages();
    let round = Round { messages, cpus, idle: COMMON.idle, section: &section };
    Some(Savina { description: &COMMON, program }.round(&round))
}

const ITERATIONS: u64 = 3;

fn comes_to_its_sum<P: Program>(program: P) {
    for cores in [1, 2] {
        let Some(outcome) = round(program.clone(), cores) else { continue };
        let outcome = outcome.expect("the sums are right");
        assert_eq!(outcome.messages, ITERATIONS * program.messages(), "{cores} cores");
        assert_eq!(outcome.sum, Some(ITERATIONS * program.sum()), "{cores} cores");
    }
}

#[test]
fn ping_pong_gets_every_pong() {
    comes_to_its_sum(ping_pong::PingPong { pings: 1_000 });
}

#[test]
fn count_counts_every_message() {
    comes_to_its_sum(count::Count { messages: 1_000 });
}

#[test]
fn fork_join_throughput_handles_every_message() {
    comes_to_its_sum(fork_join_throughput::ForkJoinThroughput { workers: 7, messages_each: 101 });
}

#[test]
fn fork_join_throughput_waits_where_a_ring_is_full() {
    // More messages than a ring takes, to workers that cannot keep up while their core is new.
    comes_to_its_sum(fork_join_throughput::ForkJoinThroughput {
        workers: 2,
        messages_each: 60_000,
    });
}

#[test]
fn fork_join_create_hears_from_every_actor() {
    comes_to_its_sum(fork_join_create::ForkJoinCreate { actors: 1_001 });
}

#[test]
fn thread_ring_counts_every_hop() {
    comes_to_its_sum(thread_ring::ThreadRing { actors: 10, hops: 1_234 });
}

#[test]
fn chameneos_meet_in_pairs() {
    comes_to_its_sum(chameneos::Chameneos { creatures: 10, meetings: 1_001 });
}

#[test]
fn big_gets_every_pong() {
    comes_to_its_sum(big::Big { actors: 12, pings: 200 });
}

#[test]
fn banking_confirms_every_transfer_and_loses_nothing() {
    comes_to_its_sum(banking::Banking { accounts: 10, transfers: 3_000 });
}

#[test]
fn chat_completes_every_act() {
    comes_to_its_sum(chat::Chat { directories: 4, clients: 64, turns: 20 });
}

#[test]
fn cores_idle_as_those_of_a_node_do_by_default() {
    assert_eq!(COMMON.idle, Some(IdleProfile::default()));
}

#[test]
fn what_a_program_comes_to_is_what_every_contestant_comes_to() {
    fn check<P: Program>(savina: &Savina<P>) {
        let name = savina.description.name;
        let program = mainspring_perf_contest::program::find(name).expect("a contest's program");
        assert_eq!(savina.program.messages(), program.messages_an_iteration, "{name}");
        assert_eq!(savina.program.sum(), program.expected_sum(savina.program.messages()), "{name}");
        assert_eq!(savina.cpus_most(), program.cpus_most, "{name}");
    }
    check(&ping_pong::PING_PONG);
    check(&count::COUNT);
    check(&fork_join_throughput::FORK_JOIN_THROUGHPUT);
    check(&fork_join_create::FORK_JOIN_CREATE);
    check(&thread_ring::THREAD_RING);
    check(&chameneos::CHAMENEOS);
    check(&big::BIG);
    check(&banking::BANKING);
    check(&chat::CHAT);
}

/// Comes to less than it should.
#[derive(Clone)]
struct Forgetful {
    lost: u64,
}

struct Forgetting {
    iteration: Iteration,
    lost: u64,
}

#[message]
struct Never;

impl Program for Forgetful {
    type Main = Forgetting;

    fn messages(&self) -> u64 {
        1
    }

    fn sum(&self) -> u64 {
        5
    }

    fn main_actor(&self, iteration: Iteration) -> Forgetting {
        Forgetting { iteration, lost: self.lost }
    }
}

impl Actor for Forgetting {
    type Message = Never;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        // The warm-up counts for nothing, so what is lost in it is not seen.
        let lost = if self.iteration.number == 1 { self.lost } else { 0 };
        self.iteration.done_with_loss(ctx, 5 - lost / 2, lost);
        Next::Stop
    }

    fn receive(&mut self, _: &mut Context<'_, Self>, _: &Archived<Never>) -> Next<Self> {
        Next::Same
    }
}

#[test]
fn a_program_that_comes_to_less_or_loses_something_is_refused() {
    assert!(round(Forgetful { lost: 0 }, 1).expect("one CPU").is_ok());
    for (lost, found) in [(1, 1), (2, ITERATIONS * 5 - 1)] {
        let refused = round(Forgetful { lost }, 1).expect("one CPU");
        assert!(
            matches!(refused, Err(ScenarioError::Check { found: it, .. }) if it == found),
            "{refused:?}"
        );
    }
}
