//! What changes in etcd, told to the core in its order.
//!
//! Invariants: nothing is passed over: a stream that breaks is taken up after the last revision that was told, and when
//! etcd has forgotten that one, how things stand is told instead.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Event, EventType, KeyValue, WatchOptions};
use tokio::time::{Instant, sleep};

use super::ANSWER_WITHIN;
use super::control::Control;
use super::failure::Failure;
use super::mailbox::Item;
use super::record::{Key, read_node, read_owner};
use super::session::Session;
use crate::ownership::StoreNews;

/// Before the next attempt after one that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// As good as for ever.
const WAIT: Duration = Duration::from_secs(3_600);

/// How far this node has been told.
struct Progress {
    life: u64,
    incarnation: u64,
    /// None before the first list.
    revision: Option<i64>,
    /// What comes after the revision is forgotten.
    is_forgotten: bool,
}

impl Control {
    /// Tells what changes, until it is aborted.
    pub(super) async fn watch(&self, life: u64, incarnation: u64) {
        let mut progress = Progress { life, incarnation, revision: None, is_forgotten: false };
        loop {
            let Ok(session) = self.session(Instant::now() + WAIT).await else {
                sleep(PAUSE).await;
                continue;
            };
            let followed = tokio::select! {
                followed = self.follow(&session, &mut progress) => followed,
                () = self.sessions.replaced(session.number) => continue,
            };
            if let Err(failure) = followed {
                tracing::warn!(error = %failure.error, "changes in etcd are not heard of; trying again");
                sleep(PAUSE).await;
            }
        }
    }

    /// Tells what changes, as long as one stream lasts.
    async fn follow(&self, session: &Session, progress: &mut Progress) -> Result<(), Failure> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let after = match progress.revision.filter(|_| !progress.is_forgotten) {
            Some(revision) => revision,
            None => self.list_all(session, progress, deadline).await?,
        };
        let mut client = session.client.clone();
        let options = WatchOptions::new().with_prefix().with_start_revision(after + 1);
        let watch = client.watch(self.keys.all(), Some(options));
        let mut stream = self.call(session, deadline, watch).await?;
        loop {
            let answer = stream.message().await;
            let answer = answer.map_err(|error| Failure::of(&self.settings, error))?;
            let answer = answer.ok_or_else(|| self.malformed("an end: the stream was closed"))?;
            progress.is_forgotten = answer.compact_revision() > 0;
            if answer.canceled() {
                return Err(self.malformed("changes: the stream was cancelled"));
            }
            for event in answer.events() {
                self.tell(progress, event).await;
            }
            let last = answer.events().iter().filter_map(Event::kv).map(KeyValue::mod_revision);
            progress.revision = progress.revision.max(last.max());
        }
    }

    /// Tells who is present and, if changes were missed, who owns what. Up to which revision.
    async fn list_all(
        &self,
        session: &Session,
        progress: &mut Progress,
        deadline: Instant,
    ) -> Result<i64, Failure> {
        let (nodes, revision) = self.list(session, &self.keys.nodes(), deadline).await?;
        let owners = match progress.revision {
            Some(_) => self.list(session, &self.keys.owners(), deadline).await?.0,
            None => Vec::new(),
        };
        let present = nodes.iter().filter_map(|pair| match self.keys.read(pair.key())? {
            Key::Node(incarnation) => read_node(incarnation, pair.value()),
            Key::Owner(..) | Key::Lease(_) => None,
        });
        let present: Vec<_> = present.collect();
        let told: Vec<u64> = self.presence.lock().await.told.iter().copied().collect();
        for incarnation in told {
            if !present.iter().any(|node| node.incarnation == incarnation) {
                self.tell_absent(progress, incarnation).await;
            }
        }
        for node in present {
            self.presence.lock().await.told.insert(node.incarnation);
            self.mailbox.tell(StoreNews::NodePresent(node)).await;
        }
        for pair in owners.iter().filter(|pair| Some(pair.mod_revision()) > progress.revision) {
            self.tell_put(pair).await;
        }
        progress.revision = Some(revision);
        progress.is_forgotten = false;
        Ok(revision)
    }

    async fn tell(&self, progress: &Progress, event: &Event) {
        let Some(pair) = event.kv() else { return };
        match (event.event_type(), self.keys.read(pair.key())) {
            (EventType::Put, Some(_)) => self.tell_put(pair).await,
            (EventType::Delete, Some(Key::Node(incarnation))) => {
                self.tell_absent(progress, incarnation).await;
            }
            (EventType::Delete, Some(Key::Owner(entity_type, shard))) => {
                tracing::warn!(
                    entity_type,
                    shard,
                    "somebody deleted the record of a shard in etcd"
                );
            }
            (_, Some(Key::Lease(_))) => {}
            (_, None) => warn_of(pair),
        }
    }

    async fn tell_put(&self, pair: &KeyValue) {
        match self.keys.read(pair.key()) {
            Some(Key::Node(incarnation)) => match read_node(incarnation, pair.value()) {
                Some(node) => {
                    self.presence.lock().await.told.insert(incarnation);
                    self.mailbox.tell(StoreNews::NodePresent(node)).await;
                }
                None => warn_of(pair),
            },
            Some(Key::Owner(entity_type, shard)) => {
                match read_owner(pair.value(), pair.mod_revision()) {
                    Some(ownership) => {
                        self.remember(&entity_type, shard, ownership);
                        let entity_type: Arc<str> = Arc::from(entity_type);
                        let news = StoreNews::Changed { entity_type, shard, ownership };
                        self.mailbox.tell(news).await;
                    }
                    None => warn_of(pair),
                }
            }
            Some(Key::Lease(_)) => {}
            None => warn_of(pair),
        }
    }

    async fn tell_absent(&self, progress: &Progress, incarnation: u64) {
        self.presence.lock().await.told.remove(&incarnation);
        self.mailbox.tell(StoreNews::NodeAbsent { incarnation }).await;
        if incarnation == progress.incarnation {
            self.mailbox.put(Item::LeaseGone { life: progress.life }).await;
        }
    }
}

fn warn_of(pair: &KeyValue) {
    let key = String::from_utf8_lossy(pair.key()).into_owned();
    tracing::warn!(key, "a key that no node of this cluster writes; passed over");
}
