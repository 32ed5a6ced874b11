//! What a core's table of entities costs: finding an id, taking one in, a touch, an admission at the limit, and memory.
//!
//! `cargo run --release -p mainspring-sharding --example residents`

use std::hint::black_box;
use std::time::Instant;

use mainspring_sharding::entities::{EntityKey, Residents, ShardCount, ToEntityKey};
use mainspring_sharding::passivation::{Passivation, PassivationSettings};

type Failure = Box<dyn std::error::Error>;

const STEPS: u32 = 4_000_000;
const IDLE_NS: u64 = 300_000_000_000;

fn main() -> Result<(), Failure> {
    // The largest first: memory that was used and given back would count as none.
    println!("entities     touch   admission of a new id at the limit   bytes an entity");
    for entities in [1_000_000, 100_000, 1_000] {
        passivation(entities)?;
    }
    println!("\nentities  id bytes      find   hash and find   insertion: 9,999 of 10,000 within");
    for entities in [1_000, 100_000, 1_000_000] {
        for id_bytes in [8, 16, 22, 32] {
            lookups(entities, id_bytes)?;
        }
    }
    Ok(())
}

fn lookups(entities: u32, id_bytes: usize) -> Result<(), Failure> {
    let ids: Vec<Vec<u8>> = (0..entities).map(|number| id_of(number, id_bytes)).collect();
    let keys = ids.iter().map(ToEntityKey::to_entity_key).collect::<Result<Vec<_>, _>>()?;
    let mut residents = Residents::new(ShardCount::new(1_024)?, entities)?;
    let mut insertions_ns = Vec::with_capacity(keys.len());
    for key in &keys {
        let begin = Instant::now();
        residents.insert(key, key.hash())?;
        insertions_ns.push(begin.elapsed().as_nanos());
    }
    insertions_ns.sort_unstable();
    let slow_ns = insertions_ns[insertions_ns.len() - insertions_ns.len() / 10_000 - 1];
    let find = |key: &EntityKey<'_>| residents.find(key).map_or(0, |found| found.value);
    let found_ns = measured(|step| Ok(find(&keys[scattered(step, entities)])))?;
    let both_ns = measured(|step| Ok(find(&ids[scattered(step, entities)].to_entity_key()?)))?;
    println!("{entities:>8} {id_bytes:>9} {found_ns:>6.1} ns {both_ns:>12.1} ns {slow_ns:>31} ns");
    Ok(())
}

/// Entities are used at random; then ids come that never came before, each of which makes another one leave.
fn passivation(entities: u32) -> Result<(), Failure> {
    let before = resident_bytes()?;
    let mut residents = Residents::new(ShardCount::new(1_024)?, entities + 1)?;
    let bounds = PassivationSettings { idle_after_ns: Some(IDLE_NS), at_most: Some(entities) };
    let mut passivation = Passivation::new(bounds)?;
    let mut slots = Vec::with_capacity(entities as usize);
    for id in 0..u64::from(entities) {
        let key = id.to_entity_key()?;
        slots.push(residents.insert(&key, id)?);
        passivation.admit(slots[id as usize], key.hash(), 0, |_| true)?;
    }
    let listed = size_of_val(&slots[..]) as u64;
    let bytes = resident_bytes()?.saturating_sub(before + listed) as f64 / f64::from(entities);
    // A thousand touches fall in one beat of about a millisecond.
    let touched_ns = measured(|step| {
        passivation.touch(slots[scattered(step, entities)], u64::from(step) << 10);
        Ok(0)
    })?;
    let now_ns = u64::from(STEPS) << 10;
    let admitted_ns = measured(|step| {
        let id = u64::from(entities + step);
        let key = id.to_entity_key()?;
        let slot = residents.insert(&key, id)?;
        match passivation.admit(slot, key.hash(), now_ns, |_| true)? {
            Some(leaver) => Ok(residents.remove(leaver).unwrap_or(0)),
            None => Ok(0),
        }
    })?;
    println!("{entities:>8} {touched_ns:>6.1} ns {admitted_ns:>33.1} ns {bytes:>17.1}");
    Ok(())
}

fn id_of(number: u32, bytes: usize) -> Vec<u8> {
    let mut id = format!("{number:08}").into_bytes();
    id.resize(bytes, b'-');
    id
}

/// A number below `most`, far from the one before.
fn scattered(step: u32, most: u32) -> usize {
    (step.wrapping_mul(2_654_435_761) % most) as usize
}

/// Nanoseconds of CPU time a step: other programs that run beside this one count less than by the clock.
fn measured(mut step: impl FnMut(u32) -> Result<u64, Failure>) -> Result<f64, Failure> {
    let begin_ns = cpu_ns()?;
    let mut sum = 0_u64;
    for number in 0..STEPS {
        sum = sum.wrapping_add(step(number)?);
    }
    black_box(sum);
    Ok((cpu_ns()? - begin_ns) as f64 / f64::from(STEPS))
}

/// How long this thread has run, as the kernel tells it.
fn cpu_ns() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("no run time")?.parse()?)
}

/// Memory of this process, as the kernel tells it.
fn resident_bytes() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kibibytes * 1_024)
}
