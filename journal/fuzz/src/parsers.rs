//! Every parser of a journal's files, as functions of arbitrary bytes. Each panics when a parser takes for right what
//! does not survive being written again; a parser that panics by itself needs no more.
//!
//! The tests of `mainspring-journal` compile this very file.

use std::io;

use mainspring_journal::format::commit_frame::FRAME_HEADER_BYTES;
use mainspring_journal::format::dictionary::{EntityEntry, SchemaEntry};
use mainspring_journal::format::record::{RECORD_HEADER_BYTES, Records};
use mainspring_journal::format::{BLOCK_BYTES, FrameHeader, SegmentHeader};
use mainspring_journal::index::{Checkpoint, Footer, FooterSummary};
use mainspring_journal::log::SegmentFile;
use mainspring_journal::log::recovery::{Expected, ReadError, SegmentReader, recover};

/// The records of a frame; how many it states is in the first four bytes.
pub fn record(data: &[u8]) {
    let Some((stated, bytes)) = data.split_first_chunk() else { return };
    for record in Records::new(bytes, u32::from_le_bytes(*stated)).flatten() {
        let mut again = vec![0; bytes.len() - record.offset];
        let length = record.header.write(record.payload, &mut again).expect("it was there");
        let summed = length.min(RECORD_HEADER_BYTES + record.payload.len());
        assert_eq!(again[..summed], bytes[record.offset..record.offset + summed]);
    }
}

/// A commit frame.
pub fn frame(data: &[u8]) {
    if let Ok((header, payload)) = FrameHeader::decode(data) {
        assert_eq!(header.encode()[..], data[..FRAME_HEADER_BYTES]);
        assert_eq!(header.payload_bytes as usize, payload.len());
    }
}

/// The first block of a segment.
pub fn segment_header(data: &[u8]) {
    if let Ok(header) = SegmentHeader::decode(data) {
        assert_eq!(SegmentHeader::decode(header.encode().as_slice()), Ok(header));
    }
}

/// The two kinds of dictionary entries.
pub fn dictionary(data: &[u8]) {
    if let Ok(entry) = SchemaEntry::decode(data) {
        assert_eq!(SchemaEntry::decode(&entry.encode()), Ok(entry));
    }
    if let Ok(entry) = EntityEntry::decode(data) {
        assert_eq!(entry.encode(), data);
        assert_eq!(entry.hash(), EntityEntry::hash_of(data));
    }
}

/// A whole log: up to four files of equal length, read as a start reads them. The first byte says how many, and
/// whether the checksums are made right first, so that what stands behind them is reached.
pub fn log(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let files = usize::from(first & 3) + 1;
    let length = (bytes.len() / files).next_multiple_of(BLOCK_BYTES);
    let mut files: Vec<Vec<u8>> = bytes.chunks(length.max(1)).map(<[u8]>::to_vec).collect();
    for file in &mut files {
        file.resize(length, 0);
        if first & 4 != 0 {
            sum_up(file);
        }
    }
    let header = files.iter().find_map(|file| SegmentHeader::decode(file).ok());
    let Some(SegmentHeader { system, core, shard_count, .. }) = header else { return };
    let expected = Expected { system, core, shard_count };
    let (mut frames, mut last) = (0, None);
    let recovered = recover(&mut Memory(files), &expected, &mut |frame| {
        frames += 1;
        let number = frame.header.sequence;
        assert!(last.is_none_or(|last| last + 1 == number), "frame {number} follows {last:?}");
        last = Some(number);
        let records = Records::new(frame.records, frame.header.record_count);
        assert!(records.into_iter().all(|record| record.is_ok()), "a record was not checked");
    });
    if let Ok(recovered) = recovered {
        assert_eq!(recovered.frames, frames);
    }
}

/// The footer of a sealed segment, with its checksums as they are and made right.
pub fn footer(data: &[u8]) {
    let mut bytes = data.to_vec();
    for _ in 0..2 {
        if let Ok(footer) = Footer::decode(&bytes) {
            let again = Footer::decode(&footer.encode()).expect("it was just written");
            assert_eq!(again.entities(), footer.entities());
            for row in footer.entities() {
                assert_eq!(footer.find(row.entity).map(|found| found.entity), Some(row.entity));
                footer.postings_of(row);
            }
        }
        if let Ok(summary) = FooterSummary::decode(&bytes) {
            look_up(&summary, &bytes);
        }
        sum_up_blocks(&mut bytes);
    }
}

