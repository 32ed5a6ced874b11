//! The presence of this node: its key, and the lease that keeps it.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use etcd_client::{
    Compare, CompareOp, KeyValue, LeaseKeepAliveStream, LeaseKeeper, PutOptions, Txn, TxnOp,
    TxnOpResponse,
};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};

use super::control::Control;
use super::failure::Failure;
use super::mailbox::Item;
use super::record::{node_value, read_node};
use super::{ANSWER_WITHIN, boot_clock};
use crate::ownership::{Lease, NodeRecord, RequestId, StoreError, StoreNews};

const SECOND_NS: u64 = 1_000_000_000;

/// What is known of this node's own presence.
#[derive(Default)]
pub(super) struct Presence {
    /// Counts registrations.
    life: u64,
    /// Leases that this node was granted and that may still be there; the last is the one in use.
    leases: Vec<i64>,
    keeping: Option<JoinHandle<()>>,
    watching: Option<JoinHandle<()>>,
    /// Nodes that the core was told are present.
    pub(super) told: BTreeSet<u64>,
}

impl Presence {
    /// The core does not use the lease of this registration any more: it is left to end.
    pub(super) fn stop_keeping(&mut self, life: u64) {
        if life == self.life {
            stop(&mut self.keeping);
        }
    }
}

fn stop(task: &mut Option<JoinHandle<()>>) {
    if let Some(task) = task.take() {
        task.abort();
    }
}

/// A stream on which the lease is kept, with one member. Each request on it is answered before the next is sent.
struct Stream {
    session: u64,
    requests: LeaseKeeper,
    answers: LeaseKeepAliveStream,
}

/// The lease of one registration.
struct Kept {
    life: u64,
    id: i64,
    incarnation: u64,
    lease: Lease,
}

impl Control {
    /// Makes this node present, under a new lease, and begins to tell what changes.
    pub(super) async fn register(
        self: &Rc<Control>,
        node: NodeRecord,
        id: RequestId,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let mut presence = self.presence.lock().await;
        self.give_back(&mut presence, deadline).await?;
        let session = self.session(deadline).await?;
        let mut client = session.client.clone();
        let sent_ns = boot_clock::now_ns();
        let grant = client.lease_grant(self.settings.ttl_in_seconds(), None);
        let granted = self.call(&session, deadline, grant).await?;
        presence.leases.push(granted.id());
        let key = self.keys.node(node.incarnation);
        let put = PutOptions::new().with_lease(granted.id());
        let transaction = Txn::new()
            .when([Compare::version(key.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.as_str(), node_value(&node), Some(put))])
            .or_else([TxnOp::get(key, None)]);
        let answer = self.call(&session, deadline, client.txn(transaction)).await?;
        if !answer.succeeded() {
            return Err(self.taken(&node, answer.op_responses()));
        }
        presence.life += 1;
        let mut lease = Lease::new(self.settings.lease);
        let until_boot_ns = lease.granted(sent_ns, ttl_ns(granted.ttl()));
        let life = presence.life;
        self.mailbox.tell(StoreNews::Registered(id)).await;
        self.mailbox.put(Item::LeaseUntil { life, until_boot_ns }).await;
        let kept = Kept { life, id: granted.id(), incarnation: node.incarnation, lease };
        let (keeper, watcher) = (self.clone(), self.clone());
        presence.keeping = Some(spawn_local(async move { keeper.keep(kept).await }));
        presence.watching =
            Some(spawn_local(async move { watcher.watch(life, node.incarnation).await }));
        Ok(())
    }

    /// Gives the lease back: this node is absent.
    pub(super) async fn resign(&self, deadline: Instant) -> Result<(), Failure> {
        let mut presence = self.presence.lock().await;
        self.give_back(&mut presence, deadline).await
    }

    async fn give_back(&self, presence: &mut Presence, deadline: Instant) -> Result<(), Failure> {
        stop(&mut presence.keeping);
        stop(&mut presence.watching);
        while let Some(lease) = presence.leases.last().copied() {
            let session = self.session(deadline).await?;
            let mut client = session.client.clone();
            match self.call(&session, deadline, client.lease_revoke(lease)).await {
                Err(failure) if !failure.is_not_found => return Err(failure),
                _ => presence.leases.pop(),
            };
        }
        Ok(())
    }

