//! The least that reading one record of a log can cost: one block that is read past the page cache, from places of a
//! file in no order, one read at a time, without a log.
//!
//! The file has [`FILE_LIMIT_BYTES`], was written and synced before, and every block that is read must hold the number
//! of its place. The thread waits in the kernel.

use std::io;
use std::thread;

use hdrhistogram::Histogram;
use mainspring_perf_contest::StoreFolder;

use super::pinned_pair::ask_all;
use super::raw_commit_loop::{FILE_LIMIT_BYTES, commit_method};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use crate::raw::affinity;
use crate::raw::direct_file::{BLOCK_BYTES, DirectFile};
use crate::section::Section;

/// What one latency sample of this scenario is, and of those that it is the limit of.
pub const READ_SAMPLE: &str = "read of what one entity is made from";

/// One pinned thread reads blocks.
pub struct RawReadBlock;

static DESCRIPTION: Description = Description {
    name: "raw-read-block",
    measures: "one read of 4 KiB past the page cache from a place of a file, one at a time",
    cpus_needed: 1,
    limit: None,
    default_messages: 5_000,
    counted_messages: 1_000,
    latency_sample: Some(READ_SAMPLE),
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawReadBlock {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn yields(&self) -> bool {
        true
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let cpu = round.cpu(0)?;
        let reads = round.messages.max(1);
        let work = || {
            affinity::pin_to(cpu)?;
            let mut file = make_file()?;
            read_measured(round.section, &mut file, reads)
        };
        let latencies: Result<_, ScenarioError> = thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| ScenarioError::ThreadLost)?;
        Ok(Outcome { messages: reads, latencies: latencies?, sum: None })
    }
}

/// The file is written in such pieces, each with its number in all its blocks.
const PIECE_BLOCKS: usize = 256;
const PIECES: u64 = FILE_LIMIT_BYTES / (PIECE_BLOCKS * BLOCK_BYTES) as u64;
/// From one place to the next, in blocks: far, and coprime to their number, so that each comes once a turn.
const STRIDE: u64 = 7_919;

/// A file whose blocks hold the numbers of their pieces. It has no name any more.
fn make_file() -> Result<DirectFile, ScenarioError> {
    let folder = StoreFolder::make()?;
    let path = folder.path().join("blocks");
    let mut file = DirectFile::create(&path, PIECE_BLOCKS, PIECES, commit_method()?)
        .map_err(ScenarioError::DirectFile)?;
    for number in 0..PIECES {
        file.commit(number)
            .map_err(|source| ScenarioError::Io { doing: "write the file", source })?;
    }
    Ok(file)
}

fn read_measured(
    section: &Section,
    file: &mut DirectFile,
    reads: u64,
) -> Result<Option<Histogram<u64>>, ScenarioError> {
    let blocks = PIECES * PIECE_BLOCKS as u64;
    let (mut failed, mut wrong) = (None::<io::Error>, 0);
    let latencies = ask_all(section, 0..=reads - 1, |number| {
        let block = number.wrapping_mul(STRIDE) % blocks;
        match file.number_of_block(block) {
            Ok(found) => wrong += u64::from(found != block / PIECE_BLOCKS as u64),
            Err(error) => failed = failed.take().or(Some(error)),
        }
    });
    if let Some(source) = failed {
        return Err(ScenarioError::Io { doing: "read a block", source });
    }
    check("the number of blocks that hold something else", 0, wrong)?;
    Ok(latencies)
}
