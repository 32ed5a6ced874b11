//! `savina-thread-ring`: a token goes round a ring of actors.

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{THREAD_RING_ACTORS, THREAD_RING_HOPS};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::measure::{self, ask, spawn, tell};

/// The round of `savina-thread-ring`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let last = spawn(Node, None).await;
        let mut nodes = vec![last.clone()];
        for _ in 1..THREAD_RING_ACTORS {
            let next = nodes[nodes.len() - 1].clone();
            nodes.push(spawn(Node, Some(next)).await);
        }
        let first = nodes[nodes.len() - 1].clone();
        // The hops make whole rounds, so they end with the last actor of the ring.
        ask(&last, |done| ToNode::BeLast { first, done }).await;
        let mut hops = 0;
        for node in nodes {
            hops += ask(&node, ToNode::Leave).await;
        }
        hops
    })
}

enum ToNode {
    Token {
        hops_left: u64,
    },
    /// Closes the ring and sends the token on its way; `done` is told when it is there.
    BeLast {
        first: ActorRef<ToNode>,
        done: RpcReplyPort<()>,
    },
    Leave(RpcReplyPort<u64>),
}

struct Node;

struct NodeState {
    next: Option<ActorRef<ToNode>>,
    hops: u64,
    done: Option<RpcReplyPort<()>>,
}

impl Actor for Node {
    type Msg = ToNode;
    type State = NodeState;
    type Arguments = Option<ActorRef<ToNode>>;

    async fn pre_start(
        &self,
        _: ActorRef<ToNode>,
        next: Self::Arguments,
    ) -> Result<NodeState, ActorProcessingErr> {
        Ok(NodeState { next, hops: 0, done: None })
    }

    async fn handle(
        &self,
        own: ActorRef<ToNode>,
        message: ToNode,
        state: &mut NodeState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToNode::Token { hops_left } => {
                state.hops += 1;
                if hops_left > 1 {
                    let next = state.next.as_ref().ok_or("the ring is not closed")?;
                    tell(next, ToNode::Token { hops_left: hops_left - 1 });
                } else if let Some(done) = state.done.take() {
                    done.send(())?;
                }
            }
            ToNode::BeLast { first, done } => {
                tell(&first, ToNode::Token { hops_left: THREAD_RING_HOPS });
                state.next = Some(first);
                state.done = Some(done);
            }
            ToNode::Leave(reply) => {
                reply.send(state.hops)?;
                own.stop(None);
            }
        }
        Ok(())
    }
}
