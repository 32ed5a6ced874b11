//! The thread that talks to etcd: it takes questions and answers each of them once.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::known::KnownOwners;
use super::mailbox::Mailbox;
use super::presence::Presence;
use super::record::Keys;
use super::session::{Session, Sessions};
use super::{ANSWER_WITHIN, CONCURRENCY_LIMIT, Etcd};
use crate::ownership::{
    LeaseAnswer, Ownership, Place, RequestId, StoreAnswer, StoreNews, StoreQuestion,
};

/// What the core sends.
#[derive(Debug)]
pub(super) enum Command {
    /// A question.
    Ask(RequestId, StoreQuestion),
    /// The lease of this registration is not used any more.
    LeaseLost { life: u64 },
}

/// What all tasks of the thread share.
pub(super) struct Control {
    pub(super) settings: Rc<Etcd>,
    pub(super) keys: Keys,
    pub(super) sessions: Sessions,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) presence: Mutex<Presence>,
    known: RefCell<KnownOwners>,
    places: Semaphore,
}

/// Serves until the core lets go of its end.
pub(super) fn run(
    runtime: &Runtime,
    settings: Etcd,
    commands: mpsc::Receiver<Command>,
    mailbox: Arc<Mailbox>,
) {
    let settings = Rc::new(settings);
    let control = Rc::new(Control {
        keys: Keys::new(&settings.prefix),
        sessions: Sessions::new(settings.clone()),
        settings,
        mailbox,
        presence: Mutex::new(Presence::default()),
        known: RefCell::default(),
        places: Semaphore::new(CONCURRENCY_LIMIT),
    });
    LocalSet::new().block_on(runtime, serve(control, commands));
}

async fn serve(control: Rc<Control>, mut commands: mpsc::Receiver<Command>) {
    let keeper = control.clone();
    spawn_local(async move { keeper.sessions.keep().await });
    while let Some(command) = commands.recv().await {
        let control = control.clone();
        match command {
            Command::Ask(id, question) => {
                let deadline = Instant::now() + ANSWER_WITHIN;
                spawn_local(async move { control.answer(id, question, deadline).await });
            }
            Command::LeaseLost { life } => {
                spawn_local(async move { control.presence.lock().await.stop_keeping(life) });
            }
        }
    }
}

fn lease_news(id: RequestId, answer: Result<LeaseAnswer, Failure>) -> StoreNews {
    match answer {
        Ok(answer) => StoreNews::Lease(id, answer),
        Err(failure) if failure.may_have_happened => StoreNews::Lease(id, LeaseAnswer::Unknown),
        Err(failure) => StoreNews::Failed(id, failure.error),
    }
}

impl Control {
    async fn answer(self: Rc<Control>, id: RequestId, question: StoreQuestion, deadline: Instant) {
        let news = match question {
            StoreQuestion::Register(node) => match self.register(node, id, deadline).await {
                // It has told so itself, before everything that follows.
                Ok(()) => return,
                Err(failure) => StoreNews::Failed(id, failure.error),
            },
            StoreQuestion::Resign => match self.resign(deadline).await {
                Ok(()) => StoreNews::Resigned(id),
                Err(failure) => StoreNews::Failed(id, failure.error),
            },
            StoreQuestion::ReadAll { entity_type } => {
                match self.in_turn(deadline, self.read_all(&entity_type, deadline)).await {
                    Ok(records) => StoreNews::Records(id, records),
                    Err(failure) => StoreNews::Failed(id, failure.error),
                }
            }
            StoreQuestion::AcquireLease { lease, ttl_ns } => {
                lease_news(id, self.acquire(&lease, ttl_ns, deadline).await)
            }
            StoreQuestion::ReleaseLease(lease) => {
                lease_news(id, self.release(&lease, deadline).await)
            }
            StoreQuestion::Ownership { entity_type, request } => {
                match self.in_turn(deadline, self.decide(&entity_type, request, deadline)).await {
                    Ok(answer) => StoreNews::Answer(id, answer),
                    Err(failure) if failure.may_have_happened => {
                        StoreNews::Answer(id, StoreAnswer::Unknown)
                    }
                    Err(failure) => StoreNews::Failed(id, failure.error),
                }
            }
        };
        self.mailbox.tell(news).await;
    }

    /// Does something when not too much is being done; one that had to wait too long was never begun.
    async fn in_turn<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout_at(deadline, self.places.acquire()).await {
            Ok(_place) => work.await,
            Err(_) => Err(Failure { may_have_happened: false, ..Failure::late(&self.settings) }),
        }
    }

    /// A member to ask.
    pub(super) async fn session(&self, deadline: Instant) -> Result<Session, Failure> {
        self.sessions.get(deadline).await.map_err(Failure::unsent)
    }

    /// Waits for what a member answers; one that fails is not asked again.
    pub(super) async fn call<T>(
        &self,
        session: &Session,
        deadline: Instant,
        call: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, Failure> {
        let failure = match timeout_at(deadline, call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::of(&self.settings, error),
            Err(_) => Failure::late(&self.settings),
        };
        if failure.is_the_members {
            self.sessions.give_up(session.number);
        }
        Err(failure)
    }

    /// The record of a shard as far as it was heard of.
    pub(super) fn known(&self, entity_type: &str, shard: u32) -> Option<Ownership<Place>> {
        self.known.borrow().get(entity_type, shard)
    }

    /// Remembers a record, unless a later one is known.
    pub(super) fn remember(&self, entity_type: &str, shard: u32, record: Ownership<Place>) {
        self.known.borrow_mut().put(entity_type, shard, record);
    }
}
