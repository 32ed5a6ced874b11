//! Figures of the membership, simulated: virtual time, so that they depend on nothing but the seed.
//!
//! ```sh
//! cargo run --release -p mainspring-sharding --example simulated_membership -- join 1000 1
//! cargo run --release -p mainspring-sharding --example simulated_membership -- crashes 20 500
//! cargo run --release -p mainspring-sharding --example simulated_membership -- hour 20 1
//! cargo run --release -p mainspring-sharding --example simulated_membership -- idle 100 1000
//! ```
//!
//! `join NODES SEED`: all begin at once. `crashes NODES CRASHES`: one after the other, at 100 ms beats and 2 % loss.
//! `hour NODES SEED`: nobody crashes, at 2 % loss. `idle NODES BEAT-MS`: what a node sends when nothing happens.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

use mainspring_sharding::membership::{DetectorSettings, Input, MEMBER_LIMIT, Settings};
use mainspring_sharding::testkit::SimulatedMembership;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const LOSS_PERCENT: u8 = 2;
/// Longer than anything takes.
const PATIENCE_NS: u64 = 300 * SECOND;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let (Some(what), Some(nodes), Some(second), 3) =
        (arguments.first(), number(1), number(2), arguments.len())
    else {
        eprintln!(
            "write `join NODES SEED`, `crashes NODES CRASHES`, `hour NODES SEED` or `idle NODES BEAT-MS`"
        );
        return ExitCode::from(2);
    };
    if !(3..=MEMBER_LIMIT as u64).contains(&nodes) || second == 0 {
        eprintln!("{nodes} nodes, {second}: from 3 to {MEMBER_LIMIT} nodes, and nothing is 0");
        return ExitCode::from(2);
    }
    let (nodes, begun) = (nodes as usize, Instant::now());
    match what.as_str() {
        "join" => join(nodes, second),
        "crashes" => crashes(nodes, second),
        "hour" => hour(nodes, second),
        "idle" => idle(nodes, second),
        other => {
            eprintln!("{other}: write `join`, `crashes`, `hour` or `idle`");
            return ExitCode::from(2);
        }
    }
    println!("simulated in {:.1} s", begun.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn join(nodes: usize, seed: u64) {
    let mut cluster = SimulatedMembership::seeded(seed, nodes, Settings::default());
    let took_ns = cluster.agree_within(PATIENCE_NS, nodes);
    let sent = cluster.sent();
    println!("{nodes} nodes, seed {seed}: one view after {} ms, {sent} messages", took_ns / MS);
}

fn crashes(nodes: usize, crashes: u64) {
    let mut took_ms = Vec::new();
    let mut cluster = SimulatedMembership::seeded(1, nodes, Settings::default());
    cluster.agree_within(PATIENCE_NS, nodes);
    cluster.set_loss_percent(LOSS_PERCENT);
    for crash in 0..crashes {
        // Not always at the same time within a beat.
        cluster.run_for(3 * SECOND + crash % 5 * 20 * MS);
        let node = 1 + crash as usize % (nodes - 1);
        let (gone, since_ns) = (cluster.id(node), cluster.now_ns());
        cluster.crash(node);
        while !cluster.is_suspected(0, node) {
            cluster.run_for(MS);
        }
        took_ms.push((cluster.now_ns() - since_ns) / MS);
        cluster.step(0, Input::Down(gone));
        cluster.agree_within(PATIENCE_NS, nodes - 1);
        cluster.restart(node);
        cluster.agree_within(PATIENCE_NS, nodes);
    }
    took_ms.sort_unstable();
    let at = |percent: usize| took_ms[(took_ms.len() - 1) * percent / 100];
    println!(
        "{nodes} nodes, {crashes} crashes, {LOSS_PERCENT} % loss: the first node knows it of two observers after p50 \
         {} ms, p99 {} ms, max {} ms",
        at(50),
        at(99),
        at(100)
    );
}

fn hour(nodes: usize, seed: u64) {
    let mut cluster = SimulatedMembership::seeded(seed, nodes, Settings::default());
    cluster.agree_within(PATIENCE_NS, nodes);
    cluster.set_loss_percent(LOSS_PERCENT);
    let before = cluster.sent();
    cluster.run_for(3_600 * SECOND);
    let (suspicions, sent) = (cluster.suspicions(), cluster.sent() - before);
    println!(
        "{nodes} nodes, seed {seed}, one hour, {LOSS_PERCENT} % loss: {suspicions} suspicions, {sent} messages"
    );
}

fn idle(nodes: usize, beat_ms: u64) {
    let detector = DetectorSettings {
        interval_ns: beat_ms * MS,
        pause_ns: 4 * beat_ms * MS,
        ..DetectorSettings::default()
    };
    let settings = Settings { detector, ..Settings::default() };
    let mut cluster = SimulatedMembership::seeded(1, nodes, settings);
    cluster.agree_within(PATIENCE_NS, nodes);
    cluster.run_for(10 * SECOND);
    let before = cluster.sent();
    cluster.count_bytes();
    cluster.run_for(60 * SECOND);
    let per_second = |count: u64| count as f64 / (60 * nodes) as f64;
    println!(
        "{nodes} idle nodes, a beat each {beat_ms} ms: a node sends {:.1} messages and {:.0} bytes a second",
        per_second(cluster.sent() - before),
        per_second(cluster.sent_bytes())
    );
}
