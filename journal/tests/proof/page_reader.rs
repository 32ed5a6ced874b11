//! A second reader of core logs, written from `docs/journal-format.md` alone: it shares no code with the crate. It
//! holds all files in memory and takes the page at its word, so that a sentence that is missing there shows up here.
//!
//! Its [`Rules`] can be switched off one by one: a reader without them must be caught by the oracle.

use std::collections::BTreeMap;

/// Which rules of the page a reader keeps.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A frame must name the chain value of the frame before.
    pub chain: bool,
    /// A bad frame that a later one states to be durable is corruption.
    pub proof: bool,
}

/// The page.
pub const ALL_RULES: Rules = Rules { chain: true, proof: true };

/// A log that ends as it should.
#[derive(Debug, Default)]
pub struct Log {
    pub frames: Vec<Frame>,
    /// Where the log ends: name of the file and offset; none when no file is in use.
    pub end: Option<(u64, u64)>,
    /// Whether something that is not zero stands behind the end in its segment.
    pub is_torn: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub file: u64,
    pub offset: u64,
    pub segment: u64,
    pub number: u64,
    pub lsn: u64,
    pub durable_lsn: u64,
    pub time_ms: u64,
    /// Those of the dictionaries included.
    pub records: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: u8,
    pub layout: Option<Layout>,
    pub shard: u32,
    pub entity: Option<Entity>,
    pub sequence: u64,
    pub shard_sequence: u64,
    pub epoch: u64,
    pub payload: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub version: u16,
    pub fingerprint: u64,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub kind: String,
    pub id: Vec<u8>,
}

/// What the first block of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub file_bytes: u64,
    pub log_id: u128,
    pub segment: u64,
    pub base_lsn: u64,
    pub previous_frame: u64,
    pub previous_chain: u32,
    pub core: u32,
    pub shards: u32,
    pub method: u8,
    pub system: String,
}

/// Reads a directory: the files' names and bytes. The error says what is corrupt.
pub fn read(files: &BTreeMap<u64, Vec<u8>>, rules: Rules) -> Result<Log, String> {
    let mut segments: Vec<(u64, Header)> = Vec::new();
    let mut others = Vec::new();
    for (name, bytes) in files {
        match header_of(bytes) {
            Some(header) => segments.push((*name, header)),
            None => others.push(*name),
        }
    }
    segments.sort_by_key(|(_, header)| header.segment);
    for pair in segments.windows(2) {
        if pair[0].1.segment == pair[1].1.segment || pair[0].1.log_id != pair[1].1.log_id {
            return Err(format!("segment {} is not of one log", pair[1].1.segment));
        }
    }
    let mut reading = Reading { files, rules, log: Log::default(), last: (0, 0) };
    let Some((_, first)) = segments.first() else { return reading.finish(&others, 0, 0) };
    reading.last = (first.previous_frame, first.previous_chain);
    for (place, (name, header)) in segments.iter().enumerate() {
        let end = reading.segment(*name, header)?;
        let lsn = header.base_lsn + end - 4096;
        let next = segments.get(place + 1).map(|(_, next)| next);
        let goes_on = next.is_some_and(|next| {
            next.segment == header.segment + 1
                && next.base_lsn == header.base_lsn + header.file_bytes - 4096
                && (!rules.chain || (next.previous_frame, next.previous_chain) == reading.last)
        });
        if goes_on {
            continue;
        }
        if rules.proof && reading.is_proven(&segments[place..], end, lsn) {
            return Err(format!("segment {}: what was durable at {end} is gone", header.segment));
        }
        reading.log.end = Some((*name, end));
        reading.log.is_torn = files[name][end as usize..].iter().any(|byte| *byte != 0);
        return reading.finish(&others, header.segment, lsn);
    }
    unreachable!("the last segment goes on nowhere")
}

struct Reading<'a> {
    files: &'a BTreeMap<u64, Vec<u8>>,
    rules: Rules,
    log: Log,
    /// Number and chain value of the last frame.
    last: (u64, u32),
}

