//! What an old owner still owes the new one: everything that came to the old place, in order, until nobody sends there
//! any more.
//!
//! A numbered stream with one batch on its way at a time; the new owner takes each number once.

use std::collections::VecDeque;

use super::message::{Content, Item, Payload};
use super::parked::Ledger;
use super::settings::Settings;
use crate::ownership::{Epoch, Home};

/// The stream from here to the owner of one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay<H, P> {
    /// The new owner.
    pub to: H,
    /// Its epoch.
    pub epoch: Epoch,
    /// The first epoch whose messages belong into the stream.
    pub since: Epoch,
    queue: VecDeque<Item<H, P>>,
    /// The number of the first item in the queue.
    first: u64,
    /// How many of the queue are on their way.
    sent: usize,
    /// Whose markers are in the stream, or were; in order.
    flushed: Vec<H>,
    /// Who was told of the new owner; in order.
    told: Vec<H>,
}

impl<H: Home, P: Payload> Relay<H, P> {
    pub fn new(to: H, epoch: Epoch, since: Epoch) -> Relay<H, P> {
        let (flushed, told) = (Vec::new(), Vec::new());
        Relay { to, epoch, since, queue: VecDeque::new(), first: 0, sent: 0, flushed, told }
    }

    /// One more message for the stream; the caller has found room for it.
    pub fn push_payload(&mut self, origin: H, payload: P) {
        self.queue.push_back(Item { origin, content: Content::Payload(payload) });
    }

    /// The origin's marker, once.
    pub fn push_flush(&mut self, origin: H) {
        if let Err(at) = self.flushed.binary_search(&origin) {
            self.flushed.insert(at, origin);
            self.queue.push_back(Item { origin, content: Content::Flush });
        }
    }

    /// Whether the origin is to be told of the new owner now; once each.
    pub fn tells(&mut self, origin: H) -> bool {
        match self.told.binary_search(&origin) {
            Ok(_) => false,
            Err(at) => {
                self.told.insert(at, origin);
                true
            }
        }
    }

    /// The batch to send when none is on its way: what fits, and at least one.
    pub fn next_batch(&mut self, settings: &Settings) -> Option<(u64, Vec<Item<H, P>>)> {
        if self.sent > 0 || self.queue.is_empty() {
            return None;
        }
        let mut bytes = 0_usize;
        let fits = |item: &&Item<H, P>| {
            bytes = bytes.saturating_add(item.len_bytes());
            bytes <= settings.forward_limit_bytes
        };
        let limit = settings.forward_limit;
        self.sent = self.queue.iter().take(limit).take_while(fits).count().max(1);
        self.batch()
    }

    /// The batch that is on its way, once more.
    pub fn batch(&self) -> Option<(u64, Vec<Item<H, P>>)> {
        (self.sent > 0).then(|| (self.first, self.queue.range(..self.sent).cloned().collect()))
    }

    /// The new owner has everything below `next`. Says whether that was news.
    pub fn acknowledge(&mut self, next: u64, ledger: &mut Ledger) -> bool {
        let news = next > self.first;
        while self.first < next && self.sent > 0 {
            if let Some(Item { content: Content::Payload(payload), .. }) = self.queue.pop_front() {
                ledger.give_back(&payload);
            }
            self.first += 1;
            self.sent -= 1;
        }
        news
    }

    /// Whether everything is acknowledged and every one of `places` has flushed.
    pub fn is_done(&self, places: &[H]) -> bool {
        self.queue.is_empty()
            && places.iter().all(|place| self.flushed.binary_search(place).is_ok())
    }

    /// The messages that were not acknowledged.
    pub fn into_payloads(self) -> impl Iterator<Item = (H, P)> {
        self.queue.into_iter().filter_map(|item| match item.content {
            Content::Payload(payload) => Some((item.origin, payload)),
            Content::Flush => None,
        })
    }
}
