//! The core's side: questions into one queue, news out of another, and the end of the lease.
//!
//! Invariants: nothing here waits; a lease that was lost here stays lost, whatever the other thread still says of it.

use std::fmt;
use std::sync::Arc;

use mainspring::device::Alarm;
use tokio::sync::mpsc;

use super::control::{self, Command};
use super::mailbox::{Item, Mailbox};
use super::{Etcd, boot_clock};
use crate::ownership::{
    ClusterStore, QUESTION_LIMIT, RequestId, StoreError, StoreFull, StoreNews, StoreQuestion,
};

/// How often the two clocks are compared, by the core's.
const COMPARE_NS: u64 = 1_000_000;
/// By how much more the clock that goes on while suspended may have gone before the end of the lease is told again.
const SUSPENDED_NS: u64 = 1_000_000;

/// One node's access to etcd. The thread ends when it is dropped; the lease then ends by itself.
pub struct EtcdAccess {
    commands: mpsc::Sender<Command>,
    mailbox: Arc<Mailbox>,
    waiting: usize,
    life: u64,
    lease: Option<HeldLease>,
    compare_at_ns: u64,
}

/// The lease as the core knows it.
#[derive(Clone, Copy, Debug)]
struct HeldLease {
    until_boot_ns: u64,
    /// The same, as the core was told.
    until_ns: u64,
}

impl fmt::Debug for EtcdAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdAccess")
            .field("waiting", &self.waiting)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl EtcdAccess {
    pub(super) fn start(settings: Etcd) -> Result<EtcdAccess, StoreError> {
        let no_thread = |error: std::io::Error| StoreError::NoThread { reason: error.to_string() };
        // Room for every question, and for word of every lost lease among them.
        let (commands, received) = mpsc::channel(QUESTION_LIMIT + 1);
        let mailbox = Arc::new(Mailbox::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let theirs = mailbox.clone();
        std::thread::Builder::new()
            .name("mainspring-etcd".to_owned())
            .spawn(move || control::run(&runtime, settings, received, theirs))
            .map_err(no_thread)?;
        Ok(EtcdAccess { commands, mailbox, waiting: 0, life: 0, lease: None, compare_at_ns: 0 })
    }

    fn take(&mut self, now_ns: u64, item: Item, news: &mut Vec<StoreNews>) {
        match item {
            Item::News(told) => {
                self.waiting -= usize::from(is_answer(&told));
                news.push(told);
            }
            Item::LeaseUntil { life, until_boot_ns } => {
                let is_new = life > self.life;
                if is_new || (life == self.life && self.lease.is_some()) {
                    self.life = life;
                    self.use_until(now_ns, until_boot_ns, news);
                }
            }
            Item::LeaseGone { life } => {
                if life == self.life && self.lease.take().is_some() {
                    news.push(StoreNews::LeaseLost);
                }
            }
        }
    }

    /// The core's time may be a moment old, never new: the end that it is told is not too late.
    fn use_until(&mut self, now_ns: u64, until_boot_ns: u64, news: &mut Vec<StoreNews>) {
        let left_ns = until_boot_ns.saturating_sub(boot_clock::now_ns());
        let until_ns = now_ns.saturating_add(left_ns);
        self.lease = Some(HeldLease { until_boot_ns, until_ns });
        news.push(StoreNews::LeaseKept { until_ns });
    }

    /// Holds the lease against both clocks.
    fn compare(&mut self, now_ns: u64, news: &mut Vec<StoreNews>) {
        let Some(held) = self.lease else { return };
        let is_over = held.until_ns <= now_ns;
        if self.compare_at_ns > now_ns && !is_over {
            return;
        }
        self.compare_at_ns = now_ns.saturating_add(COMPARE_NS);
        let left_ns = held.until_boot_ns.saturating_sub(boot_clock::now_ns());
        if left_ns == 0 || is_over {
            self.lease = None;
            news.push(StoreNews::LeaseLost);
            // With no room the other thread goes on keeping a lease that nobody uses, until it hears of the next one.
            let _ = self.commands.try_send(Command::LeaseLost { life: self.life });
        } else if now_ns.saturating_add(left_ns).saturating_add(SUSPENDED_NS) < held.until_ns {
            self.use_until(now_ns, held.until_boot_ns, news);
        }
    }
}

fn is_answer(news: &StoreNews) -> bool {
    matches!(
        news,
        StoreNews::Registered(_)
            | StoreNews::Answer(..)
            | StoreNews::Records(..)
            | StoreNews::Resigned(_)
            | StoreNews::Lease(..)
            | StoreNews::Failed(..)
    )
}

impl ClusterStore for EtcdAccess {
    fn ask(
        &mut self,
        _now_ns: u64,
        id: RequestId,
        question: StoreQuestion,
    ) -> Result<(), StoreFull> {
        let full = StoreFull { limit: QUESTION_LIMIT };
        if self.waiting >= QUESTION_LIMIT {
            return Err(full);
        }
        let resigns = question == StoreQuestion::Resign;
        self.commands.try_send(Command::Ask(id, question)).map_err(|_| full)?;
        self.waiting += 1;
        if resigns {
            self.lease = None;
        }
        Ok(())
    }

    fn poll(&mut self, now_ns: u64, news: &mut Vec<StoreNews>) {
        while let Some(item) = self.mailbox.take() {
            self.take(now_ns, item, news);
        }
        self.compare(now_ns, news);
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.lease.map(|held| held.until_ns)
    }

    fn use_alarm(&mut self, alarm: Alarm) {
        self.mailbox.use_alarm(alarm);
    }
}
