//! One way through the log: which blocks are fetched, in which order, and whose records they hold.
//!
//! The records of one reading are fetched in its order. Those of many are fetched in the order of the log: their
//! places are kept by region, each region is put in order when it is next, and neighbours are fetched together. Some
//! fetches are ahead of the one that is given out, so that the device always has something to do.

use std::collections::{BTreeMap, VecDeque};

use super::log_index::{Layouts, Run};
use super::readings::ReadFailed;
use super::requests::Requests;
use super::storage::LogFile;
use crate::format::BLOCK_BYTES;
use crate::index::Posting;
use crate::log::{BlockBuffer, SegmentFile};

/// The most bytes that one request fetches, unless a single record is longer.
pub(super) const FETCH_LIMIT_BYTES: u64 = 256 << 10;
/// Requests under way for one way through the log.
const FETCHES_AHEAD: usize = 16;
/// So many bytes between the records of two readings are rather read than left out: another request takes as long.
const GAP_BYTES: u64 = 16 << 10;

/// Where a record of one reading stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub posting: Posting,
    /// Whose it is, as the cohort counts its readings.
    pub member: u32,
}

/// Blocks that are fetched by one request.
#[derive(Debug)]
pub(super) struct Fetch {
    pub file: SegmentFile,
    pub offset: u64,
    pub bytes: u64,
    /// Bytes of the records themselves.
    pub wanted_bytes: usize,
    /// The segment's.
    pub layouts: Layouts,
    pub places: Vec<Place>,
}

#[derive(Debug)]
struct UnderWay {
    token: u64,
    fetch: Fetch,
    result: Option<Result<BlockBuffer, ReadFailed>>,
}

/// Places of one file, of which those from `at` on are not fetched yet.
#[derive(Debug)]
struct Stretch {
    file: SegmentFile,
    layouts: Layouts,
    places: Vec<Place>,
    at: usize,
    /// How far two neighbours may be apart.
    gap_bytes: u64,
}

/// Places in one segment, by their regions of [`FETCH_LIMIT_BYTES`].
#[derive(Debug)]
struct SegmentPlaces {
    file: SegmentFile,
    layouts: Layouts,
    regions: VecDeque<Vec<Place>>,
}

#[derive(Debug)]
enum Order {
    /// That of one reading.
    AsWanted(VecDeque<Run>),
    /// That of the log.
    AsWritten(BTreeMap<u64, SegmentPlaces>),
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Pass {
    order: Order,
    stretch: Option<Stretch>,
    next: Option<Fetch>,
    /// In the order in which they are given out.
    under_way: VecDeque<UnderWay>,
}

impl Pass {
    /// Through the records of one reading, in their order.
    pub fn as_wanted(runs: Vec<Run>) -> Self {
        Pass::new(Order::AsWanted(runs.into()))
    }

    /// Through the log, for many readings, which are yet to be added.
    pub fn as_written() -> Self {
        Pass::new(Order::AsWritten(BTreeMap::new()))
    }

    fn new(order: Order) -> Self {
        Pass { order, stretch: None, next: None, under_way: VecDeque::new() }
    }

    /// Adds the places of one reading, before anything is fetched.
    pub fn add(&mut self, member: u32, runs: Vec<Run>) {
        let segments = match &mut self.order {
            Order::AsWanted(wanted) => return wanted.extend(runs),
            Order::AsWritten(segments) => segments,
        };
        for Run { segment_id, file, layouts, postings } in runs {
            let segment = segments.entry(segment_id).or_insert_with(|| SegmentPlaces {
                file,
                layouts,
                regions: VecDeque::new(),
            });
            for posting in postings {
                let region = (posting.offset / FETCH_LIMIT_BYTES) as usize;
                if segment.regions.len() <= region {
                    segment.regions.resize_with(region + 1, Vec::new);
                }
                segment.regions[region].push(Place { posting, member });
            }
        }
    }

