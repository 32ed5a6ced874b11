//! What the thread that talks to etcd leaves for the core.

use std::sync::OnceLock;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use mainspring::device::Alarm;

use super::NEWS_LIMIT;
use crate::ownership::StoreNews;

/// How long to wait before looking again whether there is room.
const FULL_FOR: Duration = Duration::from_millis(1);

/// One thing for the core. A life is one registration; leases of another one are not meant.
#[derive(Debug)]
pub(super) enum Item {
    /// To be passed on.
    News(StoreNews),
    /// The lease may be used until then, by the clock that goes on while suspended.
    LeaseUntil { life: u64, until_boot_ns: u64 },
    /// Etcd says that the lease is gone.
    LeaseGone { life: u64 },
}

/// A bounded queue to the core, with what wakes it.
#[derive(Debug)]
pub(super) struct Mailbox {
    items: ArrayQueue<Item>,
    alarm: OnceLock<Alarm>,
}

impl Mailbox {
    pub(super) fn new() -> Mailbox {
        Mailbox { items: ArrayQueue::new(NEWS_LIMIT), alarm: OnceLock::new() }
    }

    /// The first alarm is the one that is rung.
    pub(super) fn use_alarm(&self, alarm: Alarm) {
        if self.alarm.set(alarm).is_err() {
            tracing::warn!("the store of a node has an alarm already; the second is not used");
        }
    }

    /// Waits until there is room. In the order in which it was called.
    pub(super) async fn put(&self, item: Item) {
        let mut item = item;
        while let Err(back) = self.items.push(item) {
            item = back;
            tokio::time::sleep(FULL_FOR).await;
        }
        if let Some(alarm) = self.alarm.get() {
            alarm.ring();
        }
    }

    pub(super) async fn tell(&self, news: StoreNews) {
        self.put(Item::News(news)).await;
    }

    pub(super) fn take(&self) -> Option<Item> {
        self.items.pop()
    }
}
