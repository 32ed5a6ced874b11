//! Everything at once on several nodes, at instants that a seed chooses; the testkit looks at every promise after each
//! step, and heals everything at the end.
//!
//! A hundred thousand seeds: `cargo test --release -p mainspring-sharding --test across hundred_thousand -- --ignored`.

use std::thread;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_sharding::EntityType;
use mainspring_sharding::testkit::{
    Acknowledged, ClusterStorm, ClusterStormReport, Command, Witness,
};

/// Seeds of one storm that every run of the tests looks at.
const SEEDS: u64 = 500;

#[message]
pub struct Entry {
    pub number: u64,
    pub reply_to: ActorRef<Acknowledged>,
}

/// Does commands, and says so.
struct Ledger {
    witness: Witness,
}

impl Actor for Ledger {
    type Message = Entry;

    fn receive(&mut self, ctx: &mut Context<Self>, entry: &Archived<Entry>) -> Next<Self> {
        let number = entry.number.to_native();
        self.witness.handled_by(ctx.me(), number);
        ctx.tell(entry.reply_to, &Acknowledged { number });
        Next::Same
    }
}

/// Few shards, so that moves meet each other.
fn storm(sim: Simulation, storm: &ClusterStorm) -> ClusterStormReport {
    let seed = sim.seed();
    let witness = Witness::new();
    let shown = witness.clone();
    let make = move |_: mainspring_sharding::EntityId<'_>| Ledger { witness: shown.clone() };
    let ledger = EntityType::new("ledger").shards(4).stop_within(Duration::from_secs(1));
    let store = ClusterStorm::store(seed);
    let mut ledgers = ClusterStorm::plan(sim).entities(&store, ledger, make).expect("a type");
    let entry = |command: Command| Entry { number: command.number, reply_to: command.reply_to };
    match ledgers.storm(storm, &witness, entry) {
        Ok(report) => report,
        Err(broken) => panic!("{broken}; the storm was {storm:?}"),
    }
}

fn add(sum: &mut ClusterStormReport, report: &ClusterStormReport) {
    sum.sent += report.sent;
    sum.handled += report.handled;
    sum.handled_late += report.handled_late;
    sum.acknowledged += report.acknowledged;
    sum.refused += report.refused;
    sum.moved += report.moved;
    sum.owners_changed += report.owners_changed;
    sum.restarted += report.restarted;
    sum.islands += report.islands;
    sum.rest = sum.rest.max(report.rest);
}

/// Three nodes; every fourth time four, and every third time two cores each.
fn nodes(sim: Simulation) -> Simulation {
    let seed = sim.seed();
    let nodes = if seed.is_multiple_of(4) { 4 } else { 3 };
    let cores = if seed.is_multiple_of(3) { 2 } else { 1 };
    sim.nodes(nodes).cores(cores)
}

fn bad_weather(seeds: std::ops::RangeInclusive<u64>) {
    let mut sum = ClusterStormReport::default();
    Simulation::for_seeds(seeds.clone(), |sim| {
        let drawn = ClusterStorm::drawn(sim.seed());
        add(&mut sum, &storm(nodes(sim), &drawn));
    });
    println!("seeds {seeds:?}: {sum:?}");
}

fn calm_weather(seeds: std::ops::RangeInclusive<u64>) {
    let mut sum = ClusterStormReport::default();
    Simulation::for_seeds(seeds.clone(), |sim| {
        add(&mut sum, &storm(nodes(sim), &ClusterStorm::default()));
    });
    println!("seeds {seeds:?}: {sum:?}");
}

#[test]
fn storms_keep_every_promise_and_come_to_rest() {
    bad_weather(1..=SEEDS);
}

#[test]
fn storms_in_which_nobody_is_given_up_lose_double_and_reorder_nothing() {
    calm_weather(1..=SEEDS);
}

/// A node that had met some members, but not all, was given a shard: it did not wait for what the others had on its
/// way.
#[test]
fn a_node_takes_no_shard_before_it_has_met_every_member() {
    storm(Simulation::seeded(107).nodes(3), &ClusterStorm::default());
}

#[test]
#[ignore = "takes hours: see the module's header"]
fn a_hundred_thousand_storms() {
    let threads = thread::available_parallelism().map_or(2, usize::from) as u64;
    let share = 100_000_u64.div_ceil(threads);
    let name = thread::current().name().unwrap_or_default().to_owned();
    let begin = |part| {
        let named = thread::Builder::new().name(name.clone());
        named.spawn(move || bad_weather(part * share + 1..=(part + 1) * share)).expect("a thread")
    };
    let all: Vec<_> = (0..threads).map(begin).collect();
    for one in all {
        one.join().expect("every promise holds");
    }
}

#[test]
fn a_storm_repeats_exactly() {
    let run = || storm(Simulation::seeded(11).nodes(3), &ClusterStorm::drawn(11));
    assert_eq!(run(), run());
}
