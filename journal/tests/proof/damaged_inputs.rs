//! Every parser gets damaged golden files: the functions of the fuzz targets, on inputs from seeds.

use mainspring_journal::directory::DirectoryReader;
use mainspring_journal::format::BLOCK_BYTES;
use mainspring_journal::index::{FrameEnd, IndexedSegment, NewCheckpoint, SegmentIndex, merge};
use mainspring_journal::log::SegmentFile;
use mainspring_journal::log::recovery::{Expected, recover};

use crate::golden;
use crate::page_reader::header_of;
use crate::seeds;

#[path = "../../fuzz/src/parsers.rs"]
mod parsers;

/// A parser and what it is fed with, damaged.
type Parser = (fn(&[u8]), Vec<Vec<u8>>);

/// Inputs for each parser.
const SEEDS: u64 = 4_000;

#[test]
fn no_parser_panics_or_believes_what_it_would_not_write() {
    for (parse, inputs) in parsers_and_inputs() {
        inputs.iter().for_each(|input| parse(input));
        for seed in seeds(SEEDS) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut input = inputs[random.usize(0..inputs.len())].clone();
            damage(&mut input, &mut random);
            parse(&input);
        }
    }
}

fn parsers_and_inputs() -> Vec<Parser> {
    let files: Vec<Vec<u8>> =
        golden::LOGS.iter().flat_map(|log| golden::committed(log).into_values()).collect();
    let frames = files.iter().map(|file| file[BLOCK_BYTES..].to_vec()).collect::<Vec<_>>();
    let records = frames.iter().map(|frame| {
        let payload = u32::from_le_bytes(frame[40..44].try_into().expect("four bytes"));
        [&frame[44..48], &frame[64..64 + payload as usize]].concat()
    });
    let logs = golden::LOGS.iter().flat_map(|log| {
        let files: Vec<u8> = golden::committed(log).into_values().flatten().collect();
        [1, 5].map(|first| [&[first], files.as_slice()].concat())
    });
    let entries = vec![
        [&[7, 0], b"account42".as_slice()].concat(),
        [&[1, 0, 2, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9], b"account.deposited".as_slice()]
            .concat(),
    ];
    let footer = footer_of_whole();
    let checkpoint = checkpoint_of(&footer);
    vec![
        (parsers::record, records.collect()),
        (parsers::frame, frames.clone()),
        (parsers::segment_header, files.iter().map(|file| file[..BLOCK_BYTES].to_vec()).collect()),
        (parsers::dictionary, entries),
        (parsers::log, logs.collect()),
        (parsers::footer, vec![footer]),
        (parsers::checkpoint, vec![checkpoint]),
    ]
}

/// The footer of the first segment of a committed log.
fn footer_of_whole() -> Vec<u8> {
    let header = header_of(&golden::committed("whole")[&1]).expect("a header");
    let mut index = SegmentIndex::new(IndexedSegment {
        log_id: header.log_id,
        segment_id: header.segment,
        file: SegmentFile(1),
        segment_bytes: header.file_bytes,
    });
    let mut end = FrameEnd::default();
    let expected =
        Expected { system: header.system, core: header.core, shard_count: header.shards };
    let mut reader = DirectoryReader::open(&golden::folder("whole")).expect("it is committed");
    let found = recover(&mut reader, &expected, &mut |frame| {
        if frame.header.segment_id == header.segment {
            end.take_in(&frame.header, frame.offset);
            index.add_frame(frame, &mut |_, _| Ok(0)).expect("there is room");
        }
    });
    found.expect("nothing is wrong");
    index.finish(end).encode()
}

fn checkpoint_of(mut footer: &[u8]) -> Vec<u8> {
    let log_id = header_of(&golden::committed("whole")[&1]).expect("a header").log_id;
    let new = NewCheckpoint { log_id, generation: 1, first_segment: 1 };
    let mut bytes = Vec::new();
    merge(&new, None, &mut [&mut footer], &mut bytes).expect("the footer is whole");
    bytes
}

/// One to six changes: bits, bytes, whole fields, stretches that are moved, zeroed or cut off.
pub fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..=6) {
        if bytes.is_empty() {
            return;
        }
        let at = random.usize(0..bytes.len());
        let end = (at + random.usize(1..=64)).min(bytes.len());
        match random.u8(0..8) {
            0..=2 => bytes[at] ^= 1 << random.u8(0..8),
            3 => bytes[at] = random.u8(..),
            4 => {
                let field = [0, 1, 0x7FFF_FFFF, u32::MAX, 48, 4096][random.usize(0..6)];
                let field = u32::to_le_bytes(field);
                let length = field.len().min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&field[..length]);
            }
            5 => bytes[at..end].fill(0),
            6 => {
                let to = random.usize(0..=bytes.len() - (end - at));
                bytes.copy_within(at..end, to);
            }
            _ if random.u8(0..8) == 0 => bytes.truncate(at),
            _ => bytes[at..end].iter_mut().for_each(|byte| *byte = random.u8(..)),
        }
    }
}
