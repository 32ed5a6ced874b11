//! The requests of a connection that are under way, and their replies in the order of the requests.
//!
//! Invariants: replies come out in the order in which their places were opened, each once; a ticket that is over is
//! never taken for another.

use std::collections::VecDeque;

use super::command::Join;
use super::reply::{ArchivedReply, Reply, Resp};

/// Replies of a connection that are under way at the same time. One request for many keys may go beyond it.
pub const MOST_UNDER_WAY: usize = 512;

/// The most bytes of values in one reply for many keys: a client that asks for all it may have at once would be given
/// a thousand times what its connection has room for.
pub const MOST_JOINED_BYTES: usize = 16 << 20;

/// Of a ticket, the bits that say which part of a request it is.
const PART_BITS: u32 = 16;

const _: () = assert!(super::request::MOST_ARGUMENTS < 1 << PART_BITS);

/// See the module's header.
#[derive(Debug, Default)]
pub struct Window {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Place>,
    /// Answers that are still to come.
    under_way: usize,
}

#[derive(Debug)]
struct Place {
    asked_ns: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Joining(Box<Joining>),
    /// The reply, as it is written.
    Done(Vec<u8>),
}

/// The replies of many keys that make one.
#[derive(Debug)]
struct Joining {
    join: Join,
    left: usize,
    sum: i64,
    parts: Vec<Option<Reply>>,
    /// Of the values in the parts.
    bytes: usize,
    error: Option<String>,
}

impl Window {
    /// Whether as much is under way as may be: nothing more is to be opened.
    pub fn is_full(&self) -> bool {
        self.under_way.max(self.places.len()) >= MOST_UNDER_WAY
    }

    /// Whether no reply is still to be written.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The ticket of a new place for one answer.
    pub fn open(&mut self, now_ns: u64) -> u64 {
        self.push(now_ns, State::Waiting, 1)
    }

    /// The first ticket of a new place for as many answers as `parts`; those of the others follow it.
    pub fn open_joined(&mut self, now_ns: u64, join: Join, parts: usize) -> u64 {
        let held = if join == Join::List { parts } else { 0 };
        let parts_held = std::iter::repeat_with(|| None).take(held).collect();
        let joining =
            Joining { join, left: parts, sum: 0, parts: parts_held, bytes: 0, error: None };
        self.push(now_ns, State::Joining(Box::new(joining)), parts)
    }

    fn push(&mut self, asked_ns: u64, state: State, answers: usize) -> u64 {
        let number = self.first + self.places.len() as u64;
        self.places.push_back(Place { asked_ns, state });
        self.under_way += answers;
        number << PART_BITS
    }

    /// A reply that is there already. It goes behind all others; what can be written now goes to `out`.
    pub fn reply(&mut self, reply: &Reply, resp: Resp, out: &mut Vec<u8>) {
        if self.places.is_empty() {
            // Tickets of places that are over stay behind.
            self.first += 1;
            return reply.write(resp, out);
        }
        let mut bytes = Vec::new();
        reply.write(resp, &mut bytes);
        self.places.push_back(Place { asked_ns: 0, state: State::Done(bytes) });
    }

    /// An answer that stands by itself has come. What can be written now goes to `out`.
    pub fn take(&mut self, ticket: u64, reply: Reply, resp: Resp, out: &mut Vec<u8>) {
        let Some((_, place)) = self.find(ticket) else { return };
        if let State::Joining(joining) = &mut place.state
            && !joining.take(part_of(ticket), reply.clone())
        {
            self.under_way -= 1;
            return;
        }
        let reply = match &mut place.state {
            State::Done(_) => return,
            State::Waiting => reply,
            State::Joining(joining) => joining.reply(),
        };
        let mut bytes = Vec::new();
        reply.write(resp, &mut bytes);
        place.state = State::Done(bytes);
        self.under_way -= 1;
        self.advance(out);
    }

    /// An answer has come. What can be written now goes to `out`.
    pub fn answer(&mut self, ticket: u64, reply: &ArchivedReply, resp: Resp, out: &mut Vec<u8>) {
        let Some((number, place)) = self.find(ticket) else { return };
        match &mut place.state {
            State::Done(_) => return,
            State::Waiting if number == 0 => {
                reply.write(resp, out);
                place.state = State::Done(Vec::new());
            }
            State::Waiting => {
                let mut bytes = Vec::new();
                reply.write(resp, &mut bytes);
                place.state = State::Done(bytes);
            }
            State::Joining(_) => return self.take(ticket, reply.owned(), resp, out),
        }
        self.under_way -= 1;
        self.advance(out);
    }

    /// What was asked before this time and has no answer gets this error in its place.
    pub fn give_up(&mut self, before_ns: u64, error: &Reply, resp: Resp, out: &mut Vec<u8>) {
        for place in &mut self.places {
            let answers = match &place.state {
                State::Done(_) => continue,
                _ if place.asked_ns >= before_ns => break,
                State::Waiting => 1,
                State::Joining(joining) => joining.left,
            };
            self.under_way -= answers;
            let mut bytes = Vec::new();
            error.write(resp, &mut bytes);
            place.state = State::Done(bytes);
        }
        self.advance(out);
    }

    /// The place that a ticket stands for, counted from the front.
    fn find(&mut self, ticket: u64) -> Option<(usize, &mut Place)> {
        let number = usize::try_from((ticket >> PART_BITS).checked_sub(self.first)?).ok()?;
        Some((number, self.places.get_mut(number)?))
    }

    /// Replies at the front are written.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while let Some(Place { state: State::Done(bytes), .. }) = self.places.front() {
            out.extend_from_slice(bytes);
            self.places.pop_front();
            self.first += 1;
        }
    }
}

impl Joining {
    /// Takes one part; whether it was the last.
    fn take(&mut self, part: usize, reply: Reply) -> bool {
        self.left -= 1;
        match (reply, self.join) {
            (Reply::Error(error), _) => self.error = Some(self.error.take().unwrap_or(error)),
            (Reply::Integer(number), Join::Sum) => self.sum += number,
            (Reply::Bulk(value), Join::List) if self.bytes + value.len() > MOST_JOINED_BYTES => {
                self.parts = Vec::new();
                self.bytes = MOST_JOINED_BYTES;
                let error = "ERR the reply has more than 16777216 bytes: ask for fewer keys";
                self.error.get_or_insert_with(|| error.to_owned());
            }
            (reply, Join::List) => {
                if let Reply::Bulk(value) = &reply {
                    self.bytes += value.len();
                }
                if let Some(place) = self.parts.get_mut(part) {
                    *place = Some(reply);
                }
            }
            _ => {}
        }
        self.left == 0
    }

    fn reply(&mut self) -> Reply {
        match (self.error.take(), self.join) {
            (Some(error), _) => Reply::Error(error),
            (None, Join::Sum) => Reply::Integer(self.sum),
            (None, Join::Ok) => Reply::Ok,
            (None, Join::List) => {
                Reply::List(self.parts.drain(..).map(|part| part.unwrap_or(Reply::Null)).collect())
            }
        }
    }
}

fn part_of(ticket: u64) -> usize {
    (ticket & ((1 << PART_BITS) - 1)) as usize
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
