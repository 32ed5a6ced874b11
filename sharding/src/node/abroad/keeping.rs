//! What a scheduler does where no store decides: it asks the oldest member, or is asked.

use std::collections::BTreeSet;

use mainspring::message::Message;
use mainspring::prelude::*;

use super::scheduler::{Scheduler, Source};
use crate::node::coordinator::{ArchivedKeeperWord, Directive, KeeperWord};
use crate::node::envelope::Record;
use crate::ownership::{Place, RequestId, StoreRequest};

/// After how long a member is asked again what it knows.
const COUNT_NS: u64 = 500_000_000;

impl<M: Message> Scheduler<M> {
    /// Sends a question to the oldest member, if that is another node.
    pub(super) fn ask_oldest(
        &self,
        ctx: &mut Context<'_, Self>,
        number: u64,
        request: StoreRequest<Place>,
    ) -> bool {
        let oldest = self.outland.neighbours.borrow().oldest();
        let oldest = oldest.and_then(|(oldest, _)| self.outland.scheduler_of(oldest));
        let Some(oldest) = oldest else { return false };
        let reply_to = ctx.me();
        let word = KeeperWord::Question { number, reply_to, question: request.into() };
        ctx.try_tell(oldest, &Directive::Kept { word }).is_ok()
    }

    /// If this node is the oldest, it asks the others what they know, and keeps the records then. Whether it does.
    pub(super) fn look_at_members(&mut self, ctx: &mut Context<'_, Self>) -> bool {
        let now_ns = ctx.now_ns();
        let Source::Members { keeper, count_ns, .. } = &mut self.source else { return false };
        let (oldest, members): (_, BTreeSet<u64>) = {
            let neighbours = self.outland.neighbours.borrow();
            (neighbours.oldest(), neighbours.working())
        };
        let kept = keeper.keeps();
        let ask = keeper.look(oldest, &members, &self.records);
        if !ask.is_empty() && *count_ns <= now_ns {
            *count_ns = now_ns.saturating_add(COUNT_NS);
            let (term, reply_to) = (keeper.term(), ctx.me());
            for scheduler in ask.into_iter().filter_map(|id| self.outland.scheduler_of(id)) {
                let word = KeeperWord::Count { term, reply_to };
                // One that finds no room is asked again.
                let _ = ctx.try_tell(scheduler, &Directive::Kept { word });
            }
        }
        let places = self.outland.places();
        let is_in = |place: &Place| members.contains(&place.incarnation);
        keeper.set_places(&places.into_iter().filter(is_in).collect::<Vec<_>>());
        if keeper.keeps() && !kept {
            let records = keeper.records();
            self.read(ctx, &records);
        }
        matches!(&self.source, Source::Members { keeper, .. } if keeper.keeps())
    }

    /// A member says something about the records.
    pub(super) fn hear(&mut self, ctx: &mut Context<'_, Self>, word: &ArchivedKeeperWord) {
        let me = self.outland.peers.place(0).incarnation;
        let Source::Members { keeper, .. } = &mut self.source else { return };
        match word {
            ArchivedKeeperWord::Count { term, reply_to } => {
                let term = term.to_native();
                if keeper.asked(term) {
                    let known = (0..).zip(&self.records);
                    let known =
                        known.filter_map(|(shard, record)| Some((shard, Record::from((*record)?))));
                    let word = KeeperWord::Counted { term, member: me, records: known.collect() };
                    let _ = ctx.try_tell(*reply_to, &Directive::Kept { word });
                }
            }
            ArchivedKeeperWord::Counted { term, member, records } => {
                let records = records.iter().map(|pair| (pair.0.to_native(), (&pair.1).into()));
                keeper.counted(term.to_native(), member.to_native(), records);
            }
            ArchivedKeeperWord::Question { number, reply_to, question } => {
                let request: StoreRequest<Place> = question.into();
                let Some(answer) = keeper.decide(request) else { return };
                let (number, term) = (number.to_native(), keeper.term());
                let word = KeeperWord::Answer { number, term, answer: answer.into() };
                let _ = ctx.try_tell(*reply_to, &Directive::Kept { word });
                self.note_answer(request.shard(), answer);
            }
            ArchivedKeeperWord::Answer { number, term, answer } => {
                // What a keeper of before says does not count: who asked does so again.
                if term.to_native() >= keeper.term() {
                    self.answered(ctx, RequestId(number.to_native()), answer.into());
                }
            }
        }
    }
}
