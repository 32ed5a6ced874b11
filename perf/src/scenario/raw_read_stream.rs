//! The least that reading a log can cost: blocks that are read past the page cache in their order, one read at a time,
//! without a log.
//!
//! The file has at most [`FILE_LIMIT_BYTES`], was written and synced before, and is read in circles. Every block is
//! looked at: it must hold the number of its place.

use std::thread;

use mainspring_perf_contest::StoreFolder;

use super::raw_commit_loop::{FILE_LIMIT_BYTES, commit_method};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check, sum_of_numbers};
use crate::raw::affinity;
use crate::raw::direct_file::{BLOCK_BYTES, DirectFile};

/// One pinned thread reads a file.
pub struct RawReadStream;

static DESCRIPTION: Description = Description {
    name: "raw-read-stream",
    measures: "160 bytes of a read of 1 MiB past the page cache, one read at a time",
    cpus_needed: 1,
    limit: None,
    default_messages: (FILE_LIMIT_BYTES / READ_BYTES as u64) * RECORDS_A_READ,
    counted_messages: 1_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawReadStream {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let cpu = round.cpu(0)?;
        let reads = round.messages.div_ceil(RECORDS_A_READ).max(1);
        let held = reads.min(FILE_LIMIT_BYTES / READ_BYTES as u64);
        let work = || {
            affinity::pin_to(cpu)?;
            let mut file = make_file(held)?;
            thread::sleep(round.section.purpose().pause());
            round.section.begin();
            let sum = read_all(&mut file, reads);
            round.section.end();
            sum
        };
        let sum: Result<u64, ScenarioError> = thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| ScenarioError::ThreadLost)?;
        let (whole, rest) = (reads / held, reads % held);
        let expected = whole * sum_of_numbers(held) + sum_of_numbers(rest);
        check("the sum of the numbers read", expected, sum?)?;
        Ok(Outcome { messages: reads * RECORDS_A_READ, latencies: None, sum: None })
    }
}

const READ_BYTES: usize = 1 << 20;
/// An event of 100 bytes with 48 in front, rounded up to 16.
const RECORDS_A_READ: u64 = READ_BYTES as u64 / 160;

/// A file of so many reads, each place with its number. It has no name any more.
fn make_file(held: u64) -> Result<DirectFile, ScenarioError> {
    let folder = StoreFolder::make()?;
    let path = folder.path().join("blocks");
    let mut file = DirectFile::create(&path, READ_BYTES / BLOCK_BYTES, held, commit_method()?)
        .map_err(ScenarioError::DirectFile)?;
    for number in 0..held {
        file.commit(number)
            .map_err(|source| ScenarioError::Io { doing: "write the file", source })?;
    }
    Ok(file)
}

fn read_all(file: &mut DirectFile, reads: u64) -> Result<u64, ScenarioError> {
    let mut sum = 0;
    for number in 0..reads {
        let found = file.number_at(number);
        sum += found.map_err(|source| ScenarioError::Io { doing: "read", source })?;
    }
    Ok(sum)
}
