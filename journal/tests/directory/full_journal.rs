//! An event-sourced actor on a file system without room: refused, unharmed, and served again when there is room.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::{Effect, EventSourced, Journal, event, events, state};

use crate::image::{Image, fill};

const PATIENCE: Duration = Duration::from_secs(60);
const NOTE_BYTES: usize = 16 << 10;
/// More than fit into the segments that are ready when the file system is filled.
const MOST_NOTES: u64 = 2_000;

#[message]
enum Command {
    Keep { note: Vec<u8>, reply_to: ActorRef<Answer> },
    Count { reply_to: ActorRef<Answer> },
}

#[message]
#[derive(Debug)]
enum Answer {
    Notes { count: u64 },
    Full,
}

#[event(name = "notebook.kept", version = 1)]
struct Kept {
    note: Vec<u8>,
}

#[events]
enum NotebookEvent {
    Kept(Kept),
}

#[state(name = "notebook", version = 1)]
#[derive(Default)]
struct Notebook {
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

#[test]
fn on_a_full_ext4_an_actor_is_refused_unharmed_and_served_again() {
    on_an_image("ext4", 48 << 20);
}

#[test]
fn on_a_full_xfs_an_actor_is_refused_unharmed_and_served_again() {
    on_an_image("xfs", 320 << 20);
}

fn on_an_image(kind: &str, bytes: u64) {
    let image = match Image::mount(kind, bytes) {
        Ok(image) => image,
        Err(reason) => {
            println!("skipped: no {kind} image can be mounted here: {reason}");
            return;
        }
    };
    let kept = {
        let running = Running::start(&image.path());
        for count in 1..=10 {
            assert!(matches!(running.keep(), Answer::Notes { count: now } if now == count));
        }
        let filler = fill(&image.path());
        let kept = running.keep_until_full();
        assert_eq!(running.count(), kept, "what was refused has changed nothing");
        assert!(matches!(running.keep(), Answer::Full), "and it stays so");
        fs::remove_file(filler).expect("it is there");
        let kept = running.keep_until_kept(kept);
        running.stop();
        kept
    };
    let running = Running::start(&image.path());
    assert_eq!(running.count(), kept, "what was answered is there, what was refused is not");
    running.stop();
}

struct Running {
    node: Node,
    client: Client,
    book: ActorRef<Command>,
}

impl Running {
    fn start(folder: &Path) -> Running {
        let journal = Journal::at(folder.join("journal"))
            .system("notes")
            .shard_count(4)
            .segment_bytes(1 << 20);
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

    fn keep(&self) -> Answer {
        let note = vec![7; NOTE_BYTES];
        let ask = |reply_to| Command::Keep { note: note.clone(), reply_to };
        self.client.ask(self.book, ask, PATIENCE).wait().expect("an answer")
    }

    fn count(&self) -> u64 {
        let ask = |reply_to| Command::Count { reply_to };
        match self.client.ask(self.book, ask, PATIENCE).wait().expect("an answer") {
            Answer::Notes { count } => count,
            Answer::Full => panic!("nothing was to be written"),
        }
    }

    /// How many notes there are then.
    fn keep_until_full(&self) -> u64 {
        let mut kept = 0;
        for _ in 0..MOST_NOTES {
            match self.keep() {
                Answer::Notes { count } => kept = count,
                Answer::Full => return kept,
            }
        }
        panic!("{kept} notes, and there is still room");
    }

    fn keep_until_kept(&self, kept: u64) -> u64 {
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

    fn stop(self) {
        drop(self.client);
        self.node.shutdown(PATIENCE).expect("a clean end");
    }
}
