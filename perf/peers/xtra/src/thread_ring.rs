//! `savina-thread-ring`: a token goes round a ring of actors.

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{THREAD_RING_ACTORS, THREAD_RING_HOPS};
use tokio::sync::oneshot;
use xtra::prelude::*;

use super::stage::{self, tell};

/// The token, with the number of hops that are left, this one counted.
struct Token {
    left: u64,
    arrived: oneshot::Sender<()>,
}

/// Stops a member, which answers the hops that it has counted.
struct Stop;

#[derive(xtra::Actor)]
struct Member {
    hops: u64,
    next: Address<Member>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (members, mailboxes): (Vec<Address<Member>>, Vec<_>) =
            (0..THREAD_RING_ACTORS).map(|_| Mailbox::unbounded()).unzip();
        for (place, mailbox) in mailboxes.into_iter().enumerate() {
            let next = members[(place + 1) % members.len()].clone();
            xtra::spawn_tokio(Member { hops: 0, next }, (members[place].clone(), mailbox));
        }
        let (arrived, end) = oneshot::channel();
        tell(&members[0], Token { left: THREAD_RING_HOPS, arrived }).await;
        let _ = end.await;
        let mut hops = 0;
        for member in &members {
            hops += member.send(Stop).await.unwrap_or(0);
        }
        hops
    })
}

impl Handler<Token> for Member {
    type Return = ();

    async fn handle(&mut self, token: Token, _: &mut Context<Self>) {
        self.hops += 1;
        if token.left > 1 {
            tell(&self.next, Token { left: token.left - 1, ..token }).await;
        } else {
            let _ = token.arrived.send(());
        }
    }
}

impl Handler<Stop> for Member {
    type Return = u64;

    async fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> u64 {
        ctx.stop_self();
        self.hops
    }
}
