//! The clerk: opens orders, a bounded number at a time, and remembers how far it is.
//!
//! Its mark is an event-sourced actor of its own: all orders up to the mark have ended. After a crash the clerk goes on
//! from there; orders behind the mark that have ended as well say so at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;

use super::desk::DeskMessage;
use super::details::Details;
use super::mark::{Advanced, MarkCommand};

/// How far the clerk may be ahead of the first order that has not ended, in windows.
const SPAN_WINDOWS: u64 = 8;
/// How many orders the mark advances by.
const ADVANCE_BY: u64 = 256;
/// How long the mark may take to recover.
const MARK_WITHIN: Duration = Duration::from_secs(30);

/// What the clerk understands.
#[message]
pub enum ClerkMessage {
    /// An order has ended.
    Ended { number: u64, done: bool },
    /// How far are you?
    Progress { reply_to: ActorRef<Progress> },
}

/// How far the clerk is.
#[message]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Orders that have ended, in all lives of the process.
    pub ended: u64,
    /// Orders whose steps are all done.
    pub done: u64,
    /// Orders that are open.
    pub open: u64,
    /// Why there is no progress.
    pub is_lost: bool,
}

/// What a clerk has to do, and with whom.
#[derive(Clone)]
pub struct Work {
    /// Decides what each order is about.
    pub seed: u64,
    /// Orders in all.
    pub orders: u64,
    /// Orders that are open at the same time.
    pub window: u64,
    /// The desk of each core.
    pub desks: Vec<ActorRef<DeskMessage>>,
    /// The core that an order belongs to.
    pub core_of: Arc<dyn Fn(u64) -> u16 + Send + Sync>,
    /// Where it remembers how far it is.
    pub mark: ActorRef<MarkCommand>,
}

/// The clerk.
pub struct Clerk {
    work: Work,
    /// All orders up to this one have ended, as the mark knows.
    marked: u64,
    /// All orders up to this one have ended.
    through: u64,
    /// How many of these are done.
    done: u64,
    /// Those that have ended behind it.
    ended: BTreeMap<u64, bool>,
    /// The last one that was opened.
    opened: u64,
    is_lost: bool,
}

impl Clerk {
    /// A clerk for this work.
    pub fn new(work: Work) -> Clerk {
        Clerk {
            work,
            marked: 0,
            through: 0,
            done: 0,
            ended: BTreeMap::new(),
            opened: 0,
            is_lost: false,
        }
    }

    fn open_count(&self) -> u64 {
        self.opened - self.through - self.ended.len() as u64
    }

    fn open_more(&mut self, ctx: &mut Context<'_, Self>) {
        while self.opened < self.work.orders
            && self.open_count() < self.work.window
            && self.opened - self.through < self.work.window * SPAN_WINDOWS
        {
            let number = self.opened + 1;
            let core = (self.work.core_of)(number);
            let Some(desk) = self.work.desks.get(usize::from(core)) else {
                self.is_lost = true;
                return;
            };
            self.opened = number;
            let details = Details::of(self.work.seed, number);
            ctx.tell(*desk, &DeskMessage::Open { number, details, clerk: ctx.me() });
        }
    }

    fn on_ended(&mut self, ctx: &mut Context<'_, Self>, number: u64, done: bool) {
        if number <= self.through || number > self.opened {
            return;
        }
        self.ended.insert(number, done);
        while let Some(done) = self.ended.remove(&(self.through + 1)) {
            self.through += 1;
            self.done += u64::from(done);
        }
        if self.through - self.marked >= ADVANCE_BY || self.through == self.work.orders {
            self.marked = self.through;
            let advance = MarkCommand::Advance { through: self.through, done: self.done };
            ctx.tell(self.work.mark, &advance);
        }
    }

    fn on_mark(
        &mut self,
        ctx: &mut Context<'_, Self>,
        mark: Result<&Archived<Advanced>, AskError>,
    ) -> Next<Self> {
        match mark {
            Ok(mark) => {
                self.through = mark.through.to_native().min(self.work.orders);
                (self.marked, self.opened) = (self.through, self.through);
                self.done = mark.done.to_native();
                self.open_more(ctx);
            }
            Err(_) => self.is_lost = true,
        }
        Next::Same
    }
}

impl Actor for Clerk {
    type Message = ClerkMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let mark = self.work.mark;
        let asked =
            ctx.ask(mark, |reply_to| MarkCommand::Where { reply_to }, MARK_WITHIN, Self::on_mark);
        asked.exclusive();
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<ClerkMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedClerkMessage::Ended { number, done } => {
                self.on_ended(ctx, number.to_native(), *done);
                self.open_more(ctx);
            }
            ArchivedClerkMessage::Progress { reply_to } => {
                let done_behind = self.ended.values().filter(|done| **done).count() as u64;
                let progress = Progress {
                    ended: self.through + self.ended.len() as u64,
                    done: self.done + done_behind,
                    open: self.open_count(),
                    is_lost: self.is_lost,
                };
                ctx.tell(*reply_to, &progress);
            }
        }
        Next::Same
    }
}