impl Reading<'_> {
    /// Reads the frames of one segment and returns where the first block stands that is none of them.
    fn segment(&mut self, name: u64, header: &Header) -> Result<u64, String> {
        let bytes = &self.files[&name];
        let length = (header.file_bytes as usize).min(bytes.len());
        let mut dictionary = Dictionary::default();
        let mut offset = 4096;
        while let Some(raw) = RawFrame::at(&bytes[..length], offset) {
            let follows = raw.segment == header.segment
                && raw.number == self.last.0 + 1
                && raw.lsn == header.base_lsn + offset as u64 - 4096
                && (!self.rules.chain || raw.previous_chain == self.last.1);
            let Some(records) = raw.payload.and_then(|bytes| raw_records(bytes, raw.records))
            else {
                break;
            };
            if !follows {
                break;
            }
            let records: Option<Vec<Record>> =
                records.into_iter().map(|record| dictionary.resolve(record)).collect();
            let records = records
                .ok_or(format!("frame {} refers to what is not in its segment", raw.number))?;
            self.last = (raw.number, raw.chain);
            self.log.frames.push(Frame {
                file: name,
                offset: offset as u64,
                segment: raw.segment,
                number: raw.number,
                lsn: raw.lsn,
                durable_lsn: raw.durable_lsn,
                time_ms: raw.time_ms,
                records,
            });
            offset += (64 + raw.payload_bytes as usize).next_multiple_of(4096);
        }
        Ok(offset.min(length) as u64)
    }

    /// Whether a frame behind the end states that the log was durable beyond it.
    fn is_proven(&self, segments: &[(u64, Header)], end: u64, lsn: u64) -> bool {
        segments.iter().enumerate().any(|(place, (name, header))| {
            let from = if place == 0 { end as usize } else { 4096 };
            frames_in(&self.files[name], from)
                .any(|frame| frame.durable_lsn > lsn || frame.segment != header.segment)
        })
    }

    /// Looks at the files that have no header.
    fn finish(self, others: &[u64], last_segment: u64, lsn: u64) -> Result<Log, String> {
        for name in others {
            let was_whole = frames_in(&self.files[name], 0)
                .any(|frame| frame.segment <= last_segment || frame.durable_lsn > lsn);
            if self.rules.proof && was_whole {
                return Err(format!("the header of file {name} is gone"));
            }
        }
        Ok(self.log)
    }
}

/// A commit frame whose header adds up.
struct RawFrame<'a> {
    chain: u32,
    segment: u64,
    number: u64,
    lsn: u64,
    durable_lsn: u64,
    payload_bytes: u32,
    records: u32,
    previous_chain: u32,
    time_ms: u64,
    /// None when the records do not add up.
    payload: Option<&'a [u8]>,
}

impl<'a> RawFrame<'a> {
    fn at(bytes: &'a [u8], offset: usize) -> Option<Self> {
        let head = bytes.get(offset..offset + 64)?;
        let chain = crc32c::crc32c(&head[8..64]);
        if &head[..4] != b"MSCF" || u32_of(head, 4) != chain {
            return None;
        }
        let payload_bytes = u32_of(head, 40);
        let (lsn, durable_lsn) = (u64_of(head, 24), u64_of(head, 32));
        let whole = (64 + payload_bytes as usize).next_multiple_of(4096);
        if durable_lsn > lsn || whole > 1 << 20 {
            return None;
        }
        let payload = bytes
            .get(offset..offset + whole)
            .map(|frame| &frame[64..64 + payload_bytes as usize])
            .filter(|payload| crc32c::crc32c(payload) == u32_of(head, 52));
        Some(RawFrame {
            chain,
            segment: u64_of(head, 8),
            number: u64_of(head, 16),
            lsn,
            durable_lsn,
            payload_bytes,
            records: u32_of(head, 44),
            previous_chain: u32_of(head, 48),
            time_ms: u64_of(head, 56),
            payload,
        })
    }
}