    fn taken(&self, node: &NodeRecord, found: Vec<TxnOpResponse>) -> Failure {
        let incarnation = node.incarnation;
        let other = found.iter().find_map(|response| match response {
            TxnOpResponse::Get(found) => found.kvs().first(),
            _ => None,
        });
        let record = other.and_then(|pair: &KeyValue| read_node(incarnation, pair.value()));
        Failure::unsent(match record {
            Some(other) => StoreError::IncarnationTaken { incarnation, address: other.address },
            None => StoreError::ForeignRecord { key: self.keys.node(incarnation) },
        })
    }

    /// Keeps the lease for as long as that can be done in time. That it was lost is for the core to say.
    async fn keep(&self, mut kept: Kept) {
        let mut stream = None;
        while let (Some(due_ns), Some(until_ns)) =
            (kept.lease.next_deadline_ns(), kept.lease.until_ns())
        {
            let now_ns = boot_clock::now_ns();
            if until_ns <= now_ns {
                return;
            }
            if !kept.lease.take_renewal(now_ns) {
                sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns).max(100_000))).await;
                continue;
            }
            match self.renew(&kept, &mut stream).await {
                Ok(ttl_ns) => {
                    let now = boot_clock::now_ns();
                    if let Some(until_boot_ns) = kept.lease.kept(now, now_ns, ttl_ns) {
                        let life = kept.life;
                        self.mailbox.put(Item::LeaseUntil { life, until_boot_ns }).await;
                    }
                }
                Err(failure) if failure.is_not_found => {
                    self.mailbox.put(Item::LeaseGone { life: kept.life }).await;
                    return;
                }
                Err(failure) => {
                    stream = None;
                    tracing::warn!(error = %failure.error, "the lease of this node was not kept this time");
                }
            }
        }
    }

    /// Asks once for more time, and makes sure of who answered: the leader of the term in which a majority answers
    /// afterwards. The time to live that it granted, in nanoseconds.
    async fn renew(&self, kept: &Kept, stream: &mut Option<Stream>) -> Result<u64, Failure> {
        let within = Duration::from_nanos(kept.lease.settings().answer_within_ns);
        let deadline = Instant::now() + within.min(ANSWER_WITHIN);
        let session = self.session(deadline).await?;
        let mut client = session.client.clone();
        if stream.as_ref().is_none_or(|open| open.session != session.number) {
            let open = client.lease_keep_alive(kept.id);
            let (requests, answers) = match self.call(&session, deadline, open).await {
                Ok(opened) => opened,
                // It asked once itself, and hides what it was told.
                Err(_) if !self.is_there(kept, deadline).await? => return Err(self.gone()),
                Err(failure) => return Err(failure),
            };
            *stream = Some(Stream { session: session.number, requests, answers });
        }
        let Some(open) = stream.as_mut() else { return Err(self.gone()) };
        self.call(&session, deadline, open.requests.keep_alive()).await?;
        let answer = self.call(&session, deadline, open.answers.message()).await?;
        let answer = answer.ok_or_else(|| self.malformed("an end"))?;
        if answer.ttl() <= 0 {
            return Err(self.gone());
        }
        let term = answer.header().map(|header| header.raft_term());
        let get = client.get(self.keys.node(kept.incarnation), None);
        let found = self.call(&session, deadline, get).await?;
        if found.kvs().first().is_none_or(|pair| pair.lease() != kept.id) {
            return Err(self.gone());
        }
        if term.is_none() || found.header().map(|header| header.raft_term()) != term {
            return Err(self.malformed("the leader's consent: its leader has changed meanwhile"));
        }
        Ok(ttl_ns(answer.ttl()))
    }

    /// Whether this node's key is still there, under this lease.
    async fn is_there(&self, kept: &Kept, deadline: Instant) -> Result<bool, Failure> {
        let session = self.session(deadline).await?;
        let mut client = session.client.clone();
        let get = client.get(self.keys.node(kept.incarnation), None);
        let found = self.call(&session, deadline, get).await?;
        Ok(found.kvs().first().is_some_and(|pair| pair.lease() == kept.id))
    }

    fn gone(&self) -> Failure {
        let reason = "the lease is gone".to_owned();
        let addresses = self.settings.address_list();
        let failure = Failure::unsent(StoreError::Other { addresses, reason });
        Failure { is_not_found: true, ..failure }
    }
}

fn ttl_ns(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(SECOND_NS)
}
