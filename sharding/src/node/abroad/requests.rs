//! What threads ask of a scheduler, and what they see of its node.

use std::sync::Arc;

use mainspring::message::Message;
use mainspring::prelude::*;

use super::scheduler::Scheduler;
use crate::node::coordinator::Directive;
use crate::node::type_board::ShardRequest;

impl<M: Message> Scheduler<M> {
    /// Writes down how far the node has come, and does what was asked for; the leader does it for all.
    pub(super) fn take_requests(&mut self, ctx: &mut Context<'_, Self>) {
        let has_begun = self.outland.neighbours.borrow().has_begun();
        let holds_lease = self.outland.peers.tenure.holds(ctx.now_ns());
        let board = Arc::clone(&self.outland.board);
        board.set_standing(has_begun, holds_lease);
        for request in board.take_requests() {
            match (request, self.leader()) {
                (ShardRequest::Move { shard, to }, Some(leader)) => {
                    ctx.tell(leader, &Directive::Move { shard, to, reply_to: None });
                }
                (ShardRequest::Move { shard, to }, None) => self.wish(ctx, shard, to, None),
                (ShardRequest::Rebalance, _) => self.rebalance(ctx),
            }
        }
    }

    /// The next round of balancing does not wait for its time.
    pub(super) fn rebalance(&mut self, ctx: &mut Context<'_, Self>) {
        match self.leader() {
            Some(leader) => ctx.tell(leader, &Directive::Rebalance),
            None => self.allocator.begin_round(),
        }
    }
}