fn frames_in(bytes: &[u8], from: usize) -> impl Iterator<Item = RawFrame<'_>> {
    (from..bytes.len()).step_by(4096).filter_map(|offset| RawFrame::at(bytes, offset))
}

/// A record with its numbers in place of names.
struct RawRecord {
    record: Record,
    layout: u16,
    entity: u64,
}

fn raw_records(bytes: &[u8], stated: u32) -> Option<Vec<RawRecord>> {
    let (mut found, mut offset) = (Vec::new(), 0);
    while offset < bytes.len() {
        let head = bytes.get(offset..offset + 48)?;
        let end = offset + 48 + u32_of(head, 0) as usize;
        let checked = bytes.get(offset + 8..end)?;
        let (kind, flags) = (head[8], head[9]);
        if crc32c::crc32c(checked) != u32_of(head, 4) || flags > 1 || !(1..=10).contains(&kind) {
            return None;
        }
        let record = Record {
            kind,
            layout: None,
            shard: u32_of(head, 12),
            entity: None,
            sequence: u64_of(head, 24),
            shard_sequence: u64_of(head, 32),
            epoch: u64_of(head, 40),
            payload: bytes[offset + 48..end].to_vec(),
        };
        let (layout, entity) = (u16::from_le_bytes([head[10], head[11]]), u64_of(head, 16));
        found.push(RawRecord { record, layout, entity });
        offset = end.next_multiple_of(16);
    }
    (found.len() == stated as usize && offset == bytes.len()).then_some(found)
}

/// What the records of one segment may refer to.
#[derive(Default)]
struct Dictionary {
    layouts: BTreeMap<u16, Layout>,
    entities: BTreeMap<u64, Entity>,
}

impl Dictionary {
    fn resolve(&mut self, raw: RawRecord) -> Option<Record> {
        let RawRecord { mut record, layout, entity } = raw;
        let payload = &record.payload;
        match record.kind {
            7 => {
                let name = String::from_utf8(payload.get(16..)?.to_vec()).ok()?;
                let (number, version) = (u16_of(payload, 0), u16_of(payload, 2));
                let fingerprint = u64_of(payload, 8);
                self.layouts.insert(number, Layout { version, fingerprint, name });
            }
            8 => {
                let type_bytes = usize::from(u16_of(payload, 0));
                let (kind, id) = payload.get(2..)?.split_at_checked(type_bytes)?;
                let kind = String::from_utf8(kind.to_vec()).ok()?;
                let hash = xxhash_rust::xxh3::xxh3_64(payload);
                self.entities.insert(hash, Entity { kind, id: id.to_vec() });
            }
            4 if entity == 0 => {}
            _ => {
                record.entity = Some(self.entities.get(&entity)?.clone());
                if layout != 0 {
                    record.layout = Some(self.layouts.get(&layout)?.clone());
                }
            }
        }
        Some(record)
    }
}

/// The header of a segment, when the first block is one that this page describes.
pub fn header_of(bytes: &[u8]) -> Option<Header> {
    let block = bytes.get(..4096)?;
    let is_ours = &block[..8] == b"MSPRLOG1"
        && u16_of(block, 8) == 1
        && u16_of(block, 10) == 7
        && u32_of(block, 12) == 4096
        && u32_of(block, 4092) == crc32c::crc32c(&block[..4092]);
    if !is_ours {
        return None;
    }
    let name = block.get(78..78 + usize::from(block[77]))?;
    Some(Header {
        file_bytes: u64_of(block, 16),
        log_id: u128::from(u64_of(block, 24)) | u128::from(u64_of(block, 32)) << 64,
        segment: u64_of(block, 40),
        base_lsn: u64_of(block, 48),
        previous_frame: u64_of(block, 56),
        previous_chain: u32_of(block, 64),
        core: u32_of(block, 68),
        shards: u32_of(block, 72),
        method: block[76],
        system: String::from_utf8(name.to_vec()).ok()?,
    })
}

fn u16_of(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn u32_of(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

fn u64_of(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}
