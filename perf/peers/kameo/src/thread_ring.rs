//! `savina-thread-ring`: a token goes round a ring of actors.

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{THREAD_RING_ACTORS, THREAD_RING_HOPS};
use tokio::sync::oneshot;

use crate::measure::{self, tell};

/// The round of `savina-thread-ring`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let (done, finished) = oneshot::channel();
        let nodes = make_ring(done);
        tell(&nodes[0], Token { hops_left: THREAD_RING_HOPS });
        finished.await.expect("the token arrives");
        let mut hops = 0;
        for node in nodes {
            // The node stops after its answer.
            hops += node.ask(Leave).send().await.expect("the node lives");
        }
        hops
    })
}

fn make_ring(done: oneshot::Sender<()>) -> Vec<ActorRef<Node>> {
    let last = Node::prepare_with_mailbox(mailbox::unbounded());
    let mut nodes = vec![last.actor_ref().clone()];
    for _ in 1..THREAD_RING_ACTORS {
        let next = nodes[nodes.len() - 1].clone();
        let node = Node { next, hops: 0, done: None };
        nodes.push(Node::spawn_with_mailbox(node, mailbox::unbounded()));
    }
    // The hops make whole rounds, so they end with the last actor of the ring.
    let next = nodes[nodes.len() - 1].clone();
    last.spawn(Node { next, hops: 0, done: Some(done) });
    nodes.reverse();
    nodes
}

struct Token {
    hops_left: u64,
}
struct Leave;

#[derive(Actor)]
struct Node {
    next: ActorRef<Node>,
    hops: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Message<Token> for Node {
    type Reply = ();

    async fn handle(&mut self, Token { hops_left }: Token, _: &mut Context<Self, ()>) {
        self.hops += 1;
        if hops_left > 1 {
            tell(&self.next, Token { hops_left: hops_left - 1 });
        } else if let Some(done) = self.done.take() {
            let _ = done.send(());
        }
    }
}

impl Message<Leave> for Node {
    type Reply = u64;

    async fn handle(&mut self, _: Leave, context: &mut Context<Self, u64>) -> u64 {
        context.stop();
        self.hops
    }
}
