//! Which member of etcd is asked: one that has answered a read through the majority, until it fails.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Etcd;
use super::failure::Failure;
use super::record::Keys;
use crate::ownership::StoreError;

/// Before the next member is tried.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a member that does not serve may take to say so.
const STATUS_WITHIN: Duration = Duration::from_millis(300);

/// A member that answers.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) client: Client,
}

/// Whether there is a member that answers.
#[derive(Clone)]
enum Link {
    /// Not at the moment, or not yet.
    Down(StoreError),
    /// There is, and it refuses this node.
    Refused(StoreError),
    Up(Box<Session>),
}

/// Keeps a session with one of the members.
pub(super) struct Sessions {
    settings: Rc<Etcd>,
    probe_within: Duration,
    link: watch::Sender<Link>,
    failed: Cell<u64>,
    failure: Notify,
}

impl Sessions {
    pub(super) fn new(settings: Rc<Etcd>) -> Sessions {
        let addresses = settings.address_list();
        let reason = "not reached yet".to_owned();
        let (link, _) = watch::channel(Link::Down(StoreError::Unreachable { addresses, reason }));
        let probe_within = Duration::from_nanos(settings.lease.answer_within_ns);
        Sessions { settings, probe_within, link, failed: Cell::new(0), failure: Notify::new() }
    }

    /// A session, as soon as there is one.
    pub(super) async fn get(&self, deadline: Instant) -> Result<Session, StoreError> {
        let mut links = self.link.subscribe();
        loop {
            let link = links.borrow_and_update().clone();
            let error = match link {
                Link::Up(session) => return Ok(*session),
                Link::Refused(error) => return Err(error),
                Link::Down(error) => error,
            };
            if !matches!(timeout_at(deadline, links.changed()).await, Ok(Ok(()))) {
                return Err(error);
            }
        }
    }

    /// Returns when this session is no longer the one.
    pub(super) async fn replaced(&self, number: u64) {
        let mut links = self.link.subscribe();
        let is_other = |link: &Link| !matches!(link, Link::Up(session) if session.number == number);
        // Fails only when the sender is gone, which is this.
        let _ = links.wait_for(is_other).await;
    }

    /// The member of this session is not to be asked any more.
    pub(super) fn give_up(&self, number: u64) {
        self.failed.set(self.failed.get().max(number));
        self.failure.notify_one();
    }

    /// Looks for a member that answers, and for another one whenever it fails. Never returns.
    pub(super) async fn keep(&self) {
        let mut number = 0;
        for address in self.settings.addresses.iter().cycle() {
            number += 1;
            match self.connect(number, address).await {
                Ok(session) => {
                    tracing::debug!(address, "etcd answers");
                    self.link.send_replace(Link::Up(Box::new(session)));
                    while self.failed.get() < number {
                        self.failure.notified().await;
                    }
                    tracing::warn!(
                        address,
                        "etcd does not answer any more; looking for another member"
                    );
                    self.set_down("its answers did not come in time".to_owned());
                }
                Err(failure) => {
                    tracing::debug!(address, error = %failure.error, "etcd is not reached");
                    self.link.send_replace(match failure.error {
                        error @ StoreError::NotPermitted { .. } => Link::Refused(error),
                        error => Link::Down(error),
                    });
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn set_down(&self, reason: String) {
        let addresses = self.settings.address_list();
        self.link.send_replace(Link::Down(StoreError::Unreachable { addresses, reason }));
    }

    /// Connects, and reads something that only a majority can answer.
    async fn connect(&self, number: u64, address: &str) -> Result<Session, Failure> {
        let mut options = ConnectOptions::new()
            .with_connect_timeout(self.probe_within)
            .with_require_leader(true)
            .with_auto_token_refresh(true);
        if !self.settings.user.is_empty() {
            options = options.with_user(&self.settings.user, &self.settings.password.0);
        }
        let connected = timeout(self.probe_within, Client::connect([address], Some(options))).await;
        let mut client = self.unless_late(connected)?;
        let key = Keys::new(&self.settings.prefix).nodes();
        let options = GetOptions::new().with_prefix().with_count_only();
        let probed = timeout(self.probe_within, client.get(key, Some(options))).await;
        match self.unless_late(probed) {
            Ok(_) => Ok(Session { number, client }),
            Err(failure) => Err(self.explain(&mut client, failure).await),
        }
    }

    /// A member that says something about itself, and only about itself, has no majority.
    async fn explain(&self, client: &mut Client, failure: Failure) -> Failure {
        if !matches!(failure.error, StoreError::Unreachable { .. }) {
            return failure;
        }
        match timeout(STATUS_WITHIN, client.status()).await {
            Ok(Ok(_)) => {
                let addresses = self.settings.address_list();
                let reason = "a member answers, and no majority does".to_owned();
                Failure { error: StoreError::NoMajority { addresses, reason }, ..failure }
            }
            _ => failure,
        }
    }

    fn unless_late<T, E>(
        &self,
        answer: Result<Result<T, etcd_client::Error>, E>,
    ) -> Result<T, Failure> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure::of(&self.settings, error)),
            Err(_) => Err(Failure::late(&self.settings)),
        }
    }
}