/// A checkpoint, with its checksums as they are and made right.
pub fn checkpoint(data: &[u8]) {
    let mut bytes = data.to_vec();
    for _ in 0..2 {
        if let Ok(checkpoint) = Checkpoint::decode(&bytes) {
            assert!(checkpoint.entities.len() as u64 * 16 <= bytes.len() as u64);
        }
        sum_up_blocks(&mut bytes);
    }
}

/// One entity is read as a start reads it: its block and its postings.
fn look_up(summary: &FooterSummary, bytes: &[u8]) {
    for entity in [0, 1, u64::MAX / 2, u64::MAX] {
        let Some(offset) = summary.block_of(entity) else { continue };
        let Some(block) = usize::try_from(offset).ok().and_then(|from| bytes.get(from..)) else {
            continue;
        };
        let block = &block[..block.len().min(BLOCK_BYTES)];
        if let Ok(Some(row)) = summary.find(block, entity) {
            let place = summary.postings_place(&row);
            let place = place.start as usize..place.end as usize;
            let _ = summary.postings(bytes.get(place).unwrap_or_default(), &row);
        }
    }
}

/// Makes the checksums of a segment's blocks right: of headers, and of frames with their records.
fn sum_up(file: &mut [u8]) {
    for offset in (0..file.len()).step_by(BLOCK_BYTES) {
        let rest = &mut file[offset..];
        match rest.first_chunk() {
            Some(b"MSPR") => {
                let sum = crc32c::crc32c(&rest[..4_092]);
                rest[4_092..4_096].copy_from_slice(&sum.to_le_bytes());
            }
            Some(b"MSCF") => {
                let payload = u32_at(rest, 40) as usize;
                let end = (FRAME_HEADER_BYTES + payload).min(rest.len());
                sum_up_records(&mut rest[FRAME_HEADER_BYTES..end]);
                let sum = crc32c::crc32c(&rest[FRAME_HEADER_BYTES..end]);
                rest[52..56].copy_from_slice(&sum.to_le_bytes());
                let sum = crc32c::crc32c(&rest[8..64]);
                rest[4..8].copy_from_slice(&sum.to_le_bytes());
            }
            _ => {}
        }
    }
}

fn sum_up_records(mut records: &mut [u8]) {
    while records.len() >= RECORD_HEADER_BYTES {
        let end = RECORD_HEADER_BYTES.saturating_add(u32_at(records, 0) as usize);
        let end = end.min(records.len());
        let sum = crc32c::crc32c(&records[8..end]);
        records[4..8].copy_from_slice(&sum.to_le_bytes());
        let next = end.next_multiple_of(16).min(records.len());
        records = &mut records[next..];
    }
}

/// Makes the checksums of an index file's blocks right.
fn sum_up_blocks(bytes: &mut [u8]) {
    for (number, block) in bytes.chunks_exact_mut(BLOCK_BYTES).enumerate() {
        let (at, summed) = if number == 0 { (4_092, 0..4_092) } else { (0, 4..BLOCK_BYTES) };
        let sum = crc32c::crc32c(&block[summed]);
        block[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    u32::from_le_bytes(field.copied().unwrap_or_default())
}

/// Files in memory, numbered from 1.
struct Memory(Vec<Vec<u8>>);

impl Memory {
    fn bytes(&self, file: SegmentFile, offset: u64, length: usize) -> Option<&[u8]> {
        let bytes = self.0.get(usize::try_from(file.0).ok()?.checked_sub(1)?)?;
        let from = usize::try_from(offset).ok()?;
        bytes.get(from..from.checked_add(length)?)
    }
}

impl SegmentReader for Memory {
    fn files(&mut self) -> Result<Vec<SegmentFile>, ReadError> {
        Ok((1..=self.0.len() as u64).map(SegmentFile).collect())
    }

    fn length_bytes(&mut self, file: SegmentFile) -> Result<u64, ReadError> {
        Ok(self.0.get(file.0 as usize - 1).map_or(0, |bytes| bytes.len() as u64))
    }

    fn read(&mut self, file: SegmentFile, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        let source = io::Error::other("a read outside of the file");
        let found = self.bytes(file, offset, bytes.len());
        bytes.copy_from_slice(found.ok_or(ReadError { file, offset, source })?);
        Ok(())
    }
}
