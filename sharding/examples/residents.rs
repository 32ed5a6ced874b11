//! How long the table of entities takes to find an id, to take in a new one, and what it weighs.
//!
//! `cargo run --release -p mainspring-sharding --example residents`

use std::hint::black_box;
use std::time::Instant;

use mainspring_sharding::entities::{Residents, ShardCount, ToEntityKey};

const LOOKUPS: u32 = 20_000_000;

fn main() {
    let shards = ShardCount::new(1_024).expect("within the limits");
    println!(
        "{:>9} {:>6} {:>12} {:>12} {:>14}",
        "entities", "id", "find ns", "hash+find ns", "worst insert"
    );
    for entities in [1_000, 100_000, 1_000_000] {
        for id_bytes in [8, 16, 22, 32] {
            let ids: Vec<Vec<u8>> = (0..entities).map(|n| id_of(n, id_bytes)).collect();
            let mut residents = Residents::new(shards, entities as u32).expect("within the limits");
            let mut worst_ns = 0;
            for (value, id) in ids.iter().enumerate() {
                let key = id.to_entity_key().expect("within the limits");
                let begin = Instant::now();
                residents.insert(&key, value as u64).expect("there is room");
                worst_ns = worst_ns.max(begin.elapsed().as_nanos());
            }
            let keys: Vec<_> = ids.iter().map(|id| id.to_entity_key().expect("checked")).collect();
            let find = measured(|n| {
                let key = &keys[(n.wrapping_mul(2_654_435_761) % entities as u32) as usize];
                residents.find(key).map_or(0, |found| found.value)
            });
            let both = measured(|n| {
                let id = &ids[(n.wrapping_mul(2_654_435_761) % entities as u32) as usize];
                let key = id.to_entity_key().expect("checked");
                residents.find(&key).map_or(0, |found| found.value)
            });
            println!("{entities:>9} {id_bytes:>6} {find:>12.1} {both:>12.1} {worst_ns:>11} ns");
        }
    }
}

fn id_of(number: usize, bytes: usize) -> Vec<u8> {
    let mut id = format!("{number:08}").into_bytes();
    id.resize(bytes, b'-');
    id
}

fn measured(mut find: impl FnMut(u32) -> u64) -> f64 {
    let begin = Instant::now();
    let sum: u64 = (0..LOOKUPS).fold(0, |sum, n| sum.wrapping_add(find(n)));
    black_box(sum);
    begin.elapsed().as_nanos() as f64 / f64::from(LOOKUPS)
}