    /// Begins as many fetches as may be under way; how many.
    pub fn begin(&mut self, requests: &mut Requests<'_>) -> usize {
        let mut begun = 0;
        while self.under_way.len() < FETCHES_AHEAD {
            let Some(fetch) = self.next.take().or_else(|| self.next_fetch()) else { break };
            let (file, offset) = (LogFile::Segment(fetch.file), fetch.offset);
            let Some(token) = requests.read(file, offset, fetch.bytes) else {
                self.next = Some(fetch);
                break;
            };
            self.under_way.push_back(UnderWay { token, fetch, result: None });
            begun += 1;
        }
        begun
    }

    /// Blocks have come, or will not; they come back when they are none of this pass.
    pub fn fetched(
        &mut self,
        token: u64,
        bytes: BlockBuffer,
        result: std::io::Result<()>,
    ) -> Result<(), (BlockBuffer, std::io::Result<()>)> {
        let mut under_way = self.under_way.iter_mut();
        let Some(fetched) = under_way.find(|under_way| under_way.token == token) else {
            return Err((bytes, result));
        };
        let (file, offset) = (LogFile::Segment(fetched.fetch.file), fetched.fetch.offset);
        let failed = |error| ReadFailed::device(file, offset, error);
        fetched.result = Some(result.map(|()| bytes).map_err(failed));
        Ok(())
    }

    /// Whether there is something to fetch, and nothing under way that would bring the next turn.
    pub fn has_to_begin(&self) -> bool {
        self.next.is_some() && self.under_way.is_empty()
    }

    /// Whether the fetch that is next has come.
    pub fn has_come(&self) -> bool {
        self.under_way.front().is_some_and(|under_way| under_way.result.is_some())
    }

    /// The fetch that is next, if it has come.
    pub fn take_come(&mut self) -> Option<(Fetch, Result<BlockBuffer, ReadFailed>)> {
        let result = self.under_way.front_mut()?.result.take()?;
        Some((self.under_way.pop_front()?.fetch, result))
    }

    fn next_fetch(&mut self) -> Option<Fetch> {
        loop {
            if let Some(fetch) = self.stretch.as_mut().and_then(Stretch::next_fetch) {
                return Some(fetch);
            }
            self.stretch = Some(self.order.next_stretch()?);
        }
    }
}

impl Order {
    fn next_stretch(&mut self) -> Option<Stretch> {
        let segments = match self {
            Order::AsWanted(runs) => {
                let Run { file, layouts, postings, .. } = runs.pop_front()?;
                let places = postings.into_iter().map(|posting| Place { posting, member: 0 });
                let places = places.collect();
                return Some(Stretch { file, layouts, places, at: 0, gap_bytes: 0 });
            }
            Order::AsWritten(segments) => segments,
        };
        loop {
            let mut first = segments.first_entry()?;
            let segment = first.get_mut();
            let Some(mut places) = segment.regions.pop_front() else {
                first.remove();
                continue;
            };
            if places.is_empty() {
                continue;
            }
            places.sort_unstable_by_key(|place| (place.posting.offset, place.member));
            let (file, layouts) = (segment.file, Layouts::clone(&segment.layouts));
            return Some(Stretch { file, layouts, places, at: 0, gap_bytes: GAP_BYTES });
        }
    }
}

impl Stretch {
    fn next_fetch(&mut self) -> Option<Fetch> {
        let places = self.places.get(self.at..)?;
        let (offset, mut end) = blocks_of(&places.first()?.posting);
        let mut count = 0;
        let mut wanted_bytes = 0;
        for place in places {
            let (from, to) = blocks_of(&place.posting);
            let is_near = from >= offset && from <= end + self.gap_bytes;
            if count > 0 && (!is_near || to.max(end) - offset > FETCH_LIMIT_BYTES) {
                break;
            }
            end = end.max(to);
            count += 1;
            wanted_bytes += place.posting.bytes as usize;
        }
        let places = places.get(..count)?.to_vec();
        self.at += count;
        let (file, layouts) = (self.file, Layouts::clone(&self.layouts));
        Some(Fetch { file, offset, bytes: end - offset, wanted_bytes, layouts, places })
    }
}

/// The blocks in which a record stands, as offsets of the file.
fn blocks_of(posting: &Posting) -> (u64, u64) {
    let block = BLOCK_BYTES as u64;
    let end = posting.offset + u64::from(posting.bytes);
    (posting.offset / block * block, end.next_multiple_of(block))
}
