//! `savina-thread-ring`: a token goes round a ring of actors.

use std::ops::ControlFlow;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{THREAD_RING_ACTORS, THREAD_RING_HOPS};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::mailbox::{Address, Inbox, handle_each, mailbox, tell};
use super::stage;

enum ToMember {
    /// The token, with the number of hops that are left, this one counted.
    Token(u64),
    Stop,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (addresses, inboxes): (Vec<_>, Vec<_>) =
            (0..THREAD_RING_ACTORS).map(|_| mailbox()).unzip();
        let (arrived, end) = oneshot::channel();
        let mut arrived = Some(arrived);
        let mut members = Vec::new();
        let next = addresses.iter().cycle().skip(1);
        for (inbox, next) in inboxes.into_iter().zip(next) {
            // Where the token ends is known beforehand: hop after hop from the first member.
            let is_last = members.len() as u64 == (THREAD_RING_HOPS - 1) % THREAD_RING_ACTORS;
            let arrived = if is_last { arrived.take() } else { None };
            members.push(tokio::spawn(pass_on(inbox, next.clone(), arrived)));
        }
        tell(&addresses[0], ToMember::Token(THREAD_RING_HOPS));
        let _ = end.await;
        stop(&addresses, members).await
    })
}

/// Stops all and adds up the hops that they have counted.
async fn stop(addresses: &[Address<ToMember>], members: Vec<JoinHandle<u64>>) -> u64 {
    addresses.iter().for_each(|member| tell(member, ToMember::Stop));
    let mut hops = 0;
    for member in members {
        hops += member.await.unwrap_or(0);
    }
    hops
}

/// A member of the ring; it comes to the hops that it has counted.
async fn pass_on(
    inbox: Inbox<ToMember>,
    next: Address<ToMember>,
    mut arrived: Option<oneshot::Sender<()>>,
) -> u64 {
    let mut hops = 0;
    handle_each(inbox, |message| {
        let ToMember::Token(left) = message else { return ControlFlow::Break(()) };
        hops += 1;
        if left > 1 {
            tell(&next, ToMember::Token(left - 1));
        } else if let Some(arrived) = arrived.take() {
            let _ = arrived.send(());
        }
        ControlFlow::Continue(())
    })
    .await;
    hops
}
