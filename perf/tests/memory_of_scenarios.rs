//! What must not grow: a system that just runs allocates nothing, and an idle actor stays within its limit of memory.

use std::sync::{Arc, Mutex, PoisonError};

use mainspring_perf::raw::affinity;
use mainspring_perf::raw::allocator::CountingAllocator;
use mainspring_perf::scenario::{self, Round};
use mainspring_perf::section::{Measured, Purpose, Section};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A count sees the allocations of all threads, so one test counts at a time.
static COUNTING: Mutex<()> = Mutex::new(());

/// An idle actor may need so much memory beyond its state.
const BYTES_AN_ACTOR: f64 = 96.0;

/// A timer that is put off may ask the allocator for so many bytes: its message, and the change that waits for the
/// end of the turn.
const BYTES_A_TIMER: u64 = 256;

/// What a round of so many messages took; none, with the reason printed, when there are too few CPUs.
fn measured(name: &str, messages: u64) -> Option<Measured> {
    let _one_at_a_time = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let scenario = scenario::find(name).expect("the scenario is registered");
    let cpus = affinity::allowed_cpus().expect("readable");
    let needed = scenario.description().cpus_needed;
    if cpus.len() < needed {
        println!("skipped {name}: needs {needed} CPUs of {}", cpus.len());
        return None;
    }
    let section = Arc::new(Section::new(Purpose::Memory));
    let idle = scenario.description().idle;
    let round = Round { messages, cpus: &cpus, idle, section: &section };
    scenario.round(&round).expect("the round's sums are right");
    Some(section.measured().expect("begun and ended once"))
}

#[test]
fn a_system_that_just_runs_allocates_nothing() {
    let Some(measured) = measured("steady-state", 120_000) else { return };
    let allocations = measured.allocations.expect("the allocator is installed");
    assert_eq!(allocations.allocations, 0, "{allocations:?}");
}

#[test]
fn an_idle_actor_needs_little_memory_beyond_its_state() {
    let actors = 200_000;
    let Some(measured) = measured("actor-memory", actors) else { return };
    let state = scenario::find("actor-memory").and_then(|it| it.description().actor_state_bytes);
    let state = state.expect("the scenario says how much state its actors have") as f64;
    let growth = measured.resident_growth_bytes.expect("memory was measured") as f64;
    let beyond_state = growth / actors as f64 - state;
    assert!((1.0..=BYTES_AN_ACTOR).contains(&beyond_state), "{beyond_state} bytes an actor");
}

#[test]
fn a_timer_that_is_put_off_asks_for_little_more_memory_than_its_message() {
    let messages = 20_000;
    let Some(measured) = measured("timers", messages) else { return };
    let allocations = measured.allocations.expect("the allocator is installed");
    let bytes = allocations.allocated_bytes / messages;
    assert!((1..=BYTES_A_TIMER).contains(&bytes), "{bytes} bytes a timer: {allocations:?}");
}
