//! The searches of a cohort: where the records of its readings stand.
//!
//! They go on together: what all of them need next of footers is put in order and read at once, neighbouring blocks
//! by one request, each block once; then all of them go on from there. A search that needs nothing more is done.

use std::collections::VecDeque;

use super::log_index::{FooterPart, LogIndex, Run, Search, Step};
use super::readings::ReadFailed;
use super::requests::Requests;
use super::storage::LogFile;
use crate::index::DecodedBlocks;
use crate::log::BlockBuffer;

/// The most bytes of footers that one request reads, unless one search needs more.
const REQUEST_LIMIT_BYTES: u64 = 256 << 10;
/// So many bytes between the needs of two searches are rather read than left out.
const GAP_BYTES: u64 = 16 << 10;
/// Requests under way for one cohort.
const REQUESTS_AHEAD: usize = 16;

/// What one search needs of a footer.
#[derive(Clone, Copy, Debug)]
struct Need {
    part: FooterPart,
    member: u32,
}

/// One read of a footer, for all who need something of it.
#[derive(Debug)]
struct Request {
    part: FooterPart,
    needs: Vec<Need>,
}

/// A request that has come, and how many have taken what they need.
#[derive(Debug)]
struct Come {
    request: Request,
    bytes: Result<BlockBuffer, ReadFailed>,
    taken: usize,
    decoded: DecodedBlocks,
}

/// What became of a search.
pub(super) type Searched = (u32, Result<Vec<Run>, ReadFailed>);

/// See the module's header.
#[derive(Debug)]
pub(super) struct Searches {
    /// By member; none when it is done.
    searches: Vec<Option<Search>>,
    /// Those that can go on.
    ready: VecDeque<u32>,
    needs: Vec<Need>,
    requests: VecDeque<Request>,
    under_way: Vec<(u64, Request)>,
    come: VecDeque<Come>,
}

impl Searches {
    /// The searches of the members of a cohort, in their order.
    pub fn new(searches: Vec<Option<Search>>) -> Self {
        Searches {
            ready: (0..searches.len() as u32).collect(),
            searches,
            needs: Vec::new(),
            requests: VecDeque::new(),
            under_way: Vec::new(),
            come: VecDeque::new(),
        }
    }

    /// Whether nothing is looked for any more.
    pub fn is_over(&self) -> bool {
        self.is_settled() && self.ready.is_empty() && self.needs.is_empty()
    }

    /// Whether something can be done before the device has done something.
    pub fn has_work(&self) -> bool {
        !self.come.is_empty() || (self.under_way.is_empty() && !self.is_over())
    }

    /// Whether nothing that was asked for is still to come or to be taken.
    fn is_settled(&self) -> bool {
        self.come.is_empty() && self.under_way.is_empty() && self.requests.is_empty()
    }

    /// Goes on for at most `budget` steps, of which it takes away what it used. How many requests were begun.
    pub fn go_on(
        &mut self,
        budget: &mut usize,
        index: &mut LogIndex,
        requests: &mut Requests<'_>,
        done: &mut Vec<Searched>,
    ) -> usize {
        let mut begun = 0;
        while *budget > 0 {
            begun += self.begin(requests);
            if !self.come.is_empty() {
                self.take_come(budget, index, done);
            } else if !self.is_settled() {
                break;
            } else if let Some(member) = self.ready.pop_front() {
                *budget -= 1;
                self.step(member, index, done);
            } else if !self.needs.is_empty() {
                self.ask();
            } else {
                break;
            }
        }
        begun
    }

    /// Bytes have come, or will not; they come back when nobody here asked for them.
    pub fn fetched(
        &mut self,
        token: u64,
        bytes: BlockBuffer,
        result: std::io::Result<()>,
    ) -> Result<(), (BlockBuffer, std::io::Result<()>)> {
        let Some(at) = self.under_way.iter().position(|(asked, _)| *asked == token) else {
            return Err((bytes, result));
        };
        let (_, request) = self.under_way.swap_remove(at);
        let FooterPart { segment_id, offset, .. } = request.part;
        let failed = |error| ReadFailed::device(LogFile::Footer(segment_id), offset, error);
        let bytes = result.map(|()| bytes).map_err(failed);
        self.come.push_back(Come { request, bytes, taken: 0, decoded: DecodedBlocks::default() });
        Ok(())
    }

    fn step(&mut self, member: u32, index: &LogIndex, done: &mut Vec<Searched>) {
        let Some(place) = self.searches.get_mut(member as usize) else { return };
        let Some(search) = place else { return };
        let end = match index.step(search) {
            Ok(Step::Read(part)) => return self.needs.push(Need { part, member }),
            Ok(Step::Found(runs)) => Ok(runs),
            Err(failed) => Err(failed),
        };
        *place = None;
        done.push((member, end));
    }

    /// Puts what is needed in order, and together what is near.
    fn ask(&mut self) {
        self.needs.sort_unstable_by_key(|need| {
            (need.part.segment_id, need.part.offset, need.part.bytes, need.member)
        });
        for need in self.needs.drain(..) {
            let FooterPart { segment_id, offset, bytes } = need.part;
            let end = offset + bytes;
            match self.requests.back_mut() {
                Some(Request { part, needs })
                    if part.segment_id == segment_id
                        && offset <= part.offset + part.bytes + GAP_BYTES
                        && (end <= part.offset + part.bytes
                            || end - part.offset <= REQUEST_LIMIT_BYTES) =>
                {
                    part.bytes = part.bytes.max(end - part.offset);
                    needs.push(need);
                }
                _ => self.requests.push_back(Request { part: need.part, needs: vec![need] }),
            }
        }
    }

    fn begin(&mut self, requests: &mut Requests<'_>) -> usize {
        let mut begun = 0;
        while self.under_way.len() + self.come.len() < REQUESTS_AHEAD {
            let Some(request) = self.requests.front() else { break };
            let FooterPart { segment_id, offset, bytes } = request.part;
            let file = LogFile::Footer(segment_id);
            let Some(token) = requests.read(file, offset, bytes) else { break };
            let request = self.requests.pop_front();
            self.under_way.extend(request.map(|request| (token, request)));
            begun += 1;
        }
        begun
    }

    /// Gives those who need something of the first request what they need.
    fn take_come(&mut self, budget: &mut usize, index: &mut LogIndex, done: &mut Vec<Searched>) {
        let Some(Come { request, bytes, taken, decoded }) = self.come.front_mut() else { return };
        while let Some(Need { part, member }) = request.needs.get(*taken).copied() {
            if *budget == 0 {
                return;
            }
            *budget -= 1;
            *taken += 1;
            let Some(place) = self.searches.get_mut(member as usize) else { continue };
            let Some(search) = place else { continue };
            let from = (part.offset - request.part.offset) as usize;
            let result = match bytes {
                Ok(bytes) => {
                    let part = bytes.get(from..from + part.bytes as usize).unwrap_or_default();
                    index.take_part(search, part, decoded)
                }
                Err(failed) => Err(failed.clone()),
            };
            match result {
                Ok(()) => self.ready.push_back(member),
                Err(failed) => {
                    *place = None;
                    done.push((member, Err(failed)));
                }
            }
        }
        self.come.pop_front();
    }
}
