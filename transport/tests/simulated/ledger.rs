//! What was sent and what came of it, and what must hold of that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// An actor of a run, whatever node and life of it it belongs to.
pub type TalkerId = u64;

pub type Shared = Rc<RefCell<Ledger>>;

/// See the module's header.
#[derive(Default)]
pub struct Ledger {
    /// How many messages one has sent to another; they are numbered from 1.
    sent: BTreeMap<(TalkerId, TalkerId), u64>,
    /// How many of them came, and the number of the last.
    came: BTreeMap<(TalkerId, TalkerId), (u64, u64)>,
    /// Questions of one, and how many of them have ended.
    asked: BTreeMap<TalkerId, (u64, u64)>,
    /// Answers that came.
    pub answers: u64,
    /// For watcher and watched: watches, and how often the watcher was told of the end.
    watched: BTreeMap<(TalkerId, TalkerId), (u64, u64)>,
    broken: Vec<String>,
}

impl Ledger {
    pub fn sends(&mut self, from: TalkerId, to: TalkerId) -> u64 {
        let sent = self.sent.entry((from, to)).or_default();
        *sent += 1;
        *sent
    }

    pub fn receives(&mut self, from: TalkerId, to: TalkerId, number: u64, padding: &[u8]) {
        let sent = self.sent.get(&(from, to)).copied().unwrap_or_default();
        let (count, last) = self.came.entry((from, to)).or_default();
        if number <= *last {
            self.broken.push(format!("{from} to {to}: {number} came after {last}"));
        } else if number > sent {
            self.broken.push(format!("{from} to {to}: {number} came, and {sent} were sent"));
        } else if padding != padding_of(number) {
            self.broken.push(format!("{from} to {to}: {number} has other bytes"));
        }
        *count += 1;
        *last = number.max(*last);
    }

    pub fn asks(&mut self, from: TalkerId) -> u64 {
        let (begun, _) = self.asked.entry(from).or_default();
        *begun += 1;
        *begun
    }

    /// A question has ended, with the number that the answer carries or without one.
    pub fn answered(&mut self, from: TalkerId, number: Option<u64>) {
        let (begun, ended) = self.asked.entry(from).or_default();
        *ended += 1;
        self.answers += u64::from(number.is_some());
        if *ended > *begun || number.is_some_and(|number| number > *begun) {
            self.broken.push(format!("{from}: answer {number:?}, {ended} of {begun} questions"));
        }
    }

    pub fn watches(&mut self, watcher: TalkerId, watched: TalkerId) {
        self.watched.entry((watcher, watched)).or_default().0 += 1;
    }

    pub fn told(&mut self, watcher: TalkerId, watched: TalkerId) {
        let (watches, told) = self.watched.entry((watcher, watched)).or_default();
        *told += 1;
        if *told > *watches {
            self.broken.push(format!("{watcher} was told {told} times of the end of {watched}"));
        }
    }

    /// Messages of one to another that did not come.
    pub fn missing(&self, from: TalkerId, to: TalkerId) -> u64 {
        let sent = self.sent.get(&(from, to)).copied().unwrap_or_default();
        sent - self.came.get(&(from, to)).map_or(0, |(count, _)| *count)
    }

    /// Messages that came, of all.
    pub fn received(&self) -> u64 {
        self.came.values().map(|(count, _)| count).sum()
    }

    /// Questions of one that have not ended.
    pub fn open_questions(&self, from: TalkerId) -> u64 {
        self.asked.get(&from).map_or(0, |(begun, ended)| begun - ended)
    }

    /// Watches whose watcher was not told of an end: watcher and watched.
    pub fn untold(&self) -> impl Iterator<Item = (TalkerId, TalkerId)> {
        let untold = self.watched.iter().filter(|(_, (watches, told))| told < watches);
        untold.map(|(pair, _)| *pair)
    }

    /// What has happened that must not.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }
}

/// What a message carries beside its number: nothing most of the time, and some kilobytes at times.
pub fn padding_of(number: u64) -> Vec<u8> {
    let bytes = match number % 13 {
        0 => 3_000 + number % 977,
        12 => number % 41,
        _ => 0,
    };
    (0..bytes).map(|at| (at + number) as u8).collect()
}
