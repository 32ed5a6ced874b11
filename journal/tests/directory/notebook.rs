//! An actor that keeps notes, of which few fill a segment, and a node on which it runs.

use std::path::Path;
use std::time::{Duration, Instant};

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::{Effect, EventSourced, Journal, event, events, state};

pub const PATIENCE: Duration = Duration::from_secs(60);
const NOTE_BYTES: usize = 16 << 10;
/// More than any test needs.
pub const MOST_NOTES: u64 = 2_000;

/// A journal for notebooks.
pub fn journal(folder: &Path) -> Journal {
    Journal::at(folder.join("journal")).system("notes").shard_count(4).segment_bytes(1 << 20)
}

#[message]
pub enum Command {
    Keep { note: Vec<u8>, reply_to: ActorRef<Answer> },
    Count { reply_to: ActorRef<Answer> },
}

#[message]
#[derive(Debug)]
pub enum Answer {
    Notes { count: u64 },
    Full,
}

#[event(name = "notebook.kept", version = 1)]
pub struct Kept {
    note: Vec<u8>,
}

#[events]
pub enum NotebookEvent {
    Kept(Kept),
}

#[state(name = "notebook", version = 1)]
#[derive(Default)]
pub struct Notebook {
    count: u64,
}

impl EventSourced for Notebook {
    type Command = Command;
    type Event = NotebookEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Keep { note, reply_to } => {
                Effect::persist(Kept { note: note.to_vec() })
                    .then_reply(*reply_to, |book: &Self| Answer::Notes { count: book.count })
            }
            ArchivedCommand::Count { reply_to } => {
                Effect::reply(*reply_to, Answer::Notes { count: self.count })
            }
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, NotebookEvent>) {
        let ArchivedNotebookEvent::Kept(kept) = event;
        assert_eq!(kept.note.len(), NOTE_BYTES);
        self.count += 1;
    }

    fn on_rejected(&self, command: &Archived<Command>, reason: &PersistRejected) -> Effect<Self> {
        match command {
            ArchivedCommand::Keep { reply_to, .. } if reason.to_string().contains("is full") => {
                Effect::reply(*reply_to, Answer::Full)
            }
            // Nobody answers, and the test says what it waited for.
            _ => Effect::none(),
        }
    }
}

/// A node with one notebook.
pub struct Running {
    node: Node,
    client: Client,
    book: ActorRef<Command>,
}

impl Running {
    pub fn start(journal: &Journal) -> Running {
        let node = Node::builder()
            .name("notes")
            .cores(Cores::count(1))
            .idle(IdleProfile::Eco)
            .with(journal.clone())
            .start()
            .expect("a node");
        let book = journal.entity(&node, 1_u64, Notebook::default).start().expect("a notebook");
        Running { client: node.client(), node, book }
    }

    /// Keeps one more note.
    pub fn keep(&self) -> Answer {
        let note = vec![7; NOTE_BYTES];
        let ask = |reply_to| Command::Keep { note: note.clone(), reply_to };
        self.client.ask(self.book, ask, PATIENCE).wait().expect("an answer")
    }

    /// How many notes there are.
    pub fn count(&self) -> u64 {
        let ask = |reply_to| Command::Count { reply_to };
        match self.client.ask(self.book, ask, PATIENCE).wait().expect("an answer") {
            Answer::Notes { count } => count,
            Answer::Full => panic!("nothing was to be written"),
        }
    }

    /// Keeps notes until there is no room; how many there are then.
    pub fn keep_until_full(&self) -> u64 {
        let mut kept = 0;
        for _ in 0..MOST_NOTES {
            match self.keep() {
                Answer::Notes { count } => kept = count,
                Answer::Full => return kept,
            }
        }
        panic!("{kept} notes, and there is still room");
    }

    /// Tries until there is room again; how many notes there are then.
    pub fn keep_until_kept(&self, kept: u64) -> u64 {
        let start = Instant::now();
        loop {
            match self.keep() {
                Answer::Notes { count } => {
                    assert_eq!(count, kept + 1);
                    return count;
                }
                Answer::Full => assert!(start.elapsed() < PATIENCE, "there is room again"),
            }
        }
    }

    pub fn stop(self) {
        drop(self.client);
        self.node.shutdown(PATIENCE).expect("a clean end");
    }
}
