//! Proof that a core log keeps what it acknowledges: crashes, faults and damage from seeds, every crash of a short
//! trace, broken drivers and readers that must be caught, files that were written once and are read for ever, and a
//! second reader that knows the format from its page alone.
//!
//! `MAINSPRING_JOURNAL_SEEDS=1000000 cargo test -p mainspring-journal --test proof` runs more seeds than a change
//! needs.

mod crashes;
mod damage;
mod damaged_inputs;
mod enumeration;
mod golden;
mod mutations;
mod oracle;
mod page_reader;
#[cfg(feature = "tool")]
mod tool;
mod world;

/// How many seeds a test runs: what a change needs, unless somebody has more time.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let wanted = std::env::var("MAINSPRING_JOURNAL_SEEDS").ok();
    0..wanted.and_then(|number| number.parse().ok()).unwrap_or(usual)
}
